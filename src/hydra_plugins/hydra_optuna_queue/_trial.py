"""The job's side: which trial it is."""

import os
from pathlib import Path
from typing import Any

import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from hydra_plugins.hydra_optuna_queue._objects import make_pruner
from hydra_plugins.hydra_optuna_queue._storage import Storage

MARK = "HYDRA_OPTUNA_QUEUE_TRIAL"  # the trial's number, inherited by the job's child processes
running: dict[int, optuna.Trial] = {}  # of this process's sweep, by number


def is_trial() -> bool:
    """Return whether this process runs a trial."""
    return MARK in os.environ or current_trial() is not None


def current_trial() -> optuna.Trial | None:
    """Return the trial of the running Hydra job; None where it is none."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    if "OptunaQueueSweeper" not in str(hydra.sweeper.get("_target_")) or OmegaConf.is_missing(hydra.job, "num"):
        return None
    number = int(hydra.job.num)
    if number in running:
        return running[number]
    settings: Any = hydra.sweeper
    storage = Storage(settings.storage, Path(hydra.sweep.dir), settings.grace_period).open()
    # A sampler that draws nothing for all parameters at once: this trial has its parameters.
    study = optuna.load_study(
        study_name=settings.study_name,
        storage=storage,
        sampler=optuna.samplers.RandomSampler(),
        pruner=make_pruner(OmegaConf.to_container(settings.pruner, resolve=True)),
    )
    found = storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(study.study_name), number)
    os.environ[MARK] = str(number)
    running[number] = optuna.Trial(study, found)
    return running[number]
