"""Which answers may be accepted so that at most a given share of them is wrong.

Angelopoulos et al. 2022, "Learn then Test": thresholds of the confidence are tested in descending order by exact
binomial tails. Decisions: the thresholds are fixed in advance, since the binomial law holds for a threshold that does
not depend on the labels; the level is shared out among three STARTS, since the first may have too few images for a
small share of errors, and a proven threshold passes its part on to the next lower one (the fallback procedure, Wiens
and Dmitrienko 2005); neither depends on the allowed share, so that a larger one never accepts less; labeled images are
divided in two, a first part (which may also fit the temperature) that chooses the starts, and the tested part; where
the same images chose among several models, such as epochs, the level is divided by their number (Bonferroni).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95  # probability that the promise holds
STEPS = 32  # thresholds per factor of ten of the doubt, 1 - confidence
_DOUBTS = 10 ** -(np.arange(1, 6 * STEPS + 1) / STEPS)
THRESHOLDS = np.append(0.0, 1 - _DOUBTS).astype(np.float32)  # (193,), ascending to 1 - 1e-6, of the type of confidence
MAX_FIRST = 2000  # images of the first part
STARTS = (1.0, 0.85, 0.6)  # shares of the answers that could be accepted, where the tests start
THIRD, TENTH = 3, 10  # 1 / share of the first part: if it also fits a temperature, and if it only chooses the starts


@dataclass(frozen=True)
class Counts:
    """Labeled images at each of THRESHOLDS; all arrays are (193,)."""

    expected: NDArray[np.float64]  # share of accepted images in the first part
    accepted: NDArray[np.int64]  # images of the tested part
    errors: NDArray[np.int64]  # wrong answers among them
    images: int  # labeled ones in all, of both parts
    models: float = 1  # among which the same images chose; infinite if a model was trained on them
    parts: int = THIRD  # of the images, of which one is the first part

    @property
    def tested(self) -> int:
        """The number of images in the tested part, those included that are flagged as no digits."""
        return self.images - first_size(self.images, self.parts)


@dataclass(frozen=True)
class Threshold:
    """A threshold of the confidence that keeps a promise."""

    confidence: float  # from which on an answer is accepted, in [0, 1)
    max_error: float  # share of wrong answers among the accepted ones, with the probability LEVEL
    tested: int  # images of the tested part
    accepted: int  # of these
    errors: int  # wrong answers among them

    @property
    def coverage(self) -> float:
        """The share of images that are accepted."""
        return self.accepted / self.tested


def first_size(count: int, parts: int = THIRD) -> int:
    """Return how many of `count` labeled images are the first part."""
    return min(MAX_FIRST, count // parts)


def first_part(count: int, parts: int = THIRD) -> NDArray[np.bool_]:
    """Return which of `count` labeled images belong to the first part, (N,), drawn with a fixed seed."""
    chosen = np.zeros(count, np.bool_)
    chosen[np.random.default_rng(0).permutation(count)[: first_size(count, parts)]] = True
    return chosen


def count(confidence: NDArray[np.floating], hit: NDArray[np.bool_], models: float = 1, parts: int = THIRD) -> Counts:
    """Count accepted images and errors at each threshold.

    Args:
        confidence: (N,) in [0, 1]; it may have been fitted on the images of `first_part(N, parts)`, not on others.
        hit: (N,) whether the answer is right.
        models: The number of models among which these images chose.
        parts: Of the images, of which one is the first part.
    """
    first = first_part(len(hit), parts)
    is_accepted = confidence[:, None] >= THRESHOLDS  # (N, 193)
    expected = is_accepted[first].mean(0) if first.any() else np.zeros(len(THRESHOLDS))
    tested = is_accepted[~first]
    return Counts(expected, tested.sum(0), (tested & ~hit[~first, None]).sum(0), len(hit), models, parts)


def threshold(counts: Counts, max_error: float) -> Threshold | None:
    """Return the lowest threshold that keeps the promise, or None if the labeled images do not prove any.

    Args:
        counts: Of labeled images like those to be classified.
        max_error: The largest allowed share of wrong answers among the accepted ones, in (0, 1).
    """
    from scipy.special import bdtr  # scipy.stats takes a second and 30 MB to import

    levels = np.zeros(len(THRESHOLDS))
    for share in STARTS:
        start = np.flatnonzero(counts.expected >= share * counts.expected[0])[-1]
        levels[start] += (1 - LEVEL) / counts.models / len(STARTS)
    tails = bdtr(np.minimum(counts.errors, counts.accepted), counts.accepted, max_error)  # of at most so many errors
    level, chosen = 0.0, None
    for place in reversed(range(len(THRESHOLDS))):
        level += levels[place]
        if tails[place] < level:
            chosen = place
        else:
            level = 0.0
    if chosen is None:
        return None
    numbers = (counts.tested, int(counts.accepted[chosen]), int(counts.errors[chosen]))
    return Threshold(float(THRESHOLDS[chosen]), max_error, *numbers)


def images_needed(max_error: float, models: float = 1, parts: int = THIRD) -> int:
    """Return the least number of labeled images that prove the promise, if every answer to them is right and sure."""
    tested = np.ceil(np.log((1 - LEVEL) / models) / np.log1p(-max_error))
    return int(tested + min(MAX_FIRST, np.ceil(tested / (parts - 1))))
