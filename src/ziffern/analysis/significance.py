"""Whether one net is better than another on the same images, or one recipe than another over several seeds.

Decisions: every test is paired by image, since tests that ignore the pairing, and resampled t-tests, mislead
(Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms"); two
trained nets and two recipes are different questions: the first is answered by the images alone, the second only by
several seeds per recipe, as two runs of one recipe often differ "significantly" by their seed. With a single seed on a
side the variance between its seeds is unknown, and borrowing the other side's rejects 8 to 17% of true hypotheses at
a nominal 5%, so there is no test of such a pair.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MIN_SEEDS = 2  # of a recipe, for a test of it: one says nothing of how seeds differ
MIN_P = 1e-100  # of recipes: smaller p values mean nothing


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
    """Return the exact McNemar test of two nets on the same images.

    Each side (N,) says which images it got right. The p value is the binomial test's on the discordant
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
    """Return accuracy of net a minus net b (N,) on the same images, with its percentile interval (Efron 1979).

    A resample draws N images, the same for both, so only three kinds of image are counted: those that a alone, b
    alone, and both or neither get right.

    Raises:
        ValueError: The images differ in number, or there are none.
    """
    _check(correct_a[None], correct_b[None])
    images = len(correct_a)
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    shares = np.array([only_a, only_b, images - only_a - only_b]) / images
    drawn = np.random.default_rng(seed).multinomial(images, shares, resamples)  # (R, 3)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / images, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference((only_a - only_b) / images, float(low), float(high))


def recipe_difference(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], confidence: float = 0.95
) -> tuple[Difference, float]:
    """Return mean accuracy of recipe a (S_a, N) minus recipe b (S_b, N), its interval, and its two-sided p value.

    Other seeds and other images would both change the difference, so its variance is a sum: that of each recipe's
    accuracies over its seeds, and that of the images, less the noise that the seeds' part already contains (images and
    seeds are crossed). The parts are estimated with few degrees of freedom, S_a - 1 and S_b - 1, and many. One t with
    the degrees of freedom of Satterthwaite (1946) rejects up to 13% of true hypotheses at 5%, so each part has its
    own quantile (Banerjee 1960, "Approximate Confidence Interval for Linear Functions of Means of k Populations when
    the Population Variances Are Not Equal"): the interval is value ± sqrt(sum of t(f)^2 · part). Under normality it
    covers at least `confidence` whatever the ratios of the variances, because the distribution function of a squared
    normal variable is concave. docs/significance.md has the simulated levels.

    Raises:
        ValueError: The images differ in number, there are none, or a side has fewer than two seeds.
    """
    _check(correct_a, correct_b)
    if min(len(correct_a), len(correct_b)) < MIN_SEEDS:
        raise ValueError(
            f"{len(correct_a)} and {len(correct_b)} seeds: how the seeds of a recipe differ is unknown with one; "
            f"pass at least {MIN_SEEDS} on each side"
        )
    means, parts = crossed_variances(correct_a, correct_b)
    value = float(means)
    if not parts.any():  # the same everywhere
        return Difference(value, value, value), 1.0 if value == 0 else 0.0
    freedoms = [len(correct_a) - 1, len(correct_b) - 1, correct_a.shape[1] - 1]
    half = float(half_width(parts, freedoms, 1 - confidence))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half)), _p_value(value, parts, freedoms)


def crossed_variances(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the differences (...) of the mean accuracies, and the parts (3, ...) of their variance.

    The sides are (..., S_a, N) and (..., S_b, N). The parts are due to the seeds of a, those of b, and the images.
    """
    seeds = [side.mean(-1).var(-1, ddof=1) / side.shape[-2] for side in (correct_a, correct_b)]
    shares = [side.mean(-2) for side in (correct_a, correct_b)]  # (..., N) of the seeds that got an image right
    noise = sum(  # of an image's mean over the seeds; seeds that are equally accurate by chance do not contain it
        (share * (1 - share)).mean(-1) / (side.shape[-2] - 1) * (part > 0)
        for share, side, part in zip(shares, (correct_a, correct_b), seeds, strict=True)
    )
    difference = shares[0] - shares[1]
    images = np.maximum(0, difference.var(-1, ddof=1) - noise) / difference.shape[-1]
    return difference.mean(-1), np.array([*seeds, images])


def half_width(parts: NDArray[np.float64], freedoms: Sequence[int], alpha: float) -> NDArray[np.float64]:
    """Return how far (...) two-sided intervals of confidence 1 - alpha reach to each side (Banerjee 1960).

    Args:
        parts: (K, ...) the independent parts of the estimates' variances.
        freedoms: (K,) their degrees of freedom.
        alpha: In (0, 1].
    """
    from scipy.special import stdtrit

    return np.sqrt(np.tensordot(stdtrit(freedoms, alpha / 2) ** 2, parts, 1))


def _p_value(value: float, parts: NDArray[np.float64], freedoms: Sequence[int]) -> float:
    """Return the alpha at which the interval around `value` just reaches 0; none is below MIN_P."""
    from scipy.optimize import brentq

    def excess(log_alpha: float) -> float:
        return float(half_width(parts, freedoms, math.exp(log_alpha))) - abs(value)

    if excess(math.log(MIN_P)) <= 0:
        return MIN_P
    return math.exp(brentq(excess, math.log(MIN_P), 0))


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

    The interval is about other runs on the same images: what other images would change is not in it. With one run
    deviation and interval are nan.

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
    return f"a {correct_a.shape} and b {correct_b.shape} must be about the same images, the last dimension"
