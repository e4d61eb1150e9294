"""Recognize an index and labels by the values of the first and last columns of a table.

Decisions: all rows are looked at, since files sorted by class start with thousands of equal labels; a column of classes
has few whole numbers close to each other, or words, while a pixel at a corner is constant, jumps, or follows its
neighbor; the limits were chosen so that the corners of MNIST, Fashion-MNIST and scikit-learn's digits are no labels.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ziffern.data.classes import MAX_CLASSES
from ziffern.data.formats.table_text import Table, as_number

COLUMNS = 3  # at each end: an index, the label and its neighbor
MAX_SPREAD = 32  # values that lie further apart have gaps of at most MAX_GAP on average, or are no classes
MAX_GAP = 2
MIN_ROWS = 30  # for statistics
MAX_SHARE = 0.98  # of the most frequent class
MAX_DISTINCT = 0.8  # classes per row
MAX_CORRELATION = 0.5  # of a label and the pixel beside it
MIN_WORDS = 0.05  # share of words in a column of classes; fewer are errors in a column of numbers


@dataclass(frozen=True)
class Ends:
    """The values of a table's first and last columns."""

    table: Table

    @cached_property
    def _cells(self) -> tuple[list[list[str]], list[list[str]]]:
        return self.table.ends(COLUMNS)

    def is_index(self, column: int) -> bool:
        """Return whether a column counts the rows, from 0 or 1, or names each of them."""
        cells = self.column(column)
        values = _numbers(cells)
        if np.isnan(values).all():
            return len(cells) == len(set(cells)) > 1
        return len(values) > 1 and any(np.array_equal(values, np.arange(len(values)) + first) for first in (0, 1))

    def count_classes(self, column: int, neighbor: int) -> int | None:
        """Return how many classes a column has; None if it looks like pixels, as its neighbor is."""
        cells = self.column(column)
        values, beside = _numbers(cells), _numbers(self.column(neighbor))
        is_word = np.isnan(values)
        if not cells or is_word.mean() > MIN_WORDS:
            return len(set(cells)) if all(cells) else None
        values, beside = values[~is_word], np.nan_to_num(beside[~is_word]).clip(0, MAX_CLASSES)
        levels, counts = np.unique(values, return_counts=True)
        spread = levels[-1] - levels[0] + 1
        if len(levels) == 1 or levels[0] < 0 or levels[-1] > MAX_CLASSES or (levels != np.floor(levels)).any():
            return None
        if spread > max(MAX_SPREAD, MAX_GAP * len(levels)):
            return None
        if len(values) >= MIN_ROWS:
            has_two_levels = len(levels) == 2 and set(levels) == set(beside)  # noqa: PLR2004
            varies = len(np.unique(beside)) > 1
            correlation = abs(np.corrcoef(values, beside)[0, 1]) if varies else 0
            shares = (counts.max() / len(values), len(levels) / len(values))
            if has_two_levels or correlation > MAX_CORRELATION or shares[0] > MAX_SHARE or shares[1] > MAX_DISTINCT:
                return None
        return len(levels)

    def column(self, column: int) -> list[str]:
        """Return the cells of one of the first or last columns."""
        first, last = self._cells
        cells = first[column : column + 1] if column < COLUMNS else last[column - self.table.width :]
        return cells[0] if cells else []


def _numbers(cells: list[str]) -> NDArray[np.float64]:
    """Return the numbers of cells, NaN for words."""
    numbers = {cell: as_number(cell) for cell in set(cells)}
    return np.array([numbers[cell] for cell in cells], np.float64)  # None becomes NaN
