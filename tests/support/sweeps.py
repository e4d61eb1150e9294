"""Studies of the sweeper on the small application."""

from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hydra_study.conf import PRUNERS, SAMPLERS, StudyConf
from hydra_study.queue import Claim, Owner, Queue
from hydra_study.space import Space
from hydra_study.storage import Storage

GRID = "hydra/sweeper/sampler=grid"


def study(storage: str | None = None) -> optuna.Study:
    return optuna.load_study(
        study_name="study", storage=storage or JournalStorage(JournalFileBackend("sweep/study.journal"))
    )


def states(found: optuna.Study) -> list[str]:
    return [trial.state.name for trial in found.trials]


def claimed(found: Claim | bool) -> Claim:
    assert isinstance(found, Claim)
    return found


class Studies:
    """Queues on one study, as several processes have them."""

    def __init__(self, folder: Path, space: Space) -> None:
        self.folder, self.space = folder, space
        self.settings = {key: getattr(StudyConf, key) for key in ("direction", "n_trials", "max_failures")}
        self.settings |= {"sampler": SAMPLERS["tpe"], "pruner": PRUNERS["none"], "metric_names": None}
        self.settings |= {"may_differ": [], "retry_failed": False, "max_attempts": 3, "patience": 0}

    def queue(self, storage: str | None = None, grace_period: int = 60, **settings: Any) -> Queue:
        where = Storage(storage, self.folder, grace_period)
        return Queue(where, "study", self.space, self.settings | settings, datetime.now())

    def owner(self) -> Owner:
        return Owner(Storage(None, self.folder, 60))
