"""How reliable a net's confidence is: calibration, and risk against coverage.

ECE alone flatters a net that is nearly always right, and depends on its bins, so proper scores (`Outcome.nll` and
`Outcome.brier`) and the order of the confidences (risk against coverage) complement it. Both functions take the
`confidence` (N,), the top probability in [0, 1], and the `hit` (N,), whether it is that of the true class, with N > 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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

    def coverage_at(self, risk: float) -> float:
        """Return the largest coverage whose risk is at most `risk`, both in [0, 1]; 0 if there is none."""
        return float(self.coverage[self.risk <= risk].max(initial=0))


def reliability(confidence: NDArray[np.floating], hit: NDArray[np.bool_], bins: int = 15) -> Reliability:
    """Return accuracy against confidence in `bins` equal bins (low, high] of the confidence.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", from which the 15 bins come.
    """
    # compared with the inner edges, not multiplied: 0.2 * 15 is not 3; 0 is in the first bin, 1 in the last
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence.astype(np.float64), side="left")
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    mean, accuracy = (np.bincount(place, values, bins)[filled] / count[filled] for values in (confidence, hit))
    ece = float(np.abs(accuracy - mean) @ count[filled] / len(hit))
    return Reliability(mean, accuracy, count[filled], ece)


def risk_coverage(confidence: NDArray[np.floating], hit: NDArray[np.bool_]) -> RiskCoverage:
    """Return the risk of classifying only the most confident images, for each number of them.

    El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification"; the area is Geifman et al.
    2019's AURC. Images of equal confidence share their errors evenly, so their order does not matter.
    """
    _, group, size = np.unique(-confidence, return_inverse=True, return_counts=True)  # most confident first
    errors = np.cumsum(np.bincount(group, ~hit))  # up to the end of each group of equals
    classified = np.arange(1, len(hit) + 1)
    # interpolated linearly within a group
    risk = np.interp(classified, np.append(0, np.cumsum(size)), np.append(0, errors)) / classified
    return RiskCoverage(classified / len(hit), risk, float(risk.mean()))
