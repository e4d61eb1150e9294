"""Worker processes on this machine: for each slot a pool of one process, so that a worker that dies takes only its job.

Decisions: loky starts fresh processes, which run no line of the user's script; a worker keeps what its first job has
imported, and is replaced where a job leaves a process group behind, as DDP does. A worker has a group of processes of
its own: it is killed with all that its job has started, by the driver or, if that was killed, by itself.
"""

import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from weakref import WeakKeyDictionary

from loky import ProcessPoolExecutor

from hydra_study.engines import Job, Outcome, WorkerLostError
from hydra_study.job import has_process_group, receive, run

POLL = 0.2  # seconds between looks at the parent
GRACE = 3.0  # seconds for interrupted jobs
ALIVE = ".workers"  # in the sweep folder; living workers hold a lock on it
KEEPS_GROWN = "LOKY_MAX_MEMORY_LEAK_SIZE"  # bytes; loky would replace a worker that grew by 300 MB
MAX_WAIT = 15.0  # seconds for the workers of a killed driver to end


_broken: list[str] = []  # why this worker process can run no job


class _Slot:
    """One worker process, and its successors."""

    def __init__(self, name: str, start: tuple[bytes, Path], environment: Mapping[str, str]) -> None:
        self.name, self._start, self._environment = name, start, environment
        self.is_free = True
        self.renew()

    def renew(self) -> None:
        """Start a process, which prepares itself while the driver goes on."""
        self._pool = ProcessPoolExecutor(
            1, env={KEEPS_GROWN: "1e18", **self._environment}, initializer=_begin, initargs=(*self._start, os.getpid())
        )
        self._pool.submit(os.getpid)
        self._is_usable = True

    def run(self, job: Job, is_last: bool) -> "Future[Outcome]":
        """Run a job; with `is_last` in a process that no other job uses."""
        mine: Future[Outcome] = Future()
        mine.set_running_or_notify_cancel()
        self.is_free = False

        def end(future: "Future[tuple[Outcome, bool]]") -> None:
            error = future.exception()
            self._is_usable = error is None and not (is_last or future.result()[1])
            if not self._is_usable:
                self.signal(signal.SIGKILL)
            self.is_free = True  # before the driver wakes up
            if error is None:
                mine.set_result(future.result()[0])
            else:
                mine.set_exception(WorkerLostError(type(error).__name__))

        for _ in range(2):
            if not self._is_usable:
                self.renew()
            try:
                self._pool.submit(_run, job).add_done_callback(end)
                break
            except Exception:  # it died while it was idle
                self._is_usable = False
        else:
            self.is_free = True
            mine.set_exception(WorkerLostError("no process could be started"))
        return mine

    def signal(self, number: int) -> None:
        """Send a signal to the process and all that its job has started."""
        for pid in list(self._pool._processes or ()):
            try:
                os.killpg(pid, number)
            except (ProcessLookupError, PermissionError):  # it has no group yet, or has ended
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def close(self) -> None:
        """Kill the process."""
        self.signal(signal.SIGKILL)
        self._pool.shutdown(wait=False, kill_workers=True)


class Local:
    """Runs jobs in worker processes.

    Args:
        setup: See `make_engine`.
        folder: The sweep folder.
        environments: Variables for each slot's processes.
        isolate: Run each job in a fresh process.
    """

    def __init__(
        self, setup: bytes, folder: Path, environments: Sequence[Mapping[str, str]], isolate: bool = False
    ) -> None:
        self._isolate, self.slots = isolate, len(environments)
        self.threads: int | None = None
        _wait_for_workers(folder / ALIVE)
        start = setup, folder.absolute() / ALIVE
        self._slot_of: WeakKeyDictionary[Future[Outcome], _Slot] = WeakKeyDictionary()
        self._slots: list[_Slot] = []
        try:
            for number, environment in enumerate(environments):
                self._slots.append(_Slot(str(number), start, environment))
        except BaseException:
            self.close()
            raise

    def submit(self, job: Job) -> "Future[Outcome]":
        """Run a job in a free process."""
        slot = next(slot for slot in self._slots if slot.is_free)
        future = slot.run(job, self._isolate)
        self._slot_of[future] = slot
        return future

    def cancel(self, future: "Future[Outcome]") -> None:
        """Kill the process of a job."""
        if not future.done():
            self._slot_of[future].signal(signal.SIGKILL)

    def attach(self, job: Job) -> None:
        """Return None: workers do not outlive their driver."""

    def place(self, future: "Future[Outcome]") -> str:
        """Return the number of the job's slot."""
        return self._slot_of[future].name

    def close(self) -> None:
        """Interrupt running jobs, then kill all workers."""
        running = [future for future in self._slot_of if not future.done()]
        for future in running:
            self._slot_of[future].signal(signal.SIGINT)
        wait(running, GRACE)
        for slot in self._slots:
            slot.close()


def _wait_for_workers(lock: Path) -> None:
    """Wait until the workers of a driver that was killed have ended."""
    end = time.monotonic() + MAX_WAIT
    with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)) as file:
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(POLL / 4)


def _begin(setup: bytes, lock: Path, driver: int) -> None:
    """Prepare a worker process."""
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)
    fcntl.flock(os.open(lock, os.O_RDONLY), fcntl.LOCK_SH)
    threading.Thread(target=_end_with, args=(driver, os.getpid()), daemon=True).start()
    try:
        receive(setup)
    except Exception as error:  # such as a module that cannot be imported here
        _broken.append(f"a worker cannot load the job ({type(error).__name__}: {error}): see what its module imports")


def _end_with(driver: int, worker: int) -> None:
    while os.getppid() == driver:
        time.sleep(POLL)
    os.killpg(worker, signal.SIGKILL)


def _run(job: Job) -> tuple[Outcome, bool]:
    """Return a job's outcome, and whether the process cannot run another one."""
    if _broken:
        return Outcome(job.number, job.attempt, "stop", error=_broken[0]), True
    return run(job), has_process_group()
