"""Whether one net is better than another on the same digits, or one recipe than another over several seeds.

Decisions: every test is paired by digit, since tests that ignore the pairing, and resampled t-tests, mislead
(Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms"). Sums
stay whole numbers, so that equal differences are equal. Digits that behave alike are drawn as one count, which makes
10,000 resamples of 14,000 digits a matter of a second.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CELLS = 2_000_000  # counts held at once while resampling: 16 MB an array


class McNemar(NamedTuple):
    """Digits that only one of two nets gets right, and the two-sided p value."""

    only_a: int
    only_b: int
    p: float


class Difference(NamedTuple):
    """Accuracy of a minus accuracy of b and its confidence interval, all in [-1, 1]."""

    value: float
    low: float
    high: float


class MeanInterval(NamedTuple):
    """A mean over runs, the deviation of one run (n - 1), and the mean's confidence interval."""

    mean: float
    deviation: float
    low: float
    high: float


def mcnemar(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> McNemar:
    """Return the exact McNemar test of two nets on the same digits.

    Each side (N,) says which digits it got right. The p value is the binomial test's on the discordant
    pairs (McNemar 1947; Dietterich 1998); without any it is 1.

    Raises:
        ValueError: The shapes differ.
    """
    from scipy.stats import binomtest

    if correct_a.shape != correct_b.shape:
        raise ValueError(_mismatch(correct_a, correct_b))
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    discordant = only_a + only_b
    return McNemar(only_a, only_b, float(binomtest(min(only_a, only_b), discordant).pvalue) if discordant else 1.0)


def sign_flip(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], resamples: int = 10_000, seed: int = 0
) -> float:
    """Return the two-sided p value of a difference in mean accuracy over the seeds (S_a, N) and (S_b, N).

    A permutation test: were the recipes alike, each digit's difference could as well have the other sign. It takes
    these runs as given and asks about the digits; with one run a side it is McNemar's test. At least
    1 / (1 + resamples), after Phipson and Smyth 2010.

    Raises:
        ValueError: The digits differ in number, or there are none.
    """
    _check(correct_a, correct_b)
    # times S_a S_b, to stay whole
    difference = len(correct_b) * correct_a.sum(0, dtype=np.int64) - len(correct_a) * correct_b.sum(0, dtype=np.int64)
    rng = np.random.default_rng(seed)
    flipped = np.zeros(resamples, np.int64)
    for size, digits in zip(*np.unique_counts(np.abs(difference)), strict=True):
        if size:  # of `digits` signs, how many come up plus
            flipped += size * (2 * rng.binomial(digits, 0.5, resamples) - digits)
    return float((1 + (np.abs(flipped) >= abs(difference.sum())).sum()) / (1 + resamples))


def paired_bootstrap(
    correct_a: NDArray[np.bool_],
    correct_b: NDArray[np.bool_],
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Return mean accuracy of a (S_a, N) minus b (S_b, N) with its percentile interval (Efron 1979).

    A resample draws N digits, the same for both sides, and S_a and S_b seeds. Few seeds vary too little when drawn
    anew, by the share 1 / S of their variance: under five, trust `mean_interval` more.

    Raises:
        ValueError: The digits differ in number, or there are none.
    """
    _check(correct_a, correct_b)
    (runs_a, digits), runs_b = correct_a.shape, len(correct_b)
    kinds, frequency = np.unique(np.concatenate((correct_a, correct_b)), axis=1, return_counts=True)  # (S, P), (P,)
    kinds_a, kinds_b = np.split(kinds.astype(np.float64), [runs_a])  # BLAS; whole numbers below 2**53 are exact
    rng = np.random.default_rng(seed)
    found = []
    step = max(1, CELLS // len(frequency))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.multinomial(digits, frequency / digits, size).astype(np.float64)  # (R, P)
        seeds_a, seeds_b = (rng.multinomial(runs, np.full(runs, 1 / runs), size) for runs in (runs_a, runs_b))
        right_a, right_b = ((drawn @ kinds_a.T) * seeds_a).sum(1), ((drawn @ kinds_b.T) * seeds_b).sum(1)
        found.append((runs_b * right_a - runs_a * right_b) / (runs_a * runs_b * digits))
    low, high = np.quantile(np.concatenate(found), [(1 - confidence) / 2, (1 + confidence) / 2])
    value = (runs_b * int(correct_a.sum()) - runs_a * int(correct_b.sum())) / (runs_a * runs_b * digits)
    return Difference(value, float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values in [0, 1] adjusted for their number (Holm 1979), in the given order.

    Raises:
        ValueError: A p value is not in [0, 1].
    """
    p = np.asarray(p_values, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p values must be in [0, 1], not {list(p_values)}")
    order = p.argsort(kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1, np.arange(len(p), 0, -1) * p[order]))
    return [float(value) for value in adjusted]


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Return mean, deviation and Student's t interval of one figure from n independent runs.

    With one run deviation and interval are nan.

    Raises:
        ValueError: There is no run.
    """
    from scipy.stats import t

    runs = len(values)
    if not runs:
        raise ValueError("there are 0 values to average; pass at least 1")
    mean = float(np.mean(values))
    if runs == 1:
        return MeanInterval(mean, *[float("nan")] * 3)
    deviation = float(np.std(values, ddof=1))
    half = float(t.ppf((1 + confidence) / 2, runs - 1)) * deviation / runs**0.5
    return MeanInterval(mean, deviation, mean - half, mean + half)


def _check(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> None:
    if correct_a.ndim != 2 or correct_b.ndim != 2 or correct_a.shape[1] != correct_b.shape[1]:  # noqa: PLR2004
        raise ValueError(_mismatch(correct_a, correct_b))
    if not (correct_a.size and correct_b.size):
        raise ValueError(f"there is nothing to compare in {correct_a.shape} and {correct_b.shape}; pass at least 1 run")


def _mismatch(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> str:
    return f"a {correct_a.shape} and b {correct_b.shape} must be about the same digits, the last dimension"
