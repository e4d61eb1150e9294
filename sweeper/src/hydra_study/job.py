"""Find the trial of the running Hydra job without importing Optuna, since every job of an application looks for one."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    import optuna

MARK = "HYDRA_OPTUNA_QUEUE_TRIAL"  # the trial's number, inherited by the job's child processes

finished_study_checks: "list[Callable[[optuna.Study, DictConfig], None]]" = []


def check_finished_studies(check: "Callable[[optuna.Study, DictConfig], None]") -> None:
    """Register a check to run if a launch finds its study finished, since no job would run to compare the data.

    Args:
        check: Takes the study and the composed configuration of one of its jobs; raises SweepError if the study is not
            the one the command asks for. Only code can register one: no configuration can name it.
    """
    if check not in finished_study_checks:
        finished_study_checks.append(check)


def is_trial() -> bool:
    """Return whether this process runs a trial."""
    return MARK in os.environ or trial_number() is not None


def trial_number() -> int | None:
    """Return the number of the running job's trial; None outside of a sweep, and in child processes of a trial."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    if "StudySweeper" not in str(hydra.sweeper.get("_target_")) or OmegaConf.is_missing(hydra.job, "num"):
        return None
    return int(hydra.job.num)
