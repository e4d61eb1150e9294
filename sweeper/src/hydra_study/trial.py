"""The trial of the running job, for reporting its scores."""

import os
from pathlib import Path
from typing import Any

import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from hydra_study.job import MARK, trial_number
from hydra_study.objects import make_pruner
from hydra_study.storage import Storage, patiently

running: dict[int, optuna.Trial] = {}  # of this process's sweep, by number


class PatientTrial(optuna.Trial):
    """A trial that waits for an unreachable storage instead of failing its job."""

    def __init__(self, trial: optuna.Trial, seconds: float) -> None:
        self.__dict__.update(trial.__dict__)
        self._seconds = seconds

    def report(self, value: float, step: int) -> None:
        """Report the score of a step, unless a process that was killed has reported it already."""
        if step not in self._cached_frozen_trial.intermediate_values:
            report = super().report
            patiently(lambda: report(value, step), self._seconds)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Store a value with the trial."""
        store = super().set_user_attr
        patiently(lambda: store(key, value), self._seconds)

    def should_prune(self) -> bool:
        """Return whether the trial should stop now."""
        return patiently(super().should_prune, self._seconds)


def current_trial() -> optuna.Trial | None:
    """Return the trial of the running Hydra job; None outside of a sweep."""
    number = trial_number()
    if number is None:
        return None
    if number in running:
        return running[number]
    hydra = HydraConfig.get()
    settings: Any = hydra.sweeper
    storage = Storage(settings.storage, Path(hydra.sweep.dir), settings.grace_period).open()
    # The trial has its parameters already, and a random sampler draws none in advance.
    study = optuna.load_study(
        study_name=settings.study_name,
        storage=storage,
        sampler=optuna.samplers.RandomSampler(),
        pruner=make_pruner(OmegaConf.to_container(settings.pruner, resolve=True)),
    )
    trial_id = storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(study.study_name), number)
    os.environ[MARK] = str(number)
    running[number] = PatientTrial(optuna.Trial(study, trial_id), settings.patience)
    return running[number]
