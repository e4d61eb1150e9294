"""When each worker of a search ran which trial.

Decisions: the driver records the worker and the duration of each trial's last attempt; trials of earlier versions have
neither, so they are packed from their start to their end into as few rows as possible.
"""

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from ziffern.search.findings import seconds

MAX_WORKERS = 60  # with more, such as a job per trial on a cluster, trials are packed


@dataclass(frozen=True)
class Timeline:
    """The finished trials of a search in rows; B is their number."""

    trials: list[FrozenTrial]
    start: NDArray[np.float64]  # (B,), in seconds since the first start
    end: NDArray[np.float64]  # (B,)
    row: NDArray[np.int64]  # (B,)
    workers: list[str]  # of the rows; empty if they are unknown

    @classmethod
    def of(cls, trials: Sequence[FrozenTrial]) -> "Timeline | None":
        """Return the timeline of the finished trials; None if there are none with times."""
        ended = [t for t in trials if t.state.is_finished() and t.datetime_start and t.datetime_complete]
        if not ended:
            return None
        origin = ended[0].datetime_complete
        end = np.array([(trial.datetime_complete - origin).total_seconds() for trial in ended])  # type: ignore[operator]
        start = end - np.maximum([seconds(trial) or 0 for trial in ended], 0)
        start, end = start - start.min(), end - start.min()
        names = [trial.user_attrs.get("worker", "") for trial in ended]
        workers = sorted(set(names), key=_natural)
        if "" in workers or len(workers) > MAX_WORKERS:
            return cls(ended, start, end, _packed(start, end), [])
        places = {name: row for row, name in enumerate(workers)}
        return cls(ended, start, end, np.array([places[name] for name in names]), workers)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.row.max()) + 1

    @property
    def busy(self) -> float:
        """The share of the time in which the rows were occupied, in [0, 1]."""
        return min(1.0, float((self.end - self.start).sum() / (self.rows * self.end.max() or 1)))


def _natural(name: str) -> list[str | int]:
    """Return a key that sorts node-2 before node-10."""
    parts: list[str | int] = [*re.split(r"(\d+)", name)]
    parts[1::2] = map(int, parts[1::2])
    return parts


def _packed(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a row for each interval, the first that is free at its start."""
    rows, ends, free = np.zeros(len(start), np.int64), list[tuple[float, int]](), list[int]()
    for place in np.lexsort((end, start)).tolist():
        while ends and ends[0][0] <= start[place]:
            heapq.heappush(free, heapq.heappop(ends)[1])
        row = heapq.heappop(free) if free else len(ends)
        rows[place] = row
        heapq.heappush(ends, (float(end[place]), row))
    return rows
