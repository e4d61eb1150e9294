"""A model's predictions on one part of the data, and all scores computed from them, each once.

TensorBoard, the report and the comparison all use this; nothing here draws or writes.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.accuracy import Interval, confusion_matrix, wilson_interval
from ziffern.analysis.calibration import (
    Reliability,
    RiskCoverage,
    brier,
    negative_log_likelihood,
    reliability,
    risk_coverage,
)
from ziffern.analysis.classes import ClassScores, Confusion, class_scores, macro, top_confusions, weakest


@dataclass(frozen=True)
class Outcome:
    """Predictions of N images.

    Args:
        target: (N,) int64.
        probability: (N, C) float32, rows that sum to 1.
    """

    target: NDArray[np.int64]
    probability: NDArray[np.float32]

    @property
    def total(self) -> int:
        """The number of images, N."""
        return len(self.target)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image, (N,)."""
        predicted: NDArray[np.int64] = self.probability.argmax(1)
        return predicted

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of the predicted class, (N,)."""
        confidence: NDArray[np.float32] = self.probability.max(1)
        return confidence

    @cached_property
    def hit(self) -> NDArray[np.bool_]:
        """Whether each image was classified correctly, (N,)."""
        return np.equal(self.predicted, self.target)

    @cached_property
    def correct(self) -> int:
        """The number of images classified correctly."""
        return int(self.hit.sum())

    @cached_property
    def accuracy(self) -> float:
        """The share of images classified correctly."""
        return self.correct / self.total

    @cached_property
    def interval(self) -> Interval:
        """Wilson's 95% interval of the accuracy."""
        return wilson_interval(self.correct, self.total)

    @cached_property
    def mistakes(self) -> NDArray[np.int64]:
        """Positions of the misclassified images, the most confident mistakes first."""
        wrong = np.flatnonzero(~self.hit)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Counts (C, C): row the true class, column the predicted one."""
        return confusion_matrix(self.target, self.predicted, self.probability.shape[1])

    @cached_property
    def classes(self) -> ClassScores:
        """Precision, recall, F1 and support of each class."""
        return class_scores(self.confusion)

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1, over those that have test images."""
        return macro(self.classes.f1)

    @cached_property
    def weakest(self) -> list[int]:
        """The classes with the lowest F1, weakest first."""
        return weakest(self.classes)

    @cached_property
    def confusions(self) -> list[Confusion]:
        """The most frequent confusions."""
        return top_confusions(self.confusion)

    @cached_property
    def reliability(self) -> Reliability:
        """Accuracy against confidence, and the expected calibration error."""
        return reliability(self.target, self.probability)

    @cached_property
    def risk_coverage(self) -> RiskCoverage:
        """The share of errors among the most confident images."""
        return risk_coverage(self.target, self.probability)

    @cached_property
    def nll(self) -> float:
        """The negative log-likelihood."""
        return negative_log_likelihood(self.target, self.probability)

    @cached_property
    def brier(self) -> float:
        """The Brier score."""
        return brier(self.target, self.probability)
