"""The parameters of a search as numbers, for charts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class SearchedParameter:
    """A parameter of a search, with its value in each of N trials."""

    name: str
    values: NDArray[np.float64]  # (N,), for choices places in `choices`; NaN if a trial lacks the parameter
    low: float
    high: float
    is_log: bool = False
    choices: tuple[str, ...] = ()

    @property
    def places(self) -> NDArray[np.float64]:
        """The relative positions of the values between low and high, (N,) in [0, 1], logarithmic if `is_log`."""
        scale: Callable[[Any], Any] = np.log10 if self.is_log else np.asarray
        low, high = scale(self.low), scale(self.high)
        if low == high:
            return np.where(np.isnan(self.values), np.nan, 0.5)
        return np.asarray((scale(self.values) - low) / (high - low))

    def spread(self, ratio: float = 0.618034) -> NDArray[np.float64]:
        """Return the values, those of choices spread side by side, evenly by an irrational ratio, (N,)."""
        width = min(0.25, 0.03 * len(self.values)) if self.choices else 0
        return self.values + width * (2 * (np.arange(len(self.values)) * ratio % 1) - 1)

    @classmethod
    def of(cls, name: str, trials: Sequence[FrozenTrial]) -> "SearchedParameter":
        """Return a parameter with its value in each trial and its whole range."""
        own_trials = [trial for trial in trials if name in trial.params]
        ranges: list[Any] = [trial.distributions[name] for trial in own_trials]
        if all(hasattr(known, "low") for known in ranges):
            low, high = min(known.low for known in ranges), max(known.high for known in ranges)
            values = np.array([trial.params.get(name, math.nan) for trial in trials], np.float64)
            return cls(name, values, low, high, is_log=all(known.log for known in ranges))
        allowed = [choice for choices in {getattr(known, "choices", ()): 0 for known in ranges} for choice in choices]
        texts = list(dict.fromkeys(plain(value) for value in (*allowed, *(t.params[name] for t in own_trials))))
        place = {text: number for number, text in enumerate(texts)}
        places = [place[plain(trial.params[name])] if name in trial.params else math.nan for trial in trials]
        return cls(name, np.array(places), 0, len(texts) - 1, choices=tuple(texts))


def plain(value: Any, digits: int | None = None) -> str:
    """Return a parameter's value as in the configuration: text without Hydra's quotes, `true`, `null`.

    A float is rounded to `digits` significant digits; None keeps all.
    """
    if isinstance(value, float):
        return f"{value:.{digits}g}" if digits else repr(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = str(value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
