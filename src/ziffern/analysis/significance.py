"""Whether one net is better than another on the same digits, or one recipe than another over several seeds.

Decisions: every test is paired by digit, since tests that ignore the pairing, and resampled t-tests, mislead
(Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms"); two
trained nets and two recipes are different questions: the first is answered by the digits alone, the second only by
several seeds a recipe, as two runs of one recipe often differ "significantly" by their seed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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


def paired_bootstrap(
    correct_a: NDArray[np.bool_],
    correct_b: NDArray[np.bool_],
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Return accuracy of net a minus net b (N,) on the same digits, with its percentile interval (Efron 1979).

    A resample draws N digits, the same for both, so only three kinds of digit are counted: those that a alone, b
    alone, and both or neither get right.

    Raises:
        ValueError: The digits differ in number, or there are none.
    """
    _check(correct_a[None], correct_b[None])
    digits = len(correct_a)
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    shares = np.array([only_a, only_b, digits - only_a - only_b]) / digits
    drawn = np.random.default_rng(seed).multinomial(digits, shares, resamples)  # (R, 3)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / digits, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference((only_a - only_b) / digits, float(low), float(high))


def recipe_difference(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], confidence: float = 0.95
) -> tuple[Difference, float]:
    """Return mean accuracy of recipe a (S_a, N) minus recipe b (S_b, N), its interval, and its two-sided p value.

    Another set of seeds and another set of digits would both change the difference, so its variance is that of the
    digits' mean differences plus that of the seeds' accuracies, with Satterthwaite's degrees of freedom (1946) and
    Student's t. What belongs to a digit and a seed together is counted in both, so the interval is a little too wide
    where seeds hardly matter, never too narrow (the crossed design of Owen 2007, "The Pigeonhole Bootstrap"). A side
    with a single seed is given the other's deviation.

    Raises:
        ValueError: The digits differ in number, there are none, or neither side has two seeds.
    """
    from scipy.stats import t

    _check(correct_a, correct_b)
    if len(correct_a) == len(correct_b) == 1:
        raise ValueError("one run a side says nothing of how seeds differ; pass at least 2 on one side")
    sides = (correct_a, correct_b)
    difference = correct_a.mean(0) - correct_b.mean(0)  # (N,)
    spreads = [(float(side.mean(1).var(ddof=1)), len(side) - 1) for side in sides if len(side) > 1]
    own = [spreads[0] if len(correct_a) > 1 else spreads[-1], spreads[-1] if len(correct_b) > 1 else spreads[0]]
    parts = [(variance / len(side), freedom) for side, (variance, freedom) in zip(sides, own, strict=True)]
    parts.append((float(difference.var(ddof=1)) / len(difference), len(difference) - 1))
    value, variance = float(difference.mean()), sum(part for part, _ in parts)
    if variance == 0:  # the same everywhere
        return Difference(value, value, value), 1.0 if value == 0 else 0.0
    freedom = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    half = float(t.ppf((1 + confidence) / 2, freedom)) * variance**0.5
    p = 2 * float(t.sf(abs(value) / variance**0.5, freedom))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half)), p


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
