"""The Hydra entry point behind `python train.py` and `ziffern train`.

Decisions: nothing heavy is imported until a job runs, so `--help` and `--cfg job` answer at once; what the
user got wrong is one line and exit code 2, without a traceback and without a folder left behind; anything
else is a bug of ours and shows its traceback. HYDRA_FULL_ERROR=1 shows it always.
"""

import hashlib
import logging
import math
import os
import re
import secrets
import shutil
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hydra
from omegaconf import DictConfig, ListConfig, OmegaConf

from hydra_plugins.hydra_optuna_queue import SweepError, check_finished_studies
from ziffern.cli.languages import chosen_language
from ziffern.cli.streams import readable_streams
from ziffern.config.foreign import checked_configs
from ziffern.config.instantiate import conf_folder
from ziffern.errors import DivergedError, InputError, OutputError
from ziffern.experiment import run_folder as folders
from ziffern.experiment.failure import ENVIRONMENT, describe, fail
from ziffern.machine import processes
from ziffern.machine.processes import is_first
from ziffern.text.printable import printable

if TYPE_CHECKING:
    from optuna import Study

UNNAMED = ("data.dir", "trainer", "ckpt_path", "threads")  # settings that are not part of a folder's name
NAME_LENGTH = 80
_sweeps: set[Path] = set()  # folders that this process's jobs went to


def train() -> None:
    """Compose the configuration from the command line and run it; exits with 2 on bad input."""
    register_resolvers()
    check_finished_studies(_check_data)
    readable_streams()
    _check_arguments()
    logging.raiseExceptions = False  # a line of train.log that cannot be written is no reason for a traceback
    if not is_first() and processes.launched() > 1:
        _leave_the_folder_to_the_first()
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1" and "LOCAL_RANK" not in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra hands its exceptions on instead of printing them
    decorate = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
    try:
        with checked_configs():
            decorate(job)()
        _print_after_sweep()
    except KeyboardInterrupt:
        if not {"-m", "--multirun"} & set(sys.argv):  # a search has said how it goes on
            print("stopped before anything was trained", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if wants_traceback:
            raise
        _explain_and_exit(error)
    finally:
        folders.release()


def job(cfg: DictConfig) -> "float | list[float]":
    """Run one composed configuration; return its score, or scores, to Hydra's sweeper."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from hydra_plugins.hydra_optuna_queue import current_trial, is_trial
    from ziffern.experiment.run import directions, run_experiment

    context = HydraConfig.get()
    is_search = context.runtime.choices.get("hparams_search") and not is_trial()
    if context.mode == RunMode.RUN and is_search and is_first():
        print("NOTE: hparams_search has no effect without -m")
    folder = Path(context.runtime.output_dir)
    try:
        choices = context.runtime.choices
        language = None if cfg.report is None else chosen_language(str(cfg.report))
        if not (trial := is_trial()):
            score = run_experiment(cfg, folder, choices["model"])
        else:
            from ziffern.search.study import agree_on_data, check_direction

            check_direction(context.sweeper.get("direction"), directions(cfg.objective))
            mine = current_trial()  # None in the other processes of DDP
            agree = partial(agree_on_data, mine.study if mine else None)
            score = run_experiment(cfg, folder, choices["model"], mine, is_trial=True, on_ready=agree)
    except KeyboardInterrupt:
        remove_if_unused(folder)
        raise
    except (InputError, OSError) as error:
        if isinstance(error, DivergedError) and trial:
            return math.nan
        if isinstance(error, InputError):
            remove_if_unused(folder)
        if context.mode == RunMode.RUN and (line := _line(error)):
            fail(line)  # here, since Hydra would add a line of its own
        raise
    if trial:
        return score
    if context.mode == RunMode.MULTIRUN:
        _sweeps.add(folder.parent)
    if language and is_first():
        _report(folder, language.code)
    return score


def _check_data(study: "Study", cfg: DictConfig) -> None:
    from ziffern.search.study import check_data

    check_data(study, cfg)


def _print_after_sweep() -> None:
    """Print the command that compares what this process's jobs trained."""
    for sweep in sorted(_sweeps):
        from ziffern.training.commands import program, quoted

        print(f"\nnext\n  {program('ziffern')} compare {quoted(sweep)}  # which of them to take")


def _report(folder: Path, language: str) -> None:
    """Write report.html; a run that is finished must not be lost over it."""
    from ziffern.report.run_page import write_report
    from ziffern.runs.run import Run
    from ziffern.training.commands import program, quoted

    try:
        path = quoted(write_report(Run(folder), language=language))
        print(f"  open {path}  # what came out, in words and pictures")
    except Exception as error:
        again = f"{program('ziffern')} report {quoted(folder)}"
        print(printable(f"NOTE: no report was written ({error}): {again} tries it again"))


def _check_arguments() -> None:
    """Exit with 2 on arguments that Hydra would take, and a run cannot."""
    for text in (*sys.argv[1:], str(Path.cwd())):
        try:
            text.encode()
        except UnicodeEncodeError:
            encoding = sys.getfilesystemencoding()
            fail(f"{text}: cannot be read in this locale ({encoding}): set LC_ALL=C.UTF-8, or rename it")
    for argument in sys.argv[1:]:
        option = argument.split("=")[0]
        if option.startswith("--e") and "--experimental-rerun".startswith(option):
            fail(f"{option}: would unpickle a file, which runs whatever is in it: give the run's overrides instead")


def _leave_the_folder_to_the_first() -> None:
    """Keep Hydra from writing the configuration once more, as Lightning does for the processes that it starts."""
    given = [item for item in sys.argv[1:] if "=" in item and not item.startswith("-")]
    place = sys.argv.index(given[0], 1) if given else len(sys.argv)  # among the overrides, which stand together
    sys.argv[place:place] = ["hydra.output_subdir=null", f"hydra.job.name=train_rank_{processes.rank()}"]


def remove_if_unused(folder: Path) -> None:
    """Empty a run folder that holds nothing but what Hydra put there; remove it where its name is ours too."""
    leftovers = [path.name for path in folder.iterdir()] if folder.is_dir() and is_first() else []
    logs = [name for name in leftovers if re.fullmatch(r"train(_\w+)?\.log", name)]
    if not leftovers or not {*leftovers} <= {".hydra", folders.LOCK, *logs}:
        return
    shutil.rmtree(folder / ".hydra", ignore_errors=True)
    for name in (*logs, folders.LOCK):
        (folder / name).unlink(missing_ok=True)
    if folder.parent.name != "runs" or folder.parent.parent.name != "outputs":
        return  # the user named it with hydra.run.dir
    for path in (folder, *list(folder.parents)[:2]):
        try:
            path.rmdir()
        except OSError:  # others lie there
            return


def run_folder(choices: DictConfig, overrides: ListConfig) -> str:
    """Return this process's run folder, below outputs/runs.

    It is named by model and overrides, and is unique also among launches in the same second. The command
    of an unfinished run with its own `ckpt_path` added goes on in that run's folder.
    """
    given = tuple(str(item) for item in overrides)
    unfinished = _unfinished_run(given)
    named = [item for item in given if not item.startswith("model=")]
    return str(unfinished) if unfinished else f"outputs/runs/{choices['model']}{_slug(named)}_{_unique()}"


def sweep_folder(study: str | None = None, trials: int | None = None) -> str:
    """Return the folder of this multirun, below outputs/sweeps, named by the command's overrides.

    That of a search (it has a number of `trials`) is named by its study, so that the same command goes on
    with it. Each job of a multirun asks anew and knows only its own overrides; the first answer is handed on.
    """
    return f"outputs/sweeps/{study or study_name()}" if trials else f"outputs/sweeps/{study_name()}_{_unique()}"


def is_ddp(strategy: str) -> bool:
    """Return whether a strategy of Lightning's Trainer starts processes of its own."""
    return strategy.startswith("ddp")


def study_name() -> str:
    """Return what a search is called: its overrides, the same for the same command."""
    given = [item for item in sys.argv[1:] if "=" in item and not item.startswith(("-", "hydra", "+hydra"))]
    return _slug([item.removeprefix("hparams_search=") for item in given]).lstrip("_") or "study"


@cache  # asked several times, and the run is no longer unfinished when it has finished
def _unfinished_run(overrides: tuple[str, ...]) -> Path | None:
    checkpoint = folders.checkpoint(overrides)
    if checkpoint is None or (folder := checkpoint.parent.parent).joinpath("metrics.json").exists():
        return None
    return folder if folders.settings(folder) == folders.comparable(overrides) else None


def _slug(overrides: Sequence[str]) -> str:
    """Return overrides in characters that neither a file system nor Hydra's own grammar minds."""
    parts = [
        _short(item)
        for item in overrides
        if item.split("=")[0] not in UNNAMED and item != "data=mnist" and not item.startswith("hydra")
    ]
    name = "".join(f"_{part}" for part in parts)
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 7]}-{digest}"


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    if not value:
        return re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-")
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", Path(value).name if "/" in value else value).strip("-")
    return f"{key.split('.')[-1].split('/')[-1].replace('_', '-')}-{plain}"


@cache
def _unique() -> str:
    return processes.agree(lambda: f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")


def register_resolvers() -> None:
    """Make what names folders and studies known to the configuration."""
    from ziffern.experiment.run import directions

    for resolver in (run_folder, sweep_folder, study_name, directions, is_ddp):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, use_cache=True, replace=True)


def _explain_and_exit(error: Exception) -> NoReturn:
    from ziffern.config.explain import COMPOSITION_ERRORS, explain

    if line := _line(error):
        fail(line)
    if isinstance(error, COMPOSITION_ERRORS):
        overrides = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        fail(explain(error, overrides, conf_folder()))
    raise error


def _line(error: Exception) -> str:
    """Return the line for an error that is not ours, or an empty string."""
    if isinstance(error, InputError | SweepError):
        return str(error)
    if isinstance(error, OutputError) or (isinstance(error, OSError) and error.errno in ENVIRONMENT):
        multirun = {"-m", "--multirun"} & set(sys.argv)
        is_output = isinstance(error.filename, str) and folders.is_claimed(Path(error.filename))
        return describe(error, f"hydra.{'sweep' if multirun else 'run'}.dir=FOLDER", is_output)
    return ""


if __name__ == "__main__":  # a child process of DDP that `ziffern train` started
    train()
