"""The jobs of a plain multirun, which searches nothing: each is run once, and only once."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hydra_study.engines import Job, Outcome
from hydra_study.errors import SweepError
from hydra_study.identity import OTHER_CODE, difference, is_excepted
from hydra_study.job import ENDED, outcome_file
from hydra_study.lines import Lines

JOBS = "jobs.jsonl"


class Multirun:
    """The jobs of one multirun, and its record in the sweep folder.

    Args:
        folder: The sweep folder.
        jobs: The overrides of each.
        settings: `hydra.sweeper`, as plain values.
        plan: The composed configuration of the jobs, flat, and the version of their code.

    Raises:
        SweepError: The folder holds another multirun.
    """

    def __init__(
        self, folder: Path, jobs: Sequence[Sequence[str]], settings: dict[str, Any], plan: dict[str, Any]
    ) -> None:
        self.folder, self.jobs, self.settings = folder, [tuple(job) for job in jobs], settings
        self.extra: list[str] = []  # overrides added to all jobs, unless the command sets them
        self.on_end: Callable[[int], None] = lambda number: None  # called after a job has ended
        self._plan = {"jobs": [self._compared(job) for job in self.jobs], **plan}
        self.outcomes: dict[int, Outcome] = {}
        self._begun: dict[int, int] = {}  # attempts of the jobs that have not ended

    def open(self) -> None:
        """Open the record, or begin it."""
        path = self.folder / JOBS
        self._lines = Lines(path)
        try:
            was, *entries = self._lines.read() or [{"plan": self._plan}]
            self._check_same(was["plan"])
            for entry in entries:
                self._apply(entry)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise SweepError(f"{path}: not the record of a multirun ({error}): {self.another()}") from error
        if not self._lines.size:
            self._lines.append([{"plan": self._plan}])
        done = {number for number, outcome in self.outcomes.items() if outcome.kind != "failed"}
        self.earlier = len(done)
        for number in set(self.outcomes) - done:  # what failed is run again: its cause may have gone
            del self.outcomes[number]
            outcome_file(self.folder, number).unlink(missing_ok=True)  # which is of the same attempt, the first
        self._todo = deque(k for k in range(len(self.jobs)) if k not in done and k not in self._begun)

    def _compared(self, job: Sequence[str]) -> list[str]:
        return [line for line in job if not is_excepted(_key(line), self.settings["may_differ"])]

    def another(self) -> str:
        """Return how to begin anew."""
        return f"to start over, add hydra.sweep.dir={self.folder}-2"

    def _check_same(self, was: dict[str, Any]) -> None:
        if was["jobs"] != self._plan["jobs"]:
            raise SweepError(f"{self.folder} holds a multirun of other jobs: {self.another()}")
        if {"code"} <= was.keys() & self._plan.keys() and was["code"] != self._plan["code"]:
            raise SweepError(f"{self.folder}: this multirun was begun {OTHER_CODE}; {self.another()}")
        for part in (was.keys() & self._plan.keys()) - {"jobs", "code"}:
            if changed := difference(was[part], self._plan[part], "", self.settings["may_differ"]):
                then, now = changed
                raise SweepError(f"{self.folder}: this multirun was begun with {then}, now {now}: {self.another()}")

    def _apply(self, entry: dict[str, Any]) -> None:
        number = int(entry["number"])
        if not 0 <= number < len(self.jobs):
            raise LookupError(f"job {number}")
        if "kind" in entry:
            outcome = Outcome(**{field.name: entry[field.name] for field in fields(Outcome)})
            if outcome.kind not in ENDED or not all(isinstance(text, str) for text in (outcome.error, outcome.folder)):
                raise ValueError(f"kind {outcome.kind}")
            self.outcomes[number] = outcome
            self._begun.pop(number, None)
        else:
            self._begun[number] = int(entry["attempt"])
            self.outcomes.pop(number, None)

    @property
    def total(self) -> int:
        """The number of jobs."""
        return len(self.jobs)

    @property
    def left(self) -> int:
        """How many jobs have not ended."""
        return len(self.jobs) - len(self.outcomes)

    @property
    def failed(self) -> list[int]:
        """The jobs that failed."""
        return [number for number, outcome in sorted(self.outcomes.items()) if outcome.kind == "failed"]

    def may_begin(self) -> bool:
        """Return whether another job may begin."""
        maximum = self.settings["max_failures"]
        return not isinstance(maximum, int) or len(self.failed) < maximum

    def unfinished(self) -> list[Job]:
        """Return the jobs that an earlier driver has begun."""
        return [self._job(number, attempt) for number, attempt in sorted(self._begun.items())]

    def take(self) -> Job | None:
        """Return the next job."""
        if not self._todo:
            return None
        job = self._job(self._todo.popleft(), 1)
        self.begin(job)
        return job

    def _job(self, number: int, attempt: int) -> Job:
        keys = set(map(_key, self.jobs[number]))
        more = [line for line in self.extra if _key(line) not in keys]
        return Job(number, attempt, (*self.jobs[number], *more), {})

    def begin(self, job: Job) -> None:
        """Record that an attempt begins."""
        self._lines.append([{"number": job.number, "attempt": job.attempt}], to_disk=False)
        self._begun[job.number] = job.attempt

    def suspend(self, jobs: list[Job]) -> None:
        """Record that these jobs were interrupted together with their driver."""
        self._lines.append([{"number": job.number, "attempt": job.attempt - 1} for job in jobs])

    def end(self, outcome: Outcome, place: str) -> None:
        """Record how a job ended."""
        self.outcomes[outcome.number] = outcome
        self._begun.pop(outcome.number, None)
        self._lines.append([{**asdict(outcome), "worker": place}])
        self.on_end(outcome.number)

    def answer(self, message: dict[str, Any]) -> Any:
        """Answer a message from a job: only the attempt that the record names may begin."""
        return self._begun.get(message["number"]) == message["attempt"] if message.get("ask") == "begin" else {}


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")
