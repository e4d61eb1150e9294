"""Precision, recall, F1 and support per class, the weakest classes and the most frequent confusions.

All of it comes from a confusion matrix, as `accuracy.confusion_matrix` counts it. What is undefined is nan and never a
silent 0: a class without images is no evidence for or against a net.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassScores:
    """Scores per class, each in [0, 1]: precision nan where never predicted, recall and F1 nan without support."""

    precision: NDArray[np.float64]  # (C,)
    recall: NDArray[np.float64]  # (C,)
    f1: NDArray[np.float64]  # (C,)
    support: NDArray[np.int64]  # (C,) images that are of the class


class Confusion(NamedTuple):
    """How many images of the class `true` were taken for `predicted`."""

    true: int
    predicted: int
    count: int  # type: ignore[assignment]  # in place of tuple.count, which is not needed here


def class_scores(confusion: NDArray[np.int64]) -> ClassScores:
    """Return the scores of each class of a confusion matrix (C, C), row the true class, column the predicted one.

    F1 is 0 for a class with support and no hit, predicted or not.
    """
    hits, support, named = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    # 2PR / (P + R) without its inner fractions, so it is defined without a prediction, too
    f1 = _share(2 * hits, np.where(support > 0, support + named, 0))
    return ClassScores(_share(hits, named), _share(hits, support), f1, support.astype(np.int64))


def macro(values: NDArray[np.float64]) -> float:
    """Return the mean of `values` (C,) over the classes where it is defined; nan where it is nowhere.

    scikit-learn's macro average counts an undefined class as 0 instead.
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def weakest(scores: ClassScores, most: int = 3) -> list[int]:
    """Return up to `most` classes with support and F1 below 1, lowest F1 first, equals by number."""
    return sorted(np.flatnonzero(scores.f1 < 1).tolist(), key=lambda label: (scores.f1[label], label))[:most]


def top_confusions(confusion: NDArray[np.int64], most: int = 5) -> list[Confusion]:
    """Return up to `most` confusions of the matrix (C, C) that occur, most frequent first, equals by (true, predicted).

    A pair counts in one direction: 9 taken for 4 apart from 4 taken for 9.
    """
    pairs = np.argwhere(confusion).tolist()
    wrong = [Confusion(true, guess, int(confusion[true, guess])) for true, guess in pairs if true != guess]
    return sorted(wrong, key=lambda pair: -pair.count)[:most]


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
