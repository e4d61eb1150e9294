"""A parameter of a search with its values, as the charts of a search take it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Searched:
    """A parameter of a search, with its value in each of N trials."""

    name: str
    values: NDArray[np.float64]  # (N,), places in `choices` where there are some, NaN where a trial lacks it
    low: float
    high: float
    is_log: bool = False
    choices: tuple[str, ...] = ()

    @property
    def places(self) -> NDArray[np.float64]:
        """Where its values lie between low and high, (N,) in [0, 1], on a logarithmic scale if it has one."""
        scale: Callable[[Any], Any] = np.log10 if self.is_log else np.asarray
        low, high = scale(self.low), scale(self.high)
        if low == high:
            return np.where(np.isnan(self.values), np.nan, 0.5)
        return np.asarray((scale(self.values) - low) / (high - low))
