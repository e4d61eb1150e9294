"""One attempt at a job, and how it ended: all that a driver and a worker tell each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One attempt at one job.

    Attributes:
        number: Of the job and of its folder.
        attempt: From 1; a job whose worker was lost is attempted again.
        overrides: Its own, in Hydra's grammar, besides those of the command.
        params: The values that a search drew for it; empty in other multiruns.
    """

    number: int
    attempt: int
    overrides: tuple[str, ...]
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended, in values that JSON can hold.

    Attributes:
        number: Of the job.
        attempt: Of the job.
        kind: `returned`, `pruned` or `failed`; `interrupted` if a signal ended it; `stop` if no job can go on.
        value: What the job returned: a number, a list of numbers, or else its text.
        error: One line.
        folder: Of the job's output, relative to the sweep folder if it lies there.
        seconds: How long it ran.
    """

    number: int
    attempt: int
    kind: str
    value: Any = None
    error: str = ""
    folder: str = ""
    seconds: float = 0.0
