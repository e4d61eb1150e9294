"""Whether the digits of a batch resemble the labeled ones, on which every guarantee rests."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ziffern.reading.result import Reason

if TYPE_CHECKING:
    from ziffern.reading.model import ReaderModel

MIN_RATIO = 3.0  # of digits beyond a quantile, to the labeled ones; a smaller change is not worth a warning
LEVEL = 1e-3  # of the exact binomial test
MIN_DIGITS = 20
LOW_ONLY = ("confidence", "is_digit")  # figures that cannot be too large


def drift(model: "ReaderModel", figures: NDArray[np.float32]) -> list[Reason]:
    """Return a warning for each figure that is unusual for more digits of a batch than chance explains.

    Args:
        model: With the usual values of the figures.
        figures: (N, F) of `ziffern.reading.model.figures`.
    """
    from scipy.special import bdtrc

    from ziffern.reading.model import FIGURES, QUANTILES

    total, warnings = len(figures), []
    if model.usual is None or total < MIN_DIGITS:
        return []
    for place, name in enumerate(FIGURES):
        tails = [("low", QUANTILES[0], figures[:, place] < model.usual[place, 0])]
        if name not in LOW_ONLY:
            tails.append(("high", 1 - QUANTILES[-1], figures[:, place] > model.usual[place, -1]))
        for side, usual, is_beyond in tails:
            number = int(is_beyond.sum())
            if number > MIN_RATIO * usual * total and bdtrc(number - 1, total, usual) < LEVEL:
                values: dict[str, str | int | float] = {"share": number / total, "usual": usual, "count": total}
                warnings.append(Reason(f"reading.warning.{name}_{side}", values))
    return warnings
