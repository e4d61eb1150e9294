"""Which trial the running Hydra job is, told without importing Optuna: every job of an application asks."""

import os

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

MARK = "HYDRA_OPTUNA_QUEUE_TRIAL"  # the trial's number, inherited by the job's child processes


def is_trial() -> bool:
    """Return whether this process runs a trial."""
    return MARK in os.environ or trial_number() is not None


def trial_number() -> int | None:
    """Return the number of the running job's trial; None where it is none, or a child process of one."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    if "OptunaQueueSweeper" not in str(hydra.sweeper.get("_target_")) or OmegaConf.is_missing(hydra.job, "num"):
        return None
    return int(hydra.job.num)
