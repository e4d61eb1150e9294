"""One Hydra job: a run, or a trial of a search, and the lines printed after it."""

import math
import os
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hydra_study import SweepError, current_trial, is_trial
from ziffern.cli.terminal import chosen_language
from ziffern.config.command import is_multirun, quoted, tool
from ziffern.errors import DivergedError, InputError, OutputError
from ziffern.experiment import run_folder
from ziffern.experiment.claim_callback import MULTIRUN, SEARCH
from ziffern.experiment.failure import ENVIRONMENT, describe, fail
from ziffern.machine.processes import is_first, launched
from ziffern.search.agreement import agree_on_data, check_direction
from ziffern.text.catalog import Message
from ziffern.text.language import terminal_words
from ziffern.text.printable import printable


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
        if is_multirun() and not str(context.sweeper._target_).endswith((SEARCH, MULTIRUN)):
            _check_starts_no_processes(cfg)
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
    if language and is_first():
        _write_report(folder, language.code)
    return score


def _check_starts_no_processes(cfg: DictConfig) -> None:
    """Raise InputError if Lightning may start processes, which would each repeat the whole multirun."""
    several = str(cfg.trainer.strategy).startswith("ddp") or str(cfg.trainer.devices) != "1"
    if several and launched() == 1 and "LOCAL_RANK" not in os.environ:  # torchrun and srun have started theirs
        raise InputError("cli.job.ddp_in_basic_multirun")


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


def compare_runs(folder: Path, jobs: list[Path]) -> None:
    """Compare the runs of a multirun in a page in its folder; whatever goes wrong must not fail finished runs."""
    from ziffern.cli.compare import compare
    from ziffern.runs.comparison import MARGIN
    from ziffern.runs.run import Run

    t = terminal_words()
    runs = [str(job) for job in jobs if (job / run_folder.RECORD[0]).is_file() and not Run(job).is_debug]
    if len(runs) < 2:  # noqa: PLR2004 # nothing to compare
        return
    try:
        compare(runs, folder / "comparison.html", t.code, MARGIN)
    except Exception as error:
        print(printable(t("cli.no_comparison", error=error, command=f"{tool('ziffern')} compare {quoted(folder)}")))


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
