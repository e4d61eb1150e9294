"""One Hydra job: a run, or a trial of a search, and the lines printed after it."""

import math
import os
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hydra_study import SweepError, current_trial, is_trial
from ziffern.cli.terminal import chosen_language
from ziffern.config.command import is_multirun, launch_folder, quoted, this_command, tool
from ziffern.errors import DivergedError, InputError, OutputError
from ziffern.experiment import run_folder
from ziffern.experiment.failure import ENVIRONMENT, describe, fail
from ziffern.machine.processes import is_first, launched
from ziffern.search.agreement import agree_on_data, check_direction
from ziffern.text.catalog import Message
from ziffern.text.language import terminal_words
from ziffern.text.printable import printable

_multiruns: set[Path] = set()  # folders of the multiruns of this process


def job(cfg: DictConfig) -> float | list[float]:
    """Run one composed configuration; return its score, or scores, to Hydra's sweeper."""
    context = HydraConfig.get()
    if not is_multirun() and context.runtime.choices.get("hparams_search") and not is_trial() and is_first():
        print(terminal_words()("cli.search_without_multirun"))
    folder, name = Path(context.runtime.output_dir), str(context.runtime.choices["model"])
    try:
        language = None if cfg.report is None else chosen_language(str(cfg.report))
        if is_trial():
            return _run_trial(cfg, folder, name)
        if is_multirun() and _starts_processes(cfg):
            return _run_in_own_process(cfg, folder)
        from ziffern.experiment.run import run_experiment

        if cfg.ckpt_path is None and run_folder.holds_unfinished_run(folder):  # of the same command: it was claimed
            cfg.ckpt_path = str(folder / run_folder.LAST)
        score = run_experiment(cfg, folder, name)
    except KeyboardInterrupt:
        run_folder.remove_if_unused(folder)
        raise
    except (InputError, OSError) as error:
        if isinstance(error, InputError):
            run_folder.remove_if_unused(folder)
        if not is_multirun() and (line := error_line(error, False)):
            fail(line)  # before Hydra prints a line of its own
        raise
    if is_multirun() and not cfg.get("debug"):  # nothing to compare
        _multiruns.add(folder.parent)
    if language and is_first():
        _write_report(folder, language.code)
    return score


def _starts_processes(cfg: DictConfig) -> bool:
    """Return whether Lightning may start further processes for this job; torchrun and srun have started theirs."""
    several = str(cfg.trainer.strategy).startswith("ddp") or str(cfg.trainer.devices) != "1"
    return several and launched() == 1 and "LOCAL_RANK" not in os.environ


def _run_in_own_process(cfg: DictConfig, folder: Path) -> float | list[float]:
    """Run a job of a multirun as a command of its own: the processes of DDP would each repeat the whole multirun."""
    from ziffern.experiment.settings import objectives
    from ziffern.runs.run import Run

    command = this_command((sys.executable, "-m", "ziffern.cli.train"), **{"hydra.run.dir": folder})
    if code := subprocess.run(shlex.split(command), cwd=launch_folder(), check=False).returncode:
        raise SystemExit(code)
    if not cfg.get("debug"):
        _multiruns.add(folder.parent)
    scores = [float(Run(folder).metrics[objective]) for objective in objectives(cfg.objective)]
    return scores[0] if isinstance(cfg.objective, str) else scores


def _run_trial(cfg: DictConfig, folder: Path, name: str) -> float | list[float]:
    """Run a trial of a search; return NaN where training diverged."""
    from ziffern.experiment.run import run_experiment
    from ziffern.experiment.settings import directions

    check_direction(HydraConfig.get().sweeper.get("direction"), directions(cfg.objective))
    trial = current_trial()  # None in the other processes of DDP
    agree = partial(agree_on_data, trial.study if trial else None)
    try:
        return run_experiment(cfg, folder, name, trial, is_trial=True, on_ready=agree)
    except DivergedError:
        return math.nan


def error_line(error: Exception, multirun: bool) -> Message | str:
    """Return the line for an error that is not a bug, or an empty string."""
    if isinstance(error, InputError | SweepError):
        return str(error)
    if isinstance(error, OutputError) or (isinstance(error, OSError) and error.errno in ENVIRONMENT):
        is_output = isinstance(error.filename, str) and run_folder.is_claimed(Path(error.filename))
        return describe(error, f"hydra.{'sweep' if multirun else 'run'}.dir=FOLDER", is_output)
    return ""


def print_after_multirun() -> None:
    """Print the command that compares the runs of each multirun of this process."""
    for folder in sorted(_multiruns):
        print(terminal_words()("cli.compare_multirun", ziffern=tool("ziffern"), folder=quoted(folder)))
    _multiruns.clear()


def _write_report(folder: Path, language: str) -> None:
    """Write report.html; an error in it must not fail a finished run."""
    from ziffern.report.run_page import write_report
    from ziffern.runs.run import Run

    t = terminal_words()
    try:
        print(t("cli.open_report", path=quoted(write_report(Run(folder), language=language))))
    except Exception as error:
        command = f"{tool('ziffern')} report {quoted(folder)}"
        print(printable(t("cli.no_report", error=error, command=command)))
