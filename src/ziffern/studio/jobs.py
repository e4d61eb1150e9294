"""Trainings that the page started, each job a process of its own that outlives the page.

A job is a folder: `job.json` says what was asked for, `lock` is held by whatever works on it, worker and training, from
before the first of them begins (the kernel releases it, however they end), `N.json` says how training N ended, `N.log`
what it printed. Whatever else is known of a training stands in its run folder. So a page that was reloaded, or a server
that was killed, finds all of it.
"""

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ziffern.errors import InputError
from ziffern.files.atomic import write_json
from ziffern.studio.names import unique
from ziffern.training.callbacks import STOP

if TYPE_CHECKING:  # the worker must start at once
    from ziffern.runs.run import Run
    from ziffern.studio.workspace import Workspace

MOST_TRAININGS = 12  # in one job
MOST_JOBS = 8  # at work at the same time
MOST_SHOWN = 12
# One thread, on any machine and under any load: other numbers of threads round differently and so give other results;
# two trainings at once would slow one another down; and the page's small models gain little from a second thread.
THREADS = "threads=1"
_workers: list[subprocess.Popen[bytes]] = []  # asked how they are, so that none stays as a zombie


class State(StrEnum):
    """How far a training is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


ACTIVE = (State.WAITING, State.RUNNING)


@dataclass(frozen=True)
class Training:
    """One training of a job."""

    number: int
    overrides: tuple[str, ...]  # as they would be typed
    folder: Path  # of its run
    state: State
    reason: str  # why it failed

    @property
    def command(self) -> str:
        """What to type for it."""
        return shlex.join(["ziffern", "train", *self.overrides])

    @property
    def run(self) -> "Run":
        """Its run."""
        from ziffern.runs.run import Run

        return Run(self.folder)

    @cached_property
    def last_event(self) -> dict[str, Any]:
        """The last step or epoch that it reported, and whether it has learned all; empty before the first."""
        learned = False
        for line in reversed(_lines(self.folder / "progress.jsonl")):
            event = _parsed(line)
            learned = learned or event.get("event") == "trained"
            if event.get("event") in ("step", "epoch"):
                return event | {"learned": learned}
            if event.get("event") == "start":
                return {}
        return {}


@dataclass(frozen=True)
class Job:
    """What was started with one press of the button."""

    folder: Path

    @cached_property
    def plan(self) -> list[dict[str, Any]]:
        """Overrides and run folder of each training."""
        try:
            plan = json.loads((self.folder / "job.json").read_text(encoding="utf-8"))["trainings"]
            return [{"overrides": [str(o) for o in one["overrides"]], "folder": str(one["folder"])} for one in plan]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    @property
    def began(self) -> str:
        """The time of day at which it was started."""
        hours = self.folder.name.partition("-")[2]
        return f"{hours[:2]}:{hours[2:4]}"

    @property
    def is_at_work(self) -> bool:
        """Whether a process works on it."""
        try:
            with (self.folder / "lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not see each other
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop."""
        return (self.folder / "stop").exists()

    def trainings(self) -> list[Training]:
        """Return its trainings, with their states as they are now."""
        at_work, is_stopping = self.is_at_work, self.is_stopping
        found: list[Training] = []
        for number, one in enumerate(self.plan):
            folder = Path(one["folder"])
            ended = _read(self.folder / f"{number}.json")
            if ended.get("state") in list(State):
                state, reason = State(ended["state"]), str(ended.get("reason", ""))
            elif at_work:
                state, reason = State.RUNNING if (self.folder / f"{number}.log").exists() else State.WAITING, ""
                if state is State.WAITING and is_stopping:
                    state = State.STOPPED
            elif (folder / "metrics.json").exists():
                state, reason = State.DONE, ""
            elif not (self.folder / f"{number}.log").exists() and (said := _lines(self.folder / "worker.log")):
                state, reason = State.FAILED, said[-1]
            else:
                state, reason = State.STOPPED if is_stopping else State.INTERRUPTED, ""
            found.append(Training(number, tuple(one["overrides"]), folder, state, reason))
        return found

    def stop(self) -> None:
        """Ask it to end after the epoch that is being trained, with the best model tested; begin nothing more."""
        (self.folder / "stop").touch()
        ended = [(self.folder / f"{number}.json").exists() for number in range(len(self.plan))]
        if not all(ended):  # the one that is being trained, or begun at this moment
            folder = Path(self.plan[ended.index(False)]["folder"])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / STOP).touch()

    def stop_now(self) -> None:
        """End it at once; what the last whole epoch left behind stays."""
        (self.folder / "stop").touch()
        worker = _read(self.folder / "worker.json").get("pid")
        if isinstance(worker, int) and self.is_at_work:
            os.killpg(worker, signal.SIGTERM)  # the lock is held, so the group is still its own


def with_threads(overrides: Sequence[str]) -> list[str]:
    """Return overrides that say how many threads a training takes."""
    return [*overrides] if any(item.startswith("threads=") for item in overrides) else [*overrides, THREADS]


def start(workspace: "Workspace", trainings: Sequence[Sequence[str]]) -> Job:
    """Start trainings, one after the other, in a process of their own.

    Args:
        workspace: Where to.
        trainings: The overrides of each.

    Raises:
        InputError: None, or too many.
    """
    if not trainings:
        raise InputError("no model is chosen: tick at least one")
    if len(trainings) > MOST_TRAININGS:
        raise InputError(f"{len(trainings)} trainings: at most {MOST_TRAININGS} at once")
    name = unique()
    planned = [
        {"overrides": with_threads(overrides), "folder": str(run_folder(workspace, overrides, name, number))}
        for number, overrides in enumerate(trainings)
    ]
    with _one_at_a_time(workspace):
        return _begin(workspace, name, planned)


def go_on(workspace: "Workspace", training: Training) -> Job:
    """Take up a training that was interrupted, where its last checkpoint is.

    Raises:
        InputError: It is being trained.
    """
    with _one_at_a_time(workspace):
        active = [each for job in jobs(workspace) for each in job.trainings() if each.state in ACTIVE]
        if training.folder in [each.folder for each in active]:
            raise InputError(f"{training.folder.name}: it is being trained: wait until it has ended")
        checkpoint = training.folder / "checkpoints/last.ckpt"
        more = [f"ckpt_path={quoted(checkpoint)}"] if checkpoint.is_file() else []
        kept = with_threads([item for item in training.overrides if not item.startswith("ckpt_path=")])
        return _begin(workspace, unique(), [{"overrides": [*kept, *more], "folder": str(training.folder)}])


def jobs(workspace: "Workspace") -> list[Job]:
    """Return the jobs of a workspace, the newest first."""
    folder = workspace.jobs_folder
    found = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
    there = [Job(each) for each in found if (each / "job.json").is_file()]
    return [job for place, job in enumerate(there) if place < MOST_SHOWN or job.is_at_work]


def run_folder(workspace: "Workspace", overrides: Sequence[str], name: str, number: int) -> Path:
    """Return the folder of a run: its model or recipe, and when."""
    first = overrides[0].partition("=")[2]
    return (workspace.runs_folder / f"{first}_{name}-{number}").absolute()


def quoted(path: Path) -> str:
    """Return a path as a value that Hydra's grammar takes, whatever characters are in it."""
    # Hydra's grammar minds backslashes before a quote alone.
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), str(path))
    return str(path) if all(c.isalnum() or c in "/._-" for c in str(path)) else f"'{escaped}'"


def _one_at_a_time(workspace: "Workspace") -> FileLock:
    """Return a lock under which nobody else begins a job, in whatever tab or server."""
    workspace.jobs_folder.mkdir(parents=True, exist_ok=True)
    return FileLock(workspace.jobs_folder / ".lock")


def _begin(workspace: "Workspace", name: str, planned: list[dict[str, Any]]) -> Job:
    if sum(job.is_at_work for job in jobs(workspace)) >= MOST_JOBS:
        raise InputError(f"{MOST_JOBS} trainings are at work already: wait until one has ended, or stop one")
    folder = (workspace.jobs_folder / name).absolute()
    folder.mkdir(parents=True)
    with (folder / "worker.log").open("wb") as log, (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # handed on: held until the last process that has it ends
        number = lock.fileno()
        write_json(folder / "job.json", {"trainings": planned})  # from here on it is a job
        worker = subprocess.Popen(
            [sys.executable, "-m", "ziffern.studio.worker", str(folder), str(number)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(number,),
        )
        write_json(folder / "worker.json", {"pid": worker.pid})
    _workers[:] = [each for each in (*_workers, worker) if each.poll() is None]
    return Job(folder)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _parsed(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


def _read(path: Path) -> dict[str, Any]:
    lines = _lines(path)
    return _parsed("\n".join(lines)) if lines else {}
