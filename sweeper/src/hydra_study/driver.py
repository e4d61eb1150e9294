"""The loop of the one process that gives out jobs and records how they end."""

import contextlib
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from hydra_study.engines import Engine, Job, Outcome, WorkerLostError
from hydra_study.errors import SweepError, printable
from hydra_study.job import ENDED, read_outcome
from hydra_study.signals import received, undisturbed

LOCK, HOLDER = ".driver.lock", ".driver"
TICK = 1.0  # seconds between looks at time limits and the terminal
MAX_HOLDER = 1000  # bytes


class Work(Protocol):
    """The jobs of a sweep, and the record of how they ended."""

    extra: list[str]
    """Overrides of all jobs besides their own."""

    def unfinished(self) -> list[Job]:
        """Return the jobs that an earlier driver has begun, as it submitted them."""
        ...

    def take(self) -> Job | None:
        """Return the next new job, begun; None if there is none."""
        ...

    def may_begin(self) -> bool:
        """Return whether another job may begin; not after too many failures."""
        ...

    def begin(self, job: Job) -> None:
        """Record that another attempt begins."""
        ...

    def end(self, outcome: Outcome, place: str) -> None:
        """Record how a job ended, and on which worker."""
        ...

    def suspend(self, jobs: list[Job]) -> None:
        """Record that these jobs were interrupted together with their driver, which does not count as an attempt."""
        ...

    def answer(self, message: dict[str, Any]) -> Any:
        """Answer a message from a job; called in another thread."""
        ...


class Shows(Protocol):
    """Shows the user what runs."""

    slots: int
    """How many jobs run at once."""

    def running(self, jobs: dict[int, float]) -> None:
        """Show the running jobs, with the seconds since they began."""
        ...


class Driver:
    """Runs a sweep's jobs on an engine.

    Args:
        work: The jobs.
        engine: Where they run.
        shows: The terminal.
        folder: The sweep folder.
        max_attempts: A job whose worker died this many times has failed; deaths in earlier launches do not count.
        max_seconds: Of one attempt; None without a limit.
        max_jobs: At once; None as many as the engine runs.
        begun: When an attempt began to run, by its job's number and its own; filled as the jobs say so, where an engine
            may let them wait. None: they run as soon as they are submitted.
    """

    def __init__(
        self,
        work: Work,
        engine: Engine,
        shows: Shows,
        folder: Path,
        max_attempts: int,
        max_seconds: float | None,
        max_jobs: int | None,
        begun: dict[tuple[int, int], float] | None = None,
    ) -> None:
        self._work, self._engine, self._shows, self._folder = work, engine, shows, folder
        self._max_attempts, self._max_seconds, self._max_jobs = max_attempts, max_seconds, max_jobs
        self._running: dict[Future[Outcome], Job] = {}
        self._runs_at_once = begun is None
        self._begun = {} if begun is None else begun
        self._first: deque[Job] = deque()  # begun by an earlier driver
        self._deaths: Counter[int] = Counter()  # of workers, by the number of the job
        self._last: deque[Job] = deque()  # that lost a worker: one that kills its worker must not delay others

    def run(self) -> None:
        """Run jobs until none is left.

        Raises:
            SweepError: A job has stopped the sweep.
        """
        try:
            self._resume()
            while True:
                slots = self._shows.slots = min(self._engine.slots, self._max_jobs or self._engine.slots)
                while len(self._running) < slots and (job := self._next()):
                    self._start(job)
                if not self._running:
                    return
                done, _ = wait(self._running, TICK, FIRST_COMPLETED)
                for future in done:
                    self._end(self._running.pop(future), future)
                self._look()
        finally:
            with undisturbed():
                self._engine.close()
                self._leave()

    def _resume(self) -> None:
        for job in self._work.unfinished():
            if outcome := read_outcome(self._folder, job):
                self._work.end(outcome, "")
            elif future := self._engine.attach(job):
                self._running[future] = job
                self._begun.setdefault((job.number, job.attempt), time.monotonic())
            else:  # the end of a driver does not count against its jobs
                (self._first if job.attempt <= 1 else self._last).append(job)

    def _next(self) -> Job | None:
        if not self._work.may_begin():
            return None
        if self._first:
            job = self._first.popleft()
        elif new := self._work.take():
            return new
        elif self._last:
            job = self._last.popleft()
        else:
            return None
        again = replace(job, attempt=job.attempt + 1)
        self._work.begin(again)
        return again

    def _start(self, job: Job) -> None:
        refused: Future[Outcome] = Future()  # until the engine has taken the job, which is no attempt otherwise
        self._running[refused] = job
        if self._runs_at_once:
            self._begun[job.number, job.attempt] = time.monotonic()
        future = self._engine.submit(job)
        self._running[future] = self._running.pop(refused)

    def _seconds(self, job: Job) -> float | None:
        """Return how long a job has been running; None while it waits."""
        began = self._begun.get((job.number, job.attempt))
        return None if began is None else time.monotonic() - began

    def _end(self, job: Job, future: "Future[Outcome]") -> None:
        seconds = self._seconds(job) or 0.0
        try:
            outcome = future.result()
        except WorkerLostError:
            outcome = read_outcome(self._folder, job) or Outcome(job.number, job.attempt, "interrupted")
        if outcome.kind == "stop":
            self._running[future] = job
            raise SweepError(outcome.error)
        if outcome.kind != "interrupted":
            self._work.end(outcome, self._engine.place(future))
            return
        if received:
            self._running[future] = job
            raise KeyboardInterrupt
        if self._max_seconds is not None and seconds >= self._max_seconds:
            error = f"ran for more than {self._max_seconds:g} seconds (trial_timeout)"
            late = replace(outcome, kind="failed", error=error, seconds=seconds)
            self._work.end(late, self._engine.place(future))
            return
        self._deaths[job.number] += 1
        if (deaths := self._deaths[job.number]) >= self._max_attempts:
            error = "its process died" + (f" {deaths} times" if deaths > 1 else "")
            self._work.end(replace(outcome, kind="failed", error=error), self._engine.place(future))
        else:
            self._last.append(job)

    def _look(self) -> None:
        seconds = {future: past for future, job in self._running.items() if (past := self._seconds(job)) is not None}
        for future, past in seconds.items():
            if self._max_seconds is not None and past >= self._max_seconds:
                self._engine.cancel(future)
        self._shows.running({self._running[future].number: past for future, past in seconds.items()})

    def _leave(self) -> None:
        """Record what became of the jobs that ran when the sweep ended early; a full disk leaves them as they are."""
        interrupted = []
        with contextlib.suppress(OSError):
            for future, job in self._running.items():
                ended = future.result() if future.done() and not future.exception() else None
                outcome = ended if ended and ended.kind in ENDED else read_outcome(self._folder, job)
                if outcome:
                    self._work.end(outcome, self._engine.place(future))
                else:
                    interrupted.append(job)
            self._work.suspend(interrupted)


@contextlib.contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Hold the lock of a sweep folder, so that no second driver writes to it.

    Raises:
        SweepError: Another driver holds it.
    """
    lock, holder = FileLock(folder / LOCK), folder / HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with contextlib.suppress(OSError), holder.open() as file:
            who = printable(file.read(MAX_HOLDER).strip())
            raise SweepError(f"{folder}: this sweep is running already, in {who}: stop that first, or wait") from None
        raise SweepError(f"{folder}: this sweep is running already: stop that process first, or wait") from None
    try:
        new = holder.with_name(f"{HOLDER}.new")
        new.unlink(missing_ok=True)
        new.write_text(f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        new.replace(holder)
        yield
    finally:
        lock.release()
