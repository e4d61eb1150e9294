"""The process behind a job: trains what job.json says, one after the other, and notes how each ended.

It is given the job's lock, and hands it on to each training, so that the job is at work as long as any of them lives. A
training is `ziffern train`, as it would be typed. A SIGTERM that nobody here asked for (a shutdown) ends the
training, which can go on later, and begins no other.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ziffern.files.atomic import write_json
from ziffern.studio.jobs import Job, State, quoted
from ziffern.training.callbacks import STOP

FROM_OUTSIDE = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes of a training that was told to end


def work(folder: Path, lock: int) -> None:
    """Work on the job in `folder`, whose lock is the open file `lock`, until it is done or was asked to stop."""
    told: list[int] = []
    at_work: list[subprocess.Popen[bytes]] = []

    def tell(number: int, _: object) -> None:
        told.append(number)
        for training in at_work:
            training.terminate()  # how it ended is noted

    signal.signal(signal.SIGTERM, tell)
    job = Job(folder)
    for number, one in enumerate(job.plan):
        run = Path(one["folder"])
        (run / STOP).unlink(missing_ok=True)  # of an earlier attempt; one that comes from here on is meant
        if not job.is_stopping and not told:
            train(job, number, one["overrides"], run, lock, at_work, told)


def train(
    job: Job,
    number: int,
    overrides: list[str],
    run: Path,
    lock: int,
    at_work: list[subprocess.Popen[bytes]],
    told: Sequence[int],
) -> None:
    """Train once, and note how it ended; at once, where a signal has `told` so in the moment before."""
    program = "import sys; sys.argv[0] = 'ziffern'; from ziffern.cli.main import main; main()"
    command = [sys.executable, "-c", program, "train", *overrides, f"hydra.run.dir={quoted(run)}"]
    log = job.folder / f"{number}.log"
    with log.open("wb") as file:
        training = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=(lock,))
        at_work[:] = [training]
        if told:
            training.terminate()
        code = training.wait()
    state, reason = State.DONE, ""
    if code:
        said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        reason = errors[-1] if errors else said[-1] if said else ""
        state = State.STOPPED if job.is_stopping and not errors else State.FAILED
        if code < 0 or code in FROM_OUTSIDE:
            state = State.STOPPED if job.is_stopping else State.INTERRUPTED  # somebody else's doing: it can go on
            told_by = -code if code < 0 else code - 128
            reason = next((each.name for each in signal.Signals if each == told_by), f"signal {told_by}")
    elif job.is_stopping:
        state = State.STOPPED
    write_json(job.folder / f"{number}.json", {"state": state, "reason": reason})


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
