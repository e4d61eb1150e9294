"""A field of a page before its value is decided."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ziffern.reading.constraints import Rules
from ziffern.reading.decide import Probabilities
from ziffern.reading.result import Box, CellReading, Reason

Gray = NDArray[np.uint8]


@dataclass
class Draft:
    """One field before its value is decided.

    `splits` are the ways to divide it into digits, best first: the share of each among them, and (n, 10)
    probabilities; fields of cells have one.
    """

    name: str
    kind: str  # as in a template
    box: Box
    rules: Rules | None = None
    crop: Gray | None = None
    cells: list[CellReading] = field(default_factory=list)
    splits: list[tuple[float, Probabilities]] = field(default_factory=list)
    value: str = ""  # of ticks
    figures: list[NDArray[np.float32]] = field(default_factory=list)  # of its digits, (n, F), for `drift`
    reason: Reason | None = None  # why a person must look, whatever the probabilities

    @property
    def plain_guess(self) -> str:
        """The most probable digits, whatever the rules say."""
        return "".join(cell.digit for cell in self.cells)

    @property
    def plain_share(self) -> float:
        """The share of the ways to divide it that have these digits."""
        best = self.splits[0][1].argmax(1)
        return min(1.0, sum(share for share, digits in self.splits if np.array_equal(digits.argmax(1), best)))
