"""Precision, recall, F1 and support per class, the weakest classes and the most frequent confusions.

All are computed from a confusion matrix (`accuracy.confusion_matrix`). Undefined scores are nan, not 0, since a class
without images is no evidence for or against a net.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassScores:
    """Scores per class in [0, 1]: precision is nan if never predicted, recall and F1 are nan without support."""

    precision: NDArray[np.float64]  # (C,)
    recall: NDArray[np.float64]  # (C,)
    f1: NDArray[np.float64]  # (C,)
    support: NDArray[np.int64]  # (C,) images of the class


class Confusion(NamedTuple):
    """The number of images of the class `true` that were classified as `predicted`."""

    true: int
    predicted: int
    count: int  # type: ignore[assignment]  # shadows tuple.count


def class_scores(confusion: NDArray[np.int64]) -> ClassScores:
    """Return the scores of each class of a confusion matrix (C, C), row the true class, column the predicted one.

    F1 is 0 for a class with support and no correct prediction.
    """
    hits, support, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    # 2PR / (P + R) without its inner fractions, so that it is defined without a prediction, too
    f1 = _share(2 * hits, np.where(support > 0, support + predicted, 0))
    return ClassScores(_share(hits, predicted), _share(hits, support), f1, support.astype(np.int64))


def macro(values: NDArray[np.float64]) -> float:
    """Return the mean of `values` (C,) over the classes where it is defined; nan if there are none.

    scikit-learn's macro average counts an undefined class as 0 instead.
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def weakest(scores: ClassScores, limit: int = 3) -> list[int]:
    """Return up to `limit` classes with support and F1 below 1, lowest F1 first, ties by number."""
    return sorted(np.flatnonzero(scores.f1 < 1).tolist(), key=lambda label: (scores.f1[label], label))[:limit]


def top_confusions(confusion: NDArray[np.int64], limit: int = 5) -> list[Confusion]:
    """Return up to `limit` confusions in the matrix (C, C), most frequent first, ties by (true, predicted).

    The two directions of a pair, such as 4 as 9 and 9 as 4, are counted separately.
    """
    pairs = np.argwhere(confusion).tolist()
    wrong = [Confusion(true, other, int(confusion[true, other])) for true, other in pairs if true != other]
    return sorted(wrong, key=lambda pair: -pair.count)[:limit]


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
