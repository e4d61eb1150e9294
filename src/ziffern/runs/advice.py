"""The recommendation of a comparison and its reasons, as codes and values."""

from dataclasses import dataclass

from ziffern.analysis.recommendation import Pair
from ziffern.runs.comparison import Comparison


@dataclass(frozen=True)
class Reason:
    """Why one of two recipes is preferred."""

    code: str  # beaten, worse, no_better, below_margin, not_significant, no_test
    small: int  # places among the recipes
    large: int
    better: float  # test accuracy of the large one minus that of the small one
    pair: Pair


@dataclass(frozen=True)
class Advice:
    """Which recipe to use, why, and a caution on what the tests compare."""

    code: str  # no_advice, alone, take, take_both, take_smallest, take_untested
    reasons: tuple[Reason, ...] = ()
    caution: str = ""  # caution_runs, caution_mixed, caution_seeds; empty if there is no choice


def advise(comparison: Comparison) -> Advice:
    """Return the recommendation that follows from a comparison's tests and its margin."""
    choice, recipes = comparison.choice, comparison.recipes
    if choice is None or len(recipes) == 1:
        return Advice("no_advice" if choice is None else "alone")
    reasons = [_reason(comparison, small, large, is_beaten=True) for small, large in choice.beaten]
    kept = [_reason(comparison, choice.place, large) for large in choice.kept_over]
    if any(reason.pair.p is None for reason in kept):
        code = "take_untested"
    elif choice.beaten:
        code = "take"
    else:
        code = "take_both" if all(reason.better <= 0 for reason in kept) else "take_smallest"
    single = [len(recipes[place].runs) == 1 for place in comparison.compared]
    caution = "caution_runs" if all(single) else "caution_mixed" if any(single) else "caution_seeds"
    return Advice(code, (*reasons, *kept), caution)


def _reason(comparison: Comparison, small: int, large: int, is_beaten: bool = False) -> Reason:
    pair = next(pair for pair in comparison.pairs if {pair.first, pair.second} == {small, large})
    better = comparison.recipes[large].test.mean - comparison.recipes[small].test.mean
    if pair.p is None:
        code = "no_test"
    elif is_beaten:
        code = "beaten"
    elif better <= 0:
        code = "worse" if pair.is_significant else "no_better"
    else:
        code = "below_margin" if better <= comparison.margin else "not_significant"
    return Reason(code, small, large, better, pair)
