"""Accuracy, its interval, the majority baseline, and the confusion matrix."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Interval(NamedTuple):
    """A confidence interval of a proportion, both ends in [0, 1]."""

    low: float
    high: float


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of `correct` successes in `total` trials.

    Chosen over the normal approximation, which fails near 100% (Brown, Cai and DasGupta 2001,
    "Interval Estimation for a Binomial Proportion").

    Raises:
        ValueError: Not 0 <= correct <= total, or total is 0.
    """
    from scipy.stats import binomtest

    low, high = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return Interval(float(low), float(high))


def majority_baseline(train_counts: NDArray[np.int64], target: NDArray[np.int64]) -> float:
    """Return the accuracy on labels `target` (N,) of always predicting the class with the most training images.

    Args:
        train_counts: (C,) training images of each class.
        target: (N,) labels.
    """
    return float(np.mean(target == train_counts.argmax()))


def confusion_matrix(target: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return counts (C, C): row the true class, column the predicted one."""
    return np.bincount(target * classes + predicted, minlength=classes**2).reshape(classes, classes)
