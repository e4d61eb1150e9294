"""The loop of one process: claim a trial, run its job, record how it ended."""

import contextlib
import errno
import math
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from optuna.trial import FrozenTrial, TrialState

from hydra_study import job
from hydra_study import trial as trial_jobs
from hydra_study.errors import SweepError, printable
from hydra_study.progress import Progress, best_first
from hydra_study.queue import Claim, Owner, Queue, owner_of
from hydra_study.signals import SIGNALS, received, undisturbed
from hydra_study.storage import RETRIED, patiently

POLL = 0.25  # seconds between checks of trials that others run
JOIN = 5.0  # seconds to wait for a thread, which may hang in a dead connection
LONG_WAIT = 30.0  # seconds of waiting before a line is printed
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # not the trial's fault
ENDED_FROM_OUTSIDE = tuple(128 + number for number in SIGNALS)


class Worker:
    """Runs trials of a study one after the other.

    Args:
        queue: The study.
        launcher: Hydra's, which runs a job and waits for it.
        folder: The sweep folder.
        settings: `hydra.sweeper`, as plain values.
        progress: Prints to the terminal.
        arguments: The overrides of the command, which those of a trial replace in its job's command line.
    """

    def __init__(
        self,
        queue: Queue,
        launcher: Launcher,
        folder: Path,
        settings: dict[str, Any],
        progress: Progress,
        arguments: Sequence[str],
    ) -> None:
        self.queue, self.launcher, self.folder, self.settings = queue, launcher, folder, settings
        self.progress, self.arguments = progress, arguments
        self._waited = 0.0

    def work(self, supervisor: int | None = None) -> bool:
        """Run trials until none is left; return whether this process, an isolated one, ends after one trial.

        A worker whose `supervisor` process is gone ends after its trial.
        """
        owner = Owner(self.queue.storage)
        try:
            while True:
                if supervisor is not None and os.getppid() != supervisor:
                    return False
                claim = self._patiently(lambda: self.queue.claim(owner))
                if claim is False:
                    return False
                if claim is True:
                    self._wait()
                    continue
                self._run(claim)
                if self.settings["isolate"]:
                    return True
        except BaseException:  # an interrupt, in whatever line of a claim or a trial, or a full disk
            with undisturbed(), contextlib.suppress(*RETRIED):  # others see that this process is gone
                self.queue.release(owner)
            raise
        finally:
            owner.close()

    def _wait(self) -> None:
        """Wait for trials of other workers, which may come back; print a line if it takes long."""
        self._waited += POLL
        if abs(self._waited - LONG_WAIT) < POLL / 2:
            trials = [trial for trial in self.queue.trials() if trial.state == TrialState.RUNNING]
            waiting = [f"{t.number} on {printable(owner_of(t).get('host', '?'))}" for t in trials]
            self.progress.print(f"waiting for trials that others run: {', '.join(waiting)}")
        time.sleep(POLL)

    def _patiently(self, do: Any) -> Any:
        return patiently(do, self.settings["patience"], self.progress.print)

    def _run(self, claim: Claim) -> None:
        number = claim.trial.number
        log = self.folder / "logs" / f"{number}.log"
        beating, showing = _beating(self.queue, number), self._showing(claim)
        output = _output(log, self.settings["show_output"])
        with self._as_job(claim), beating, showing, output:
            values, state, error = self._launch(claim, log)
            if received:  # whatever the job raised instead: OmegaConf's cleanup raises an AttributeError
                raise KeyboardInterrupt
        self._patiently(lambda: self.queue.tell(claim, values, state, error))
        trials = self._patiently(self.queue.trials)
        self._discard(trials)
        self.progress.finished(trials, number)

    def _launch(self, claim: Claim, log: Path) -> tuple[list[float] | None, TrialState, str]:
        try:
            (job,) = self.launcher.launch([claim.overrides], initial_job_idx=claim.trial.number)
        except SystemExit as error:
            if error.code in ENDED_FROM_OUTSIDE:
                raise KeyboardInterrupt from error
            return None, TrialState.FAIL, f"the job ended the process: exit code {error.code}"
        except Exception as error:  # before the job, or a launcher's process for it, has started
            return self._failure(error, log)
        if job.hydra_cfg is not None:
            place = os.path.relpath(job.hydra_cfg.hydra.runtime.output_dir, self.folder.absolute())
            if place != str(claim.trial.number):
                claim.trial.set_user_attr("folder", place)
        return self._outcome(job, log)

    def _failure(self, error: Exception, log: Path) -> tuple[None, TrialState, str]:
        """Return the outcome of a trial that raised an error, and write the error to its log.

        Raises:
            SweepError: It is not the trial's fault.
        """
        if isinstance(error, optuna.TrialPruned):
            return None, TrialState.PRUNED, ""
        if isinstance(error, SweepError):  # the job stops the sweep
            raise error
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            raise SweepError(f"{error}: fix this; the same command continues from here") from error
        with contextlib.suppress(OSError), log.open("a") as file:
            traceback.print_exception(error, file=file)
        return None, TrialState.FAIL, f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]

    def _outcome(self, job: JobReturn, log: Path) -> tuple[list[float] | None, TrialState, str]:
        if job.status != JobStatus.COMPLETED:
            return self._failure(job._return_value, log)  # return_value would print and raise it
        returned = job.return_value
        try:
            values = [float(v) for v in (returned if isinstance(returned, list | tuple) else [returned])]
        except (TypeError, ValueError, OverflowError):
            return None, TrialState.FAIL, f"the job returned {returned!r:.100}: must be a number, or a list of them"
        if len(values) != len(self.queue.directions):
            wanted = len(self.queue.directions)
            return None, TrialState.FAIL, f"the job returned {len(values)} scores for {wanted} directions"
        if any(math.isnan(value) for value in values):
            return None, TrialState.PRUNED, "the score is not a number (NaN)"
        return values, TrialState.COMPLETE, ""

    @contextlib.contextmanager
    def _showing(self, claim: Claim) -> Iterator[None]:
        """Show once a second that the trial runs."""
        began, params = time.monotonic(), claim.trial.params

        def show() -> None:
            self.progress.running(claim.trial.number, time.monotonic() - began, params)

        with _every(1.0 if self.progress.is_watched else None, show):
            yield

    @contextlib.contextmanager
    def _as_job(self, claim: Claim) -> Iterator[None]:
        """Make this process look like a single run of the job, to the job and to processes that it starts.

        Lightning's DDP starts `sys.argv` again, which would be the sweep.
        """
        number, argv = claim.trial.number, sys.argv
        kept = [item for item in argv[1:] if item not in ("-m", "--multirun") and item not in self.arguments]
        sys.argv = [argv[0], *kept, *claim.overrides]
        trial_jobs.running[number] = claim.trial
        os.environ[job.MARK] = str(number)
        try:
            yield
        finally:
            sys.argv = argv
            del trial_jobs.running[number], os.environ[job.MARK]

    def _discard(self, trials: list[FrozenTrial]) -> None:
        """Remove `discard` from the finished trials that are not among the best."""
        if self.settings["keep_best"] is None:
            return
        best = best_first(self.queue, trials)[: self.settings["keep_best"]]
        kept = {trial.number for trial in best}
        for trial in trials:
            if trial.state.is_finished() and trial.number not in kept:
                place = str(trial.user_attrs.get("folder", trial.number))
                path = self.folder / place / self.settings["discard"]
                # The job ran elsewhere, or another program has changed the folder's name in the storage.
                if not path.parent.resolve().is_relative_to(self.folder.resolve()):
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _beating(queue: Queue, number: int) -> Iterator[None]:
    """Record heartbeats of this worker in the background, if the storage supports them."""
    with _every(queue.beat_interval, lambda: queue.beat(number)):
        yield


@contextlib.contextmanager
def _every(seconds: float | None, do: Callable[[], None]) -> Iterator[None]:
    """Call `do` every few `seconds` in the background; never if they are None."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(seconds):
            with contextlib.suppress(Exception):  # unreachable: the next call may succeed
                do()

    thread = threading.Thread(target=loop, daemon=True)
    if seconds is not None:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if thread.is_alive():
            thread.join(JOIN)


@contextlib.contextmanager
def _output(log: Path, show: bool) -> Iterator[None]:
    """Redirect the output of the job and its child processes to a file."""
    if show:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    saved = os.dup(1), os.dup(2)
    with log.open("a", buffering=1) as file:
        try:
            for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
                stream.flush()
                os.dup2(file.fileno(), descriptor)
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        finally:
            for descriptor, original in zip((1, 2), saved, strict=True):
                os.dup2(original, descriptor)
                os.close(original)
