"""Whether the digits of a batch resemble the labeled ones, on which every guarantee rests."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ziffern.reading.result import CellReading, Reason

if TYPE_CHECKING:
    from ziffern.reading.model import ReaderModel

DOUBTFUL = 0.05  # share of the labeled digits below the confidence that is compared
MIN_RATIO = 1.5  # of doubtful digits, to the labeled ones; a smaller change is not worth a warning
LEVEL = 1e-3  # of the exact binomial test
MIN_CELLS = 20


def drift(model: "ReaderModel", cells: Sequence[CellReading]) -> list[Reason]:
    """Return a warning if more digits of a batch are doubtful than chance explains, or no digits at all."""
    from scipy.stats import binom

    filled = [cell for cell in cells if cell.status != "empty"]
    if len(filled) < MIN_CELLS:
        return []
    known = model.calibration
    confidence = np.where(known.is_digit, known.probability.max(1), 0)
    limit = np.quantile(confidence, DOUBTFUL)
    usual = float((confidence <= limit).mean())
    count = sum(cell.probability <= limit or cell.status != "digit" for cell in filled)
    if count < MIN_RATIO * usual * len(filled) or binom.sf(count - 1, len(filled), usual) >= LEVEL:
        return []
    return [Reason("reading.warning.drift", {"share": count / len(filled), "usual": usual, "count": len(filled)})]
