"""Whether one net is better than another on the same images, or one recipe than another over several seeds.

Decisions: every test is paired by image, since tests that ignore the pairing, and resampled t-tests, mislead
(Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms").
Comparing two trained nets needs the images alone; comparing two recipes needs several seeds of each, as two runs of one
recipe often differ "significantly" by their seed. If a side has a single seed, the variance between its seeds is
unknown, and using the other side's rejects 8 to 17% of true hypotheses at a nominal 5%, so such a pair is not tested.
Over the folds of a cross-validation, whose training parts overlap, the variance is corrected for the overlap (Nadeau
and Bengio 2003, "Inference for the Generalization Error"); without it, chance looks significant too often.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MIN_SEEDS = 2  # per recipe in a test: one seed gives no variance between seeds
MIN_P = 1e-100  # of recipes: smaller p values are meaningless


class McNemar(NamedTuple):
    """The images that only one of two nets classified correctly, and the two-sided p value."""

    only_a: int
    only_b: int
    p: float


class Difference(NamedTuple):
    """Accuracy of a minus accuracy of b and its confidence interval, all in [-1, 1]."""

    value: float
    low: float
    high: float


class MeanInterval(NamedTuple):
    """A mean over runs, the standard deviation of the runs (n - 1), and the confidence interval of the mean."""

    mean: float
    deviation: float
    low: float
    high: float


def mcnemar(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> McNemar:
    """Return the exact McNemar test of two nets on the same images.

    Each side (N,) is whether each image was classified correctly. The p value is that of the binomial test on the
    discordant pairs (McNemar 1947; Dietterich 1998), 1 if there are none.

    Raises:
        ValueError: The images differ in number, or there are none.
    """
    from scipy.stats import binomtest

    only_a, only_b = _discordant(correct_a, correct_b)
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

    A resample draws the same N images for both, so only three kinds of images are counted: those that only a, only b,
    and both or neither classified correctly.

    Raises:
        ValueError: The images differ in number, or there are none.
    """
    only_a, only_b = _discordant(correct_a, correct_b)
    images = len(correct_a)
    shares = np.array([only_a, only_b, images - only_a - only_b]) / images
    drawn = np.random.default_rng(seed).multinomial(images, shares, resamples)  # (R, 3)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / images, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference((only_a - only_b) / images, float(low), float(high))


def recipe_difference(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], confidence: float = 0.95
) -> tuple[Difference, float]:
    """Return mean accuracy of recipe a (S_a, N) minus recipe b (S_b, N), its interval, and its two-sided p value.

    Other seeds and other images would both change the difference, so its variance is a sum: the variances of each
    recipe's accuracies over its seeds, and that of the images, less the noise that the seeds' parts already contain
    (images and seeds are crossed). The seeds' parts have few degrees of freedom, S_a - 1 and S_b - 1. One t with the
    degrees of freedom of Satterthwaite (1946) rejects up to 13% of true hypotheses at 5%, so each part has its own
    quantile (Banerjee 1960, "Approximate Confidence Interval for Linear Functions of Means of k Populations when
    the Population Variances Are Not Equal"): the interval is value ± sqrt(sum of t(f)^2 · part). Under normality it
    covers at least `confidence` whatever the ratios of the variances, because the distribution function of a squared
    normal variable is concave. docs/significance.md has the simulated levels.

    Raises:
        ValueError: The images differ in number, there are none, or a side has fewer than two seeds.
    """
    _check(correct_a, correct_b, 2)
    if min(len(correct_a), len(correct_b)) < MIN_SEEDS:
        raise ValueError(
            f"{len(correct_a)} and {len(correct_b)} seeds: the variance between seeds is unknown with one; "
            f"pass at least {MIN_SEEDS} on each side"
        )
    mean, parts = crossed_variances(correct_a, correct_b)
    value = float(mean)
    if not parts.any():  # no variance
        return Difference(value, value, value), 1.0 if value == 0 else 0.0
    freedoms = [len(correct_a) - 1, len(correct_b) - 1, correct_a.shape[1] - 1]
    half = float(half_width(parts, freedoms, 1 - confidence))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half)), _p_value(value, parts, freedoms)


def crossed_variances(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the differences (...) of the mean accuracies, and the parts (3, ...) of their variance.

    The sides are (..., S_a, N) and (..., S_b, N). The parts are due to the seeds of a, the seeds of b, and the images.
    """
    seeds = [side.mean(-1).var(-1, ddof=1) / side.shape[-2] for side in (correct_a, correct_b)]
    shares = [side.mean(-2) for side in (correct_a, correct_b)]  # (..., N) of seeds that are correct
    noise = sum(  # of an image's mean over the seeds; a part of 0 (equally accurate seeds) does not contain it
        (share * (1 - share)).mean(-1) / (side.shape[-2] - 1) * (part > 0)
        for share, side, part in zip(shares, (correct_a, correct_b), seeds, strict=True)
    )
    difference = shares[0] - shares[1]
    images = np.maximum(0, difference.var(-1, ddof=1) - noise) / difference.shape[-1]
    return difference.mean(-1), np.array([*seeds, images])


def half_width(parts: NDArray[np.float64], freedoms: Sequence[int], alpha: float) -> NDArray[np.float64]:
    """Return half the width (...) of two-sided intervals of confidence 1 - alpha, in [0, 1) (Banerjee 1960).

    The independent `parts` (K, ...) of the estimates' variances have `freedoms` (K,) degrees of freedom.
    """
    from scipy.special import stdtrit

    return np.sqrt(np.tensordot(stdtrit(freedoms, alpha / 2) ** 2, parts, 1))


def _p_value(value: float, parts: NDArray[np.float64], freedoms: Sequence[int]) -> float:
    """Return the alpha at which the interval around `value` just reaches 0, at least MIN_P."""
    from scipy.optimize import brentq

    def excess(log_alpha: float) -> float:
        return float(half_width(parts, freedoms, math.exp(log_alpha))) - abs(value)

    if excess(math.log(MIN_P)) <= 0:
        return MIN_P
    return math.exp(brentq(excess, math.log(MIN_P), 0))


def fold_interval(values: Sequence[float], ratio: float, confidence: float = 0.95) -> MeanInterval:
    """Return mean, standard deviation and interval of a value over the k folds of a cross-validation.

    The variance of the mean is (1 / k + ratio) times that of the folds, since their training parts overlap; Student's t
    has k - 1 degrees of freedom (Nadeau and Bengio 2003).

    Args:
        values: One per fold, at least two.
        ratio: Test images per training image in a fold.
        confidence: In (0, 1).

    Raises:
        ValueError: There are fewer than two folds.
    """
    from scipy.stats import t

    folds = len(values)
    if folds < 2:  # noqa: PLR2004
        raise ValueError(f"{folds} folds have no variance; pass at least 2")
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(t.ppf((1 + confidence) / 2, folds - 1)) * deviation * math.sqrt(1 / folds + ratio)
    return MeanInterval(mean, deviation, mean - half, mean + half)


def fold_difference(a: Sequence[float], b: Sequence[float], ratio: float) -> tuple[Difference, float]:
    """Return mean accuracy of a minus b over the same folds, its 95% interval, and the p value of the corrected t test.

    Raises:
        ValueError: The folds differ in number, or there are fewer than two.
    """
    from scipy.stats import t

    differences = np.subtract(a, b)
    value, deviation, low, high = fold_interval(list(differences), ratio)
    if deviation == 0:
        return Difference(value, value, value), 1.0 if value == 0 else 0.0
    statistic = abs(value) / (deviation * math.sqrt(1 / len(differences) + ratio))
    p = max(MIN_P, float(2 * t.sf(statistic, len(differences) - 1)))
    return Difference(value, max(-1.0, low), min(1.0, high)), p


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Return mean, standard deviation and Student's t interval of a value over n independent runs.

    The interval covers other runs on the same images, but not other images. With one run, deviation and interval are
    nan.

    Raises:
        ValueError: There are no runs.
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


def _discordant(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> tuple[int, int]:
    """Return how many images (N,) only a, and only b, classified correctly."""
    _check(correct_a, correct_b, 1)
    return int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())


def _check(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], dimensions: int) -> None:
    if not correct_a.ndim == correct_b.ndim == dimensions or correct_a.shape[-1] != correct_b.shape[-1]:
        raise ValueError(f"a {correct_a.shape} and b {correct_b.shape} must have the same images, the last dimension")
    if not (correct_a.size and correct_b.size):
        raise ValueError(f"there is nothing to compare in {correct_a.shape} and {correct_b.shape}; pass at least 1 run")
