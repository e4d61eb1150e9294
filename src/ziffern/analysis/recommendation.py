"""Which of several models to take: paired tests on the same digits, and a rule that is stated beforehand.

Decisions: a smaller model is the better one until a larger one is better both by a margin that matters and by more
than chance; McNemar's exact test for two runs, its generalisation to seeds (signs of the differences a digit flipped)
for recipes; Holm's correction over all pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.significance import Difference, holm, mcnemar, paired_bootstrap, sign_flip

LEVEL = 0.05  # of significance, after Holm's correction

Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """Two models on the same digits."""

    first: int  # place among the models
    second: int
    only_first: int | None  # digits that the first alone read correctly; None where there are several seeds
    only_second: int | None
    difference: Difference  # of the accuracies, first minus second, with its paired bootstrap interval
    p: float
    adjusted: float  # after Holm's correction over all pairs

    @property
    def is_significant(self) -> bool:
        """Whether the test and the interval both exclude chance."""
        return self.adjusted < LEVEL and not self.difference.low <= 0 <= self.difference.high


@dataclass(frozen=True)
class Choice:
    """The model to take."""

    place: int
    kept_over: tuple[int, ...]  # larger or otherwise later models that were not better enough
    replaced: tuple[int, ...]  # models that it was better than, both by the margin and significantly


def pairwise(hits: Sequence[Hits]) -> list[Pair]:
    """Test each pair of models on the same N digits.

    Args:
        hits: For each model (S, N) bool: whether each of its S seeds read each digit correctly.
    """
    raw = [(i, j, *_tested(hits[i], hits[j])) for i in range(len(hits)) for j in range(i + 1, len(hits))]
    adjusted = holm([test[-1] for test in raw])
    return [Pair(*test, after) for test, after in zip(raw, adjusted, strict=True)]


def recommend(
    params: Sequence[int], val_acc: Sequence[float], test_acc: Sequence[float], pairs: Sequence[Pair], margin: float
) -> Choice:
    """Return the smallest model, or a larger one that is better by more than `margin` and significantly.

    Models of equal size are tried in the order of their validation accuracy.

    Args:
        params: Parameters of each model.
        val_acc: Its validation accuracy.
        test_acc: Its test accuracy.
        pairs: All pairs of them.
        margin: A share, such as 0.002 for 0.2 percentage points.
    """
    tested = {frozenset((pair.first, pair.second)): pair for pair in pairs}
    first, *rest = sorted(range(len(params)), key=lambda place: (params[place], -val_acc[place]))
    chosen = first
    kept_over: list[int] = []
    replaced: list[int] = []
    for place in rest:
        pair = tested[frozenset((chosen, place))]
        if test_acc[place] - test_acc[chosen] > margin and pair.is_significant:
            replaced.append(chosen)
            chosen, kept_over = place, []
        else:
            kept_over.append(place)
    return Choice(chosen, tuple(kept_over), tuple(replaced))


def _tested(first: Hits, second: Hits) -> tuple[int | None, int | None, Difference, float]:
    difference = paired_bootstrap(first, second)
    if len(first) == len(second) == 1:
        test = mcnemar(first[0], second[0])
        return test.only_a, test.only_b, difference, test.p
    return None, None, difference, sign_flip(first, second)
