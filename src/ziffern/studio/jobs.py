"""Trainings that the page started; each job is a process that outlives the page.

A job is a folder: `job.json` has the requested trainings; `lock` is held by its processes, worker and training, from
before the first of them starts (the kernel releases it, however they end); `N.json` records how training N ended,
`N.log` has what it printed, and `N.failure.json` why it failed. Everything else about a training is in its run
folder. So a page that was reloaded, or a server that was restarted, finds all of it.
"""

import fcntl
import json
import os
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

from ziffern.config.command import quoted_value
from ziffern.errors import InputError
from ziffern.files.atomic import write_json
from ziffern.training.callbacks import STOP

if TYPE_CHECKING:  # the worker must start at once
    from ziffern.runs.run import Run
    from ziffern.studio.workspace import Workspace

MAX_TRAININGS = 12  # in one job
MAX_JOBS = 8  # running at the same time
MAX_SHOWN = 12
# One thread, on any machine and under any load: other numbers of threads round differently and so give other results,
# two trainings at once would slow each other down, and the page's small models gain little from a second thread.
THREADS = "threads=1"
_workers: list[subprocess.Popen[bytes]] = []  # polled, so that none remains as a zombie


class State(StrEnum):
    """The state of a training."""

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
    reason: str  # the signal that ended it, or the last line that it printed before it failed
    failure_file: Path  # the texts of the error that ended it (`ziffern.studio.worker`)

    def failure(self, language: str) -> str:
        """Return why it failed; empty if that is unknown."""
        return str(_read(self.failure_file).get(language, ""))

    @property
    def command(self) -> str:
        """The command to type for it."""
        return shlex.join(["ziffern", "train", *self.overrides])

    @cached_property
    def run(self) -> "Run":
        """Its run."""
        from ziffern.runs.run import Run

        return Run(self.folder)

    @cached_property
    def last_event(self) -> dict[str, Any]:
        """The last step or epoch that it reported, and whether all epochs are done; empty before the first."""
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
    """The trainings that were started with one press of the button."""

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
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two observers do not see each other's lock
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has stopped it."""
        return (self.folder / "stop").exists()

    def failure_file(self, number: int) -> Path:
        """Return where a training writes why it failed."""
        return self.folder / f"{number}.failure.json"

    def trainings(self) -> list[Training]:
        """Return its trainings, with their states as they are now."""
        at_work, is_stopping = self.is_at_work, self.is_stopping
        trainings: list[Training] = []
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
            elif not (self.folder / f"{number}.log").exists() and (lines := _lines(self.folder / "worker.log")):
                state, reason = State.FAILED, lines[-1]
            else:
                state, reason = State.STOPPED if is_stopping else State.INTERRUPTED, ""
            failure_file = self.failure_file(number)
            trainings.append(Training(number, tuple(one["overrides"]), folder, state, reason, failure_file))
        return trainings

    def stop(self) -> None:
        """Stop it after the current epoch, with the best model tested; no further training starts."""
        (self.folder / "stop").touch()
        ended = [(self.folder / f"{number}.json").exists() for number in range(len(self.plan))]
        if not all(ended):  # the one that is running, or about to start
            folder = Path(self.plan[ended.index(False)]["folder"])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / STOP).touch()

    def stop_now(self) -> None:
        """Stop it at once; the results of complete epochs remain."""
        (self.folder / "stop").touch()
        worker = _read(self.folder / "worker.json").get("pid")
        if isinstance(worker, int) and self.is_at_work:
            os.killpg(worker, signal.SIGTERM)  # the lock is held, so the group is still its own


def with_threads(overrides: Sequence[str]) -> list[str]:
    """Return overrides that set the number of threads."""
    return [*overrides] if any(item.startswith("threads=") for item in overrides) else [*overrides, THREADS]


def start(workspace: "Workspace", trainings: Sequence[Sequence[str]]) -> Job:
    """Start trainings, each given by its overrides, one after the other in a separate process.

    Raises:
        InputError: There are none, or too many.
    """
    if not trainings:
        raise InputError("studio.job.empty")
    if len(trainings) > MAX_TRAININGS:
        raise InputError("studio.job.too_many_trainings", count=len(trainings), limit=MAX_TRAININGS)
    name = workspace.unique_name()
    planned = [
        {"overrides": with_threads(overrides), "folder": str(run_folder(workspace, overrides, name, number))}
        for number, overrides in enumerate(trainings)
    ]
    with _one_at_a_time(workspace):
        return _begin(workspace, name, planned)


def resume(workspace: "Workspace", training: Training) -> Job:
    """Continue an interrupted training from its last checkpoint.

    Raises:
        InputError: It is being trained.
    """
    with _one_at_a_time(workspace):
        if training.folder in [active.folder for active in active_trainings(workspace)]:
            raise InputError("studio.job.running", name=training.folder.name)
        checkpoint = training.folder / "checkpoints/last.ckpt"
        more = [f"ckpt_path={quoted_value(checkpoint)}"] if checkpoint.is_file() else []
        kept = with_threads([item for item in training.overrides if not item.startswith("ckpt_path=")])
        planned = {"overrides": [*kept, *more], "folder": str(training.folder)}
        return _begin(workspace, workspace.unique_name(), [planned])


def jobs(workspace: "Workspace") -> list[Job]:
    """Return the jobs of a workspace, the newest first."""
    folder = workspace.jobs_folder
    folders = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
    existing = [Job(each) for each in folders if (each / "job.json").is_file()]
    return [job for place, job in enumerate(existing) if place < MAX_SHOWN or job.is_at_work]


def active_trainings(workspace: "Workspace") -> list[Training]:
    """Return the trainings that are running or waiting."""
    return [training for job in jobs(workspace) for training in job.trainings() if training.state in ACTIVE]


def run_folder(workspace: "Workspace", overrides: Sequence[str], name: str, number: int) -> Path:
    """Return the folder of a run, named by its model or recipe and the time."""
    first = overrides[0].partition("=")[2]
    return (workspace.runs_folder / f"{first}_{name}-{number}").absolute()


def _one_at_a_time(workspace: "Workspace") -> FileLock:
    """Return a lock that prevents any other tab or server from starting a job."""
    workspace.jobs_folder.mkdir(parents=True, exist_ok=True)
    return FileLock(workspace.jobs_folder / ".lock")


def _begin(workspace: "Workspace", name: str, planned: list[dict[str, Any]]) -> Job:
    if sum(job.is_at_work for job in jobs(workspace)) >= MAX_JOBS:
        raise InputError("studio.job.too_many_jobs", count=MAX_JOBS)
    folder = (workspace.jobs_folder / name).absolute()
    folder.mkdir(parents=True)
    with (folder / "worker.log").open("wb") as log, (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # inherited: held until the last process that has it ends
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
    return _parsed("\n".join(_lines(path)))
