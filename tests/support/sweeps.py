"""Studies of the sweeper on the small application."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hydra_study.conf import PRUNERS, SAMPLERS, StudyConf
from hydra_study.driver import Driver
from hydra_study.engines import Job, Outcome, WorkerLostError
from hydra_study.space import Space
from hydra_study.study import Study

GRID = "hydra/sweeper/sampler=grid"


def study(folder: Path = Path()) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(folder / "sweep/study.journal")))
    return optuna.load_study(study_name="study", storage=storage)


def states(found: optuna.Study) -> list[str]:
    return [trial.state.name for trial in found.trials]


class Studies:
    """Opens one study again and again, as its drivers do."""

    def __init__(self, folder: Path, space: Space) -> None:
        self.folder, self.space = folder, space
        names = ("direction", "n_trials", "max_failures", "max_failure_rate", "metric_names", "retry_failed")
        self.settings = {name: getattr(StudyConf, name) for name in names}
        self.settings |= {"sampler": SAMPLERS["tpe"], "pruner": PRUNERS["none"], "may_differ": []}

    def open(self, job: dict[str, Any] | None = None, **settings: Any) -> Study:
        found = Study(self.folder, "study", self.space, self.settings | settings, datetime.now(), job)
        found.open()
        return found


class FakeEngine:
    """Runs jobs in memory: each ends at once, by what `ends` makes of it, or not at all if that is None."""

    def __init__(self, ends: Callable[[Job], Outcome | BaseException | None], slots: int = 1) -> None:
        self.slots, self.threads, self._ends = slots, None, ends
        self.submitted: list[tuple[int, int]] = []
        self.attached: dict[int, Future[Outcome]] = {}
        self.cancelled: list[Future[Outcome]] = []
        self.is_closed = False
        self.begun: dict[tuple[int, int], float] = {}

    def submit(self, job: Job) -> "Future[Outcome]":
        self.submitted.append((job.number, job.attempt))
        self.begun[job.number, job.attempt] = time.monotonic()
        future: Future[Outcome] = Future()
        end = self._ends(job)
        if isinstance(end, BaseException):
            future.set_exception(end)
        elif end is not None:
            future.set_result(end)
        return future

    def cancel(self, future: "Future[Outcome]") -> None:
        self.cancelled.append(future)
        future.set_exception(WorkerLostError("cancelled"))

    def attach(self, job: Job) -> "Future[Outcome] | None":
        return self.attached.get(job.number)

    def place(self, future: "Future[Outcome]") -> str:
        return "here"

    def close(self) -> None:
        self.is_closed = True


class Silent:
    """Shows nothing."""

    slots = 1

    def running(self, jobs: dict[int, float]) -> None:
        self.last = jobs


def returned(job: Job, value: Any = 1.0) -> Outcome:
    return Outcome(job.number, job.attempt, "returned", value, seconds=0.1)


def lost(job: Job) -> WorkerLostError:
    return WorkerLostError(f"{job.number}")


def drive(work: Any, engine: Any, max_attempts: int = 3, seconds: float | None = None, jobs: int | None = None) -> None:
    """Run one driver."""
    Driver(work, engine, Silent(), work.folder, max_attempts, seconds, jobs, engine.begun).run()
