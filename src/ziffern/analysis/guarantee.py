"""Which answers may be accepted so that at most a given share of them is wrong.

Angelopoulos et al. 2022, "Learn then Test": the thresholds of the confidence are tested in a fixed order by exact
binomial tails, and the last one before the first failure is taken, so that no correction for their number is needed.
Decisions: the thresholds are fixed in advance, since the binomial law holds for a threshold that does not depend on the
labels; labeled images are divided in two, a first part (which may also fit the temperature) that chooses where the
order starts, and the tested part; where the same images chose among several models, such as epochs, the level is
divided by their number (Bonferroni).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95  # probability that the promise holds
STEPS = 32  # thresholds per factor of ten of the doubt, 1 - confidence
_DOUBTS = 10 ** -(np.arange(1, 6 * STEPS + 1) / STEPS)
THRESHOLDS = np.append(0.0, 1 - _DOUBTS).astype(np.float32)  # (193,), ascending to 1 - 1e-6, of the type of confidence
MAX_FIRST = 2000  # images of the first part
MARGIN = 2.0  # standard deviations of the number of images at the first tested threshold


@dataclass(frozen=True)
class Counts:
    """Labeled images at each of THRESHOLDS; all arrays are (193,)."""

    expected: NDArray[np.float64]  # share of accepted images in the first part
    accepted: NDArray[np.int64]  # images of the tested part
    errors: NDArray[np.int64]  # wrong answers among them
    images: int  # labeled ones in all, of both parts
    models: float = 1  # among which the same images chose; infinite if a model was trained on them
    first_errors: NDArray[np.int64] | None = None  # wrong answers among the accepted ones of the first part, if known

    @property
    def tested(self) -> int:
        """The number of images in the tested part, those included that are flagged as no digits."""
        return self.images - first_size(self.images)


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


def first_size(count: int) -> int:
    """Return how many of `count` labeled images are the first part."""
    return min(MAX_FIRST, count // 3)


def first_part(count: int) -> NDArray[np.bool_]:
    """Return which of `count` labeled images belong to the first part, (N,), drawn with a fixed seed."""
    chosen = np.zeros(count, np.bool_)
    chosen[np.random.default_rng(0).permutation(count)[: first_size(count)]] = True
    return chosen


def count(
    confidence: NDArray[np.floating], hit: NDArray[np.bool_], models: float = 1, with_first_errors: bool = False
) -> Counts:
    """Count accepted images and errors at each threshold.

    Args:
        confidence: (N,) in [0, 1]; it may have been fitted on the images of `first_part(N)`, not on others.
        hit: (N,) whether the answer is right.
        models: The number of models among which these images chose.
        with_first_errors: Also count the errors of the first part, which make `threshold` stronger; checkpoints do not
            record them.
    """
    first = first_part(len(hit))
    is_accepted = confidence[:, None] >= THRESHOLDS  # (N, 193)
    expected = is_accepted[first].mean(0) if first.any() else np.zeros(len(THRESHOLDS))
    tested = is_accepted[~first]
    errors, first_errors = ((is_accepted & ~hit[:, None])[part].sum(0) for part in (~first, first))
    return Counts(expected, tested.sum(0), errors, len(hit), models, first_errors if with_first_errors else None)


def threshold(counts: Counts, max_error: float) -> Threshold | None:
    """Return the lowest threshold that keeps the promise, or None if the labeled images do not prove any.

    Args:
        counts: Of labeled images like those to be classified.
        max_error: The largest allowed share of wrong answers among the accepted ones, in (0, 1).
    """
    alpha = (1 - LEVEL) / counts.models
    share, first = counts.expected, max(1, counts.images - counts.tested)
    tail = _tail(counts.errors, counts.accepted, max_error)  # of as few errors, if there were more
    if counts.first_errors is not None:
        return _descended(counts, tail < alpha, _best_start(counts, max_error), max_error)
    deviation = np.sqrt(share * (1 - share) * (1 / first + 1 / max(1, counts.tested)))
    start = 0  # without enough images for any threshold
    for expected in (share, share - MARGIN * deviation):  # the second is safer, if it leaves any
        images = np.floor(np.maximum(expected, 0) * counts.tested)
        start = int(max(np.flatnonzero(_tail(0, images, max_error) < alpha), default=start))
    return _descended(counts, tail < alpha, start, max_error)


def _tail(errors: Any, images: Any, share: float) -> NDArray[np.float64]:
    """Return the probability of at most so many errors among images; scipy.stats takes a second and 30 MB to import."""
    from scipy.special import bdtr

    return np.asarray(bdtr(np.minimum(errors, images), np.asarray(images, np.int64), share))


def _best_start(counts: Counts, max_error: float) -> int:
    """Return the threshold that will most probably be proven, by the errors of the first part."""
    first = counts.expected * (counts.images - counts.tested)
    images = np.floor(counts.expected * counts.tested)
    errors = images * (np.asarray(counts.first_errors) + 0.5) / (first + 1)  # half an error more, as none is never sure
    return int(np.argmin(_tail(np.ceil(errors), images, max_error)))


def _descended(counts: Counts, is_proven: NDArray[np.bool_], start: int, max_error: float) -> Threshold | None:
    """Return the last threshold before the first that is not proven, in descending order from the start."""
    chosen = None
    for place in range(start, -1, -1):
        if not is_proven[place]:
            break
        chosen = place
    if chosen is None:
        return None
    values = (counts.tested, int(counts.accepted[chosen]), int(counts.errors[chosen]))
    return Threshold(float(THRESHOLDS[chosen]), max_error, *values)


def images_needed(max_error: float, models: float = 1) -> int:
    """Return the least number of labeled images that prove the promise, if every answer to them is right."""
    tested = np.ceil(np.log((1 - LEVEL) / models) / np.log1p(-max_error))
    return int(tested + min(MAX_FIRST, np.ceil(tested / 2)))
