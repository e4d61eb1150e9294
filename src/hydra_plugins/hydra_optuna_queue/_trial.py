"""The job's side: its trial, to report to."""

import os
from pathlib import Path
from typing import Any

import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from hydra_plugins.hydra_optuna_queue._job import MARK, trial_number
from hydra_plugins.hydra_optuna_queue._objects import make_pruner
from hydra_plugins.hydra_optuna_queue._storage import Storage, patiently

running: dict[int, optuna.Trial] = {}  # of this process's sweep, by number


class PatientTrial(optuna.Trial):
    """A trial whose storage may be out of reach for a while without costing the trial its job."""

    def __init__(self, trial: optuna.Trial, seconds: float) -> None:
        self.__dict__.update(trial.__dict__)
        self._seconds = seconds

    def report(self, value: float, step: int) -> None:
        """Report the score of a step; what a killed process has reported is not reported again."""
        if step not in self._cached_frozen_trial.intermediate_values:
            report = super().report
            patiently(lambda: report(value, step), self._seconds)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep a value with the trial."""
        keep = super().set_user_attr
        patiently(lambda: keep(key, value), self._seconds)

    def should_prune(self) -> bool:
        """Return whether to stop here."""
        return patiently(super().should_prune, self._seconds)


def current_trial() -> optuna.Trial | None:
    """Return the trial of the running Hydra job; None where it is none."""
    number = trial_number()
    if number is None:
        return None
    if number in running:
        return running[number]
    hydra = HydraConfig.get()
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
    running[number] = PatientTrial(optuna.Trial(study, found), settings.patience)
    return running[number]
