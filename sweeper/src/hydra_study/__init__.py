"""A Hydra sweeper on Optuna: exact, resumable, asynchronous, with pruning from inside the job.

Select it by `hydra/sweeper=study` for a search or `hydra/sweeper=multirun` for other multiruns. Hydra imports the
plugin at every start of every application, so nothing heavy is imported here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hydra_study.errors import SweepError

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig

    from hydra_study.trial import Trial

__all__ = ["SweepError", "check_finished_studies", "current_trial", "is_trial", "when_multirun_ends"]

finished_study_checks: "list[Callable[[Any, DictConfig], None]]" = []
multirun_ends: "list[Callable[[Path, list[Path]], None]]" = []


def current_trial() -> "Trial | None":
    """Return the trial of the running Hydra job, for `report` and `should_prune`.

    None outside of a search by this plugin, and in child processes of a job, such as DDP's, in which `is_trial` is
    still true.
    """
    from hydra_study.trial import current_trial

    return current_trial()


def is_trial() -> bool:
    """Return whether this process runs a trial, or was started by one."""
    from hydra_study.trial import is_trial

    return is_trial()


def check_finished_studies(check: "Callable[[Any, DictConfig], None]") -> None:
    """Register a check to run if a launch finds its study finished, since no job would run to compare the data.

    Args:
        check: Takes the study and the composed configuration of one of its jobs; raises SweepError if the study is not
            the one the command asks for. Only code can register one: no configuration can name it.
    """
    if check not in finished_study_checks:
        finished_study_checks.append(check)


def when_multirun_ends(call: "Callable[[Path, list[Path]], None]") -> None:
    """Register a function to call at the end of a plain multirun with its folder and the folders of finished jobs."""
    if call not in multirun_ends:
        multirun_ends.append(call)
