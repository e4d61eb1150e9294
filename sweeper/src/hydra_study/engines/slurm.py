"""A SLURM job for each attempt at a job, through submitit; `cluster=local` does the same without SLURM.

Decisions: which jobs run is what squeue lists, by the path of their script: one call for all of them, without
accounting, and without a file of job ids that somebody else may have written or that a killed driver failed to write.
A job's outcome is the file that it leaves in the sweep folder; submitit's own results are not read. Jobs are submitted
as results come in, so they form no array; instead those of one number share a name, and SLURM (`singleton`) starts
none of them before the former one has ended.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

from hydra_study.engines import Job, Outcome, WorkerLostError
from hydra_study.engines.submission import Attempt, make_executor, private_folder
from hydra_study.errors import SweepError
from hydra_study.job import ENDED, read_outcome

LIST = {
    "slurm": ("squeue", f"--users={os.getuid()}", "--noheader", "--format=%i %T %o"),
    "local": ("ps", "-ww", f"-U{os.getuid()}", "-o", "pid=,stat=,args="),
}
LOOK, POLL = {"slurm": 1.0, "local": 0.2}, {"slurm": 10.0, "local": 1.0}  # seconds between looks for outcomes, for jobs
MAX_WAIT = 60.0  # seconds for an answer of SLURM
REPEAT = "fix this; the same command continues from here"
RETRIES = 5  # of a submission that SLURM refuses after it has accepted others
TAIL = 2000  # characters
NO_ANSWER = (OSError, subprocess.SubprocessError)
Key = tuple[int, int]  # number and attempt


class _Submitted(Future[Outcome]):
    """The future of a SLURM job."""

    def __init__(self, job: Job, job_id: str) -> None:
        super().__init__()
        self.job, self.key, self.id, self.is_canceled = job, (job.number, job.attempt), job_id, False


class Slurm:
    """Runs jobs on SLURM.

    Args:
        setup: See `make_engine`.
        folder: The sweep folder, which the nodes must see under the same path.
        cluster: `slurm`, or `local` for processes of this machine. None: slurm, which must be there.
        max_jobs: How many jobs are in SLURM's queue at once.
        parameters: Further ones of submitit's `SlurmExecutor`.
        settings: Those that ENGINES lists; None for SLURM's own default.

    Raises:
        SweepError: There is no SLURM, it does not answer, or a setting is wrong.
    """

    def __init__(
        self,
        setup: bytes,
        folder: Path,
        /,
        cluster: str | None = None,
        max_jobs: int = 100,
        parameters: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self._cluster = cluster or "slurm"
        if self._cluster not in LIST:
            raise SweepError(f"hydra.sweeper.engine.cluster={cluster}: must be slurm, local or null")
        if not isinstance(max_jobs, int) or max_jobs < 1:
            raise SweepError(f"hydra.sweeper.engine.max_jobs={max_jobs}: must be a whole number of at least 1")
        if self._cluster == "slurm" and not shutil.which("sbatch"):
            raise SweepError(
                "hydra/sweeper/engine=slurm: this machine has no sbatch: start the sweep on a login node of a cluster, "
                "or add hydra.sweeper.engine.cluster=local"
            )
        self._setup, self._folder, self.slots, self.threads = setup, folder, max_jobs, settings.get("cpus_per_task")
        self._name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
        self._private, self._settings = private_folder() / self._name, settings | dict(parameters or {})
        make_executor(self._cluster, self._settings, self._private, "")  # refuses wrong settings at once
        self._running, self._ended = set[_Submitted](), set[Key]()
        self._logs, self._closed = folder / "logs", threading.Event()
        try:
            self._former = self._list()
        except NO_ANSWER as error:
            raise SweepError(f"{LIST[self._cluster][0]} does not answer: {error}") from error
        for old in self._private.glob("*-*"):
            if old.name not in {f"{number}-{attempt}" for number, attempt in self._former}:
                shutil.rmtree(old, ignore_errors=True)
        threading.Thread(target=self._watch, daemon=True).start()

    def submit(self, job: Job, retries: int = RETRIES) -> Future[Outcome]:
        """Submit a job, unless one that an earlier driver submitted is there and is not about to end."""
        if (states := self._former.get((job.number, job.attempt))) and {*states.values()} != {"COMPLETING"}:
            return self._add(job, min(states))
        self._logs.mkdir(exist_ok=True)
        (self._logs / f"{job.number}.json").unlink(missing_ok=True)
        private = self._private / f"{job.number}-{job.attempt}"
        try:
            executor = make_executor(self._cluster, self._settings, private, f"{self._name}-{job.number}")
            return self._add(job, executor.submit(Attempt(self._setup, job)).job_id)
        except (RuntimeError, OSError) as error:
            if not retries or not (self._running or self._ended):
                raise SweepError(f"SLURM refused job {job.number}: {error}: {REPEAT}") from error
        time.sleep(POLL[self._cluster])
        return self.submit(job, retries - 1)

    def attach(self, job: Job) -> Future[Outcome] | None:
        """Return the future of a job that an earlier driver submitted, unless it has ended."""
        states = self._former.get((job.number, job.attempt))
        return self._add(job, min(states)) if states else None

    def _add(self, job: Job, job_id: str) -> Future[Outcome]:
        future = _Submitted(job, job_id)
        self._running.add(future)
        return future

    def cancel(self, future: Future[Outcome]) -> None:
        """End a job at once; SLURM may take some seconds, and starts no other attempt at it before."""
        assert isinstance(future, _Submitted)
        if not future.is_canceled:
            self._kill(future.key)
            future.is_canceled = True

    def place(self, future: Future[Outcome]) -> str:
        """Return the id of a job."""
        assert isinstance(future, _Submitted)
        return future.id

    def close(self) -> None:
        """Cancel all jobs that have not ended."""
        self._closed.set()
        self._kill()

    def _kill(self, *keys: Key) -> None:
        """End jobs, or all of this sweep that have not ended."""
        with suppress(*NO_ANSWER):
            listed = self._list()
            ids = [job_id for key in keys or listed.keys() - self._ended for job_id in listed.get(key, {})]
            if self._cluster == "local":
                for job_id, kill in product(ids, (os.killpg, os.kill)):
                    with suppress(ProcessLookupError):
                        kill(int(job_id), signal.SIGKILL)
            elif ids:
                for how in ("--signal=INT", "--quiet"):  # submitit's jobs ignore SIGTERM
                    subprocess.run(["scancel", how, *ids], capture_output=True, timeout=MAX_WAIT, check=False)

    def _list(self) -> dict[Key, dict[str, str]]:
        """Return the states of this sweep's jobs by their ids."""
        lines = subprocess.run(
            LIST[self._cluster], capture_output=True, text=True, errors="replace", timeout=MAX_WAIT, check=True
        ).stdout
        pattern = rf"^ *(\d+) (\S+) .*{re.escape(str(self._private))}/(\d+)-(\d+)(?:/|$)"
        listed: dict[Key, dict[str, str]] = {}
        for job_id, state, number, attempt in re.findall(pattern, lines, re.MULTILINE):
            listed.setdefault((int(number), int(attempt)), {})[job_id] = state
        return listed

    def _watch(self) -> None:
        """Resolve futures; a job that two lists in a row lack, and that left no outcome, is lost."""
        due, missed = 0.0, set[_Submitted]()
        while not self._closed.wait(LOOK[self._cluster]):
            self._collect()
            if not self._running or time.monotonic() < due:
                continue
            due, asked = time.monotonic() + POLL[self._cluster], self._running.copy()
            with suppress(*NO_ANSWER):  # SLURM restarts
                listed = self._list()
                self._collect()
                gone = {future for future in asked & self._running if future.key not in listed}
                for future in gone & missed:
                    self._lose(future)
                missed = gone
                for future in (asked & self._running) - gone:
                    if not future.running() and (self._cluster == "local" or "RUNNING" in listed[future.key].values()):
                        future.set_running_or_notify_cancel()

    def _collect(self) -> None:
        with suppress(OSError):
            os.close(os.open(self._logs, os.O_RDONLY))  # makes a network file system look again
        for future in self._running.copy():
            if outcome := read_outcome(self._folder, future.job, (*ENDED, "stop")):
                self._end(future, outcome)
            elif future.is_canceled:
                self._end(future, WorkerLostError("canceled"))

    def _end(self, future: _Submitted, how: Outcome | WorkerLostError) -> None:
        self._running.discard(future)
        self._ended.add(future.key)
        future.set_result(how) if isinstance(how, Outcome) else future.set_exception(how)

    def _lose(self, future: _Submitted) -> None:
        """Record that a job was lost, and what SLURM wrote about it."""
        files = sorted((self._private / f"{future.job.number}-{future.job.attempt}").glob("*_log.err"))
        with suppress(OSError), (self._logs / f"{future.job.number}.log").open("a") as log:
            text = "".join(path.read_text(errors="replace") for path in files)
            log.write(f"SLURM job {future.id} ended without a result. {text[-TAIL:]}\n")
        self._end(future, WorkerLostError(f"SLURM job {future.id}"))
