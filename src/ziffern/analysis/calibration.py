"""How reliable a net's probabilities are: calibration, likelihood, Brier score, risk against coverage.

ECE alone flatters a net that is nearly always right, and depends on its bins, so proper scores (negative
log-likelihood, Brier) and the order of the confidences (risk against coverage) complement it. Every function takes
`target` (N,) int64 and `probability` (N, C) with rows that sum to 1, computes in float64, and raises ValueError if
N is 0 or the lengths differ.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
Probabilities = NDArray[np.floating]


@dataclass(frozen=True)
class Reliability:
    """The K non-empty bins of the top probability, lowest first, and the expected calibration error."""

    confidence: Floats  # (K,) mean top probability
    accuracy: Floats  # (K,) share of correct predictions
    count: NDArray[np.int64]  # (K,) images, at least 1
    ece: float  # in [0, 1]


@dataclass(frozen=True)
class RiskCoverage:
    """The errors that remain when a person handles the least confident images."""

    coverage: Floats  # (N,) ascending in (0, 1]: share of images that the net classifies
    risk: Floats  # (N,) share of errors among them
    area: float  # AURC, the mean risk; lower is better


def reliability(target: Labels, probability: Probabilities, bins: int = 15) -> Reliability:
    """Return accuracy against confidence in `bins` equal bins (low, high] of the top probability.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", from which the 15 bins come.

    Raises:
        ValueError: There are no images, the lengths differ, or `bins` is below 1.
    """
    confidence, wrong = _ranked(target, probability)
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    # compared with the inner edges, not multiplied: 0.2 * 15 is not 3; 0 is in the first bin, 1 in the last
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    mean = np.bincount(place, confidence, bins)[filled] / count[filled]
    accuracy = np.bincount(place, ~wrong, bins)[filled] / count[filled]
    ece = float(np.abs(accuracy - mean) @ count[filled] / len(target))
    return Reliability(mean, accuracy, count[filled], ece)


def negative_log_likelihood(target: Labels, probability: Probabilities) -> float:
    """Return the mean of -log p(true class) in nats, at least 0.

    Probabilities are clipped at the smallest positive normal float32, 1.2e-38: one that underflowed to 0 costs 87.3,
    not infinity.
    """
    _check(target, probability)
    of_true = probability[np.arange(len(target)), target].astype(np.float64)
    return float(-np.log(np.maximum(of_true, np.finfo(np.float32).tiny)).mean())


def brier(target: Labels, probability: Probabilities) -> float:
    """Return the mean squared distance to the one-hot truth, summed over classes, 0 (best) to 2 (Brier 1950)."""
    _check(target, probability)
    distance = probability.astype(np.float64)  # (N, C), a copy
    distance[np.arange(len(target)), target] -= 1
    return float((distance**2).sum(1).mean())


def risk_coverage(target: Labels, probability: Probabilities) -> RiskCoverage:
    """Return the risk of classifying only the most confident images, for each number of them.

    El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification"; the area is Geifman et al.
    2019's AURC. Images of equal confidence share their errors evenly, so their order does not matter.
    """
    confidence, wrong = _ranked(target, probability)
    _, group, size = np.unique(-confidence, return_inverse=True, return_counts=True)  # most confident first
    errors = np.cumsum(np.bincount(group, wrong))  # up to the end of each group of equals
    classified = np.arange(1, len(target) + 1)
    # interpolated linearly within a group
    risk = np.interp(classified, np.append(0, np.cumsum(size)), np.append(0, errors)) / classified
    return RiskCoverage(classified / len(target), risk, float(risk.mean()))


def coverage_at(curve: RiskCoverage, risk: float) -> float:
    """Return the largest coverage whose risk is at most `risk`, both in [0, 1]; 0 if there is none."""
    return float(curve.coverage[curve.risk <= risk].max(initial=0))


def _ranked(target: Labels, probability: Probabilities) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each image's top probability and whether the prediction is wrong, both (N,)."""
    _check(target, probability)
    return probability.max(1).astype(np.float64), probability.argmax(1) != target


def _check(target: Labels, probability: Probabilities) -> None:
    if len(target) != len(probability):
        raise ValueError(f"target has {len(target)} images, but probability has {len(probability)}; pass the same ones")
    if not len(target):
        raise ValueError("there are 0 images to score; pass at least 1")
