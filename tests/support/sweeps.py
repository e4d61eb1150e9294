"""Studies of the sweeper on the small application."""

from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hydra_plugins.hydra_optuna_queue._conf import PRUNERS, SAMPLERS, OptunaQueueConf
from hydra_plugins.hydra_optuna_queue._queue import Claim, Owner, Queue
from hydra_plugins.hydra_optuna_queue._space import Space
from hydra_plugins.hydra_optuna_queue._storage import Storage

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
        self.settings = {key: getattr(OptunaQueueConf, key) for key in ("direction", "n_trials", "max_failures")}
        self.settings |= {"sampler": SAMPLERS["tpe"], "pruner": PRUNERS["none"], "metric_names": None}
        self.settings |= {"may_differ": [], "retry_failed": False, "max_attempts": 3, "patience": 0}

    def queue(self, storage: str | None = None, grace_period: int = 60, **settings: Any) -> Queue:
        where = Storage(storage, self.folder, grace_period)
        return Queue(where, "study", self.space, self.settings | settings, datetime.now())

    def owner(self) -> Owner:
        return Owner(Storage(None, self.folder, 60))
