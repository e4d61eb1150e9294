"""The process behind a job: runs the trainings of job.json one after the other, and records how each ended.

It inherits the job's lock and hands it on to each training, so that the job is at work as long as any of them is alive.
A training is a process of `ziffern train`, which itself writes why it failed in each language, since it has the error
with its code and values; nothing parses what it printed. After a SIGTERM that the page did not send (a shutdown) the
training ends, and can be continued later, and no other starts.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ziffern.config.command import quoted_value
from ziffern.errors import InputError
from ziffern.files.atomic import write_json
from ziffern.studio.jobs import Job, State
from ziffern.text.catalog import Message
from ziffern.text.language import LANGUAGES
from ziffern.training.callbacks import STOP

FAILED = 2  # exit code of a training that has explained its error
FROM_OUTSIDE = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes of a training that was stopped by a signal
PROGRAM = """
import sys
from pathlib import Path
from ziffern.cli.main import main
from ziffern.studio.worker import record_failure
file = Path(sys.argv.pop(1))
sys.argv[0] = "ziffern"
record_failure(main, file)
"""


def record_failure(run: Callable[[], None], file: Path) -> None:
    """Run a command; if it exits because of an error that it has explained, write that error's texts to a file."""
    try:
        run()
    except SystemExit as end:
        error = end.__cause__ or end.__context__  # what was printed, or the error that was being handled
        message = error.message if isinstance(error, InputError) else None
        if isinstance(error, OSError):
            message = Message("studio.training.system", path=Path(error.filename or ""), why=error)
        if message is not None:
            write_json(file, {code: message.in_language(code) for code in LANGUAGES})
        raise


class Worker:
    """Runs the trainings of a job; each inherits `lock`, the number of an open file."""

    def __init__(self, job: Job, lock: int) -> None:
        self.job, self.lock = job, lock
        self._training: subprocess.Popen[bytes] | None = None
        self._is_terminated = False

    def run(self) -> None:
        """Run the trainings until all are done, or the job was asked to stop."""
        signal.signal(signal.SIGTERM, self._terminate)
        for number, one in enumerate(self.job.plan):
            run = Path(one["folder"])
            (run / STOP).unlink(missing_ok=True)  # of an earlier attempt; a later one counts
            if not self.job.is_stopping and not self._is_terminated:
                self._train(number, [*one["overrides"], f"hydra.run.dir={quoted_value(run)}"])

    def _terminate(self, number: int, frame: object) -> None:
        self._is_terminated = True
        if self._training is not None:
            self._training.terminate()  # _train records how it ended

    def _train(self, number: int, overrides: list[str]) -> None:
        log, failure = self.job.folder / f"{number}.log", self.job.failure_file(number)
        command = [sys.executable, "-c", PROGRAM, str(failure), "train", *overrides]
        with log.open("wb") as file:
            self._training = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=(self.lock,)
            )
            if self._is_terminated:  # since the last check
                self._training.terminate()
            code = self._training.wait()
        state, reason = self._outcome(code, log)
        write_json(self.job.folder / f"{number}.json", {"state": state, "reason": reason})

    def _outcome(self, code: int, log: Path) -> tuple[State, str]:
        """Return how a training ended by its exit code: its state, and the signal or the last line that it printed."""
        if code == 0:
            return State.STOPPED if self.job.is_stopping else State.DONE, ""
        if code < 0 or code in FROM_OUTSIDE:
            number = -code if code < 0 else code - 128
            name = next((each.name for each in signal.Signals if each == number), str(number))
            return State.STOPPED if self.job.is_stopping else State.INTERRUPTED, name  # it can be continued
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        state = State.STOPPED if self.job.is_stopping and code != FAILED else State.FAILED
        return state, lines[-1].removeprefix("error: ") if lines else ""


if __name__ == "__main__":
    Worker(Job(Path(sys.argv[1])), int(sys.argv[2])).run()
