"""Jobs in the driver's own process, one after the other: for a debugger."""

import copy
from concurrent.futures import Future

from hydra.core.singleton import Singleton

from hydra_study.engines import Job, Outcome
from hydra_study.job import Setup, prepare, run


class Inline:
    """Runs each job where it is submitted."""

    slots = 1
    threads: int | None = None

    def __init__(self, setup: Setup) -> None:
        self._before = Singleton.get_state()
        prepare(setup)

    def submit(self, job: Job) -> "Future[Outcome]":
        """Run a job."""
        future: Future[Outcome] = Future()
        future.set_result(run(job))
        return future

    def cancel(self, future: "Future[Outcome]") -> None:
        """Do nothing: a job that runs here has ended before anything else happens."""

    def attach(self, job: Job) -> None:
        """Return None."""

    def place(self, future: "Future[Outcome]") -> str:
        """Return the only place."""
        return "0"

    def close(self) -> None:
        """Restore Hydra's state."""
        Singleton.set_state(copy.copy(self._before))
