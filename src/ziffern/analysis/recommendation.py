"""Which of several models to use: paired tests on the same images, and a fixed rule.

Decisions: the choice is the smallest model that no larger one beats both by a relevant margin and by more than chance.
Two single runs are compared by McNemar's exact test, which is about these two trained nets; recipes of several seeds by
the variance of images and seeds together; a single run and a recipe of several seeds are not compared, since the
variation between the seeds of the former is unknown. The folds of a cross-validation are compared by the corrected
resampled t test. Holm's correction covers the tests that were made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.significance import (
    MIN_SEEDS,
    Difference,
    fold_difference,
    mcnemar,
    paired_bootstrap,
    recipe_difference,
)

LEVEL = 0.05  # of significance, after Holm's correction

Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """Two models on the same images."""

    first: int  # place among the models
    second: int
    only_first: int  # images that only the first classified correctly; with several seeds, the first run of each model
    only_second: int
    mcnemar: float  # p value of these two runs alone
    difference: Difference | None  # of the accuracies, first minus second, with its 95% interval; None: not tested
    p: float | None  # of McNemar's test, or with several seeds of the recipes
    adjusted: float | None  # after Holm's correction over the pairs that were tested

    @property
    def is_significant(self) -> bool:
        """Whether the pair was tested, and both the p value and the interval exclude chance."""
        if self.difference is None or self.adjusted is None:
            return False
        return self.adjusted < LEVEL and not self.difference.low <= 0 <= self.difference.high


@dataclass(frozen=True)
class Choice:
    """The recommended model."""

    place: int
    beaten: tuple[tuple[int, int], ...]  # smaller models, each with a larger one that beats it
    kept_over: tuple[int, ...]  # larger models that do not beat it, tested or not


def pairwise(hits: Sequence[Hits], folds: Sequence[Sequence[float]] = (), ratio: float = 0) -> list[Pair]:
    """Test each pair of models on the same N images, except one with a single seed against one with several.

    Args:
        hits: For each model (S, N): whether each of its S seeds classified each image correctly.
        folds: In a cross-validation, for each model the accuracy of each fold, which the test compares.
        ratio: Test images per training image in a fold.
    """
    places = [(i, j) for i in range(len(hits)) for j in range(i + 1, len(hits))]
    tests = [fold_difference(folds[i], folds[j], ratio) if folds else _tested(hits[i], hits[j]) for i, j in places]
    adjusted = iter(holm([test[1] for test in tests if test]))
    pairs = []
    for (i, j), test in zip(places, tests, strict=True):
        single = mcnemar(hits[i][0], hits[j][0])
        result = (*test, next(adjusted)) if test else (None, None, None)
        pairs.append(Pair(i, j, single.only_a, single.only_b, single.p, *result))
    return pairs


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values in [0, 1] adjusted for the number of tests (Holm 1979), in the given order."""
    p = np.asarray(p_values, np.float64)
    order = p.argsort(kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1, np.arange(len(p), 0, -1) * p[order]))
    return [float(value) for value in adjusted]


def recommend(
    params: Sequence[int], val_acc: Sequence[float], test_acc: Sequence[float], pairs: Sequence[Pair], margin: float
) -> Choice:
    """Return the smallest model that no larger one beats by more than `margin` and significantly.

    Of models of equal size the one with the better validation accuracy counts as the smaller. A pair without a test
    shows nothing, so a larger model that was not tested against the chosen one is among its `kept_over`. `pairs` are
    all pairs of the models; `margin` is a share, such as 0.002 for 0.2 percentage points.
    """
    tested = {frozenset((pair.first, pair.second)): pair for pair in pairs}
    order = sorted(range(len(params)), key=lambda place: (params[place], -val_acc[place]))

    beaten: list[tuple[int, int]] = []
    for rank, small in enumerate(order):
        larger = order[rank + 1 :]
        relevant = [large for large in larger if test_acc[large] - test_acc[small] > margin]
        better = [large for large in relevant if tested[frozenset((small, large))].is_significant]
        if not better:
            return Choice(small, tuple(beaten), tuple(larger))
        beaten.append((small, max(better, key=lambda large: test_acc[large])))
    raise ValueError("there is no model to choose from")


def _tested(first: Hits, second: Hits) -> tuple[Difference, float] | None:
    """Return difference and p value, or None if only one side has several seeds."""
    if len(first) == len(second) == 1:
        return paired_bootstrap(first[0], second[0]), mcnemar(first[0], second[0]).p
    return recipe_difference(first, second) if min(len(first), len(second)) >= MIN_SEEDS else None
