"""A model's predictions on one part of the data, and all scores computed from them, each once.

TensorBoard, the report and the comparison all use this; nothing here draws or writes. Undefined scores of a class are
nan, not 0, since a class without images is no evidence for or against a net. Macro averages are those of scikit-learn:
the mean over the classes that occur among the labels or the predictions, where an undefined score counts as 0.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.calibration import Reliability, RiskCoverage, reliability, risk_coverage
from ziffern.analysis.temperature import with_temperature

MAX_WEAKEST = 3  # classes
MAX_CONFUSIONS = 5


@dataclass(frozen=True)
class ClassScores:
    """Scores per class in [0, 1]: precision is nan if never predicted, recall and F1 are nan without support."""

    precision: NDArray[np.float64]  # (C,)
    recall: NDArray[np.float64]  # (C,)
    f1: NDArray[np.float64]  # (C,), 0 for a class with support and no correct prediction
    support: NDArray[np.int64]  # (C,) images of the class


class Confusion(NamedTuple):
    """The number of images of the class `true` that were classified as `predicted`."""

    true: int
    predicted: int
    count: int  # type: ignore[assignment]  # shadows tuple.count


@dataclass(frozen=True)
class Outcome:
    """Predictions of N images.

    Raises:
        ValueError: N is 0, or the lengths differ.
    """

    target: NDArray[np.int64]  # (N,)
    probability: NDArray[np.float32]  # (N, C), rows that sum to 1

    def __post_init__(self) -> None:
        if len(self.target) != len(self.probability) or not len(self.target):
            raise ValueError(f"{len(self.target)} targets, {len(self.probability)} rows: pass equally many, at least 1")

    def at(self, temperature: float) -> "Outcome":
        """Return the same predictions at another temperature."""
        return Outcome(self.target, with_temperature(self.probability, temperature))

    @property
    def total(self) -> int:
        """The number of images, N."""
        return len(self.target)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image, (N,)."""
        return np.asarray(self.probability.argmax(1))

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of the predicted class, (N,)."""
        return np.asarray(self.probability.max(1))

    @cached_property
    def hit(self) -> NDArray[np.bool_]:
        """Whether each image was classified correctly, (N,)."""
        return np.equal(self.predicted, self.target)

    @cached_property
    def correct(self) -> int:
        """The number of images classified correctly."""
        return int(self.hit.sum())

    @property
    def accuracy(self) -> float:
        """The share of images classified correctly."""
        return self.correct / self.total

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% score interval of the accuracy, both ends in [0, 1].

        Chosen over the normal approximation, which fails near 100% (Brown, Cai and DasGupta 2001,
        "Interval Estimation for a Binomial Proportion").
        """
        from scipy.stats import binomtest

        low, high = binomtest(self.correct, self.total).proportion_ci(method="wilson")
        return float(low), float(high)

    @cached_property
    def mistakes(self) -> NDArray[np.int64]:
        """Positions of the misclassified images, the most confident mistakes first."""
        wrong = np.flatnonzero(~self.hit)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Counts (C, C): row the true class, column the predicted one."""
        classes = self.probability.shape[1]
        return np.bincount(self.target * classes + self.predicted, minlength=classes**2).reshape(classes, classes)

    @cached_property
    def classes(self) -> ClassScores:
        """Precision, recall, F1 and support of each class."""
        hits, support, predicted = np.diag(self.confusion), self.confusion.sum(1), self.confusion.sum(0)
        # 2PR / (P + R) without its inner fractions, so that it is defined without a prediction, too
        f1 = _share(2 * hits, np.where(support > 0, support + predicted, 0))
        return ClassScores(_share(hits, predicted), _share(hits, support), f1, support.astype(np.int64))

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1; see `macro`."""
        return self.macro(self.classes.f1)

    def macro(self, scores: NDArray[np.float64]) -> float:
        """Return the mean of scores (C,) of classes, over the classes that have test images or were predicted.

        An undefined score counts as 0, as with zero_division=0 in scikit-learn: a class that was never predicted, or
        predicted without having a test image, lowers the mean. A class that does neither is left out.
        """
        occurs = (self.confusion.sum(0) > 0) | (self.confusion.sum(1) > 0)
        return float(np.nan_to_num(scores)[occurs].mean())

    @cached_property
    def weakest(self) -> list[int]:
        """The MAX_WEAKEST classes with the lowest F1, if below 1, ties by number."""
        f1 = self.classes.f1
        return sorted(np.flatnonzero(f1 < 1).tolist(), key=lambda label: (f1[label], label))[:MAX_WEAKEST]

    @cached_property
    def confusions(self) -> list[Confusion]:
        """The MAX_CONFUSIONS most frequent confusions, ties by (true, predicted).

        The two directions of a pair, such as 4 as 9 and 9 as 4, are counted separately.
        """
        pairs = np.argwhere(self.confusion).tolist()
        wrong = [Confusion(true, other, int(self.confusion[true, other])) for true, other in pairs if true != other]
        return sorted(wrong, key=lambda pair: -pair.count)[:MAX_CONFUSIONS]

    @cached_property
    def reliability(self) -> Reliability:
        """Accuracy against confidence, and the expected calibration error."""
        return reliability(self.confidence, self.hit)

    @cached_property
    def risk_coverage(self) -> RiskCoverage:
        """The share of errors among the most confident images."""
        return risk_coverage(self.confidence, self.hit)

    @cached_property
    def nll(self) -> float:
        """The negative log-likelihood: the mean of -log p(true class) in nats, at least 0.

        Probabilities are clipped at the smallest positive normal float32, 1.2e-38: one that underflowed to 0 costs
        87.3, not infinity.
        """
        of_true = self.probability[np.arange(self.total), self.target].astype(np.float64)
        return float(-np.log(np.maximum(of_true, np.finfo(np.float32).tiny)).mean())

    @cached_property
    def brier(self) -> float:
        """The mean squared distance to the one-hot truth, summed over classes, 0 (best) to 2 (Brier 1950)."""
        distance = self.probability.astype(np.float64)  # (N, C), a copy
        distance[np.arange(self.total), self.target] -= 1
        return float((distance**2).sum(1).mean())


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
