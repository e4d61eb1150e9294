"""Split a string of digits that has no cells.

Decisions: the ink is over-segmented at its connected components and at thin places of the wide ones; the best path
through all groups of neighboring pieces is found by dynamic programming over the classifier's probabilities and a few
penalties in terms of the usual height of a digit, so that it also counts the digits (as in Fujisawa, Nakano and Kurino
1992, "Segmentation methods for character recognition"). Most groups are no digits, so all of them are classified
roughly, and only those on the best paths with all views.
"""

from collections.abc import Callable, Sequence
from heapq import nlargest
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Ink = NDArray[np.float32]
Mask = NDArray[np.bool_]
Classify = Callable[[Sequence[Ink]], tuple[NDArray[np.float32], NDArray[np.float32]]]

INK = 0.3  # of the pen's darkness
SPECK = 0.12  # of a digit's height
WIDE = 0.6  # of a digit's height: a wider component may be several digits
CUT_DISTANCE = 0.18  # between cuts, as a share of the height
MAX_CUTS = 3.5  # per digit's height of width, and component
SLANTS = (-0.35, -0.17, 0.0, 0.17, 0.35)  # of cuts: columns per row
MAX_WIDTH, USUAL_WIDTH = 1.8, 1.05  # of a digit, as a share of its height
SHORT, TALL = 0.5, 0.6  # of the usual height: shorter than a digit; a piece that is a digit by itself
LEAST, MAX_PENALTY = 1e-3, 3.0  # probability; of a group of pieces that may be a digit
ROUGH = 4  # times as many paths are kept while scores are rough
DIGIT_WEIGHT = 0.75  # of the score of being a digit, which is low for unusual digits, too

# Penalties, in natural logarithms of probability
CUT, CUT_STROKE = 1.0, 0.6  # a cut, and each stroke width of ink it crosses beyond the first
MERGED_TALL, GAP = 2.5, 6.0  # two tall pieces side by side in one digit; a gap inside, per digit's height
WIDTH, HEIGHT = 7.0, 6.0  # beyond the usual width, below the short height; per digit's height
SKIPPED, SKIPPED_HEIGHT = 2.0, 5.0  # a piece that is no digit, and per digit's height


class Split(NamedTuple):
    """A string of n digits."""

    boxes: list[tuple[int, int, int, int]]  # left, top, right, bottom in pixels of the ink
    probabilities: NDArray[np.float32]  # (n, 10)
    is_digit: NDArray[np.float32]  # (n,) 0 to 1
    score: float  # the higher the better, at most 0
    inks: list[Ink]  # of its digits


def quality(probabilities: NDArray[np.float32], is_digit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how surely inks are digits and which, (n,) in 0 to 1; letters are mostly below 0.6."""
    return np.asarray(probabilities.max(1) ** 3 * np.clip(is_digit, 0, 1) ** 0.75, np.float32)


class _Piece(NamedTuple):
    left: int
    top: int
    mask: Mask
    cut: float  # penalty for separating it from the piece before it

    @property
    def right(self) -> int:
        return self.left + int(self.mask.shape[1])

    @property
    def bottom(self) -> int:
        return self.top + int(self.mask.shape[0])


_Path = tuple[float, tuple[int, ...]]  # score, spans


def split_digits(
    ink: Ink,
    classify: Classify,
    count: int | tuple[int, int] | None = None,
    best: int = 4,
    rough: Classify | None = None,
) -> list[Split]:
    """Return the most plausible splits of a string into digits, best first; none without ink.

    Args:
        ink: (h, w) in 0 to 1.
        classify: Returns for n inks the probabilities (n, 10), and (n,) of being a digit at all; called once.
        count: The number of digits, or the least and the largest, if known.
        best: Splits at most.
        rough: A faster `classify` that chooses the groups of pieces to classify; None classifies all of them.
    """
    pieces, height = _pieces(ink > INK)
    least, most = (1, len(pieces)) if count is None else (count, count) if isinstance(count, int) else count
    if not pieces:
        return []
    spans, penalties = [], []
    for first in range(len(pieces)):
        for last in range(first + 1, len(pieces) + 1):
            left, _, right, _ = _extent(pieces[first:last])
            penalty = _penalty(pieces[first:last], height)
            if last == first + 1 or (penalty < MAX_PENALTY and right - left <= MAX_WIDTH * height):
                spans.append((first, last))
                penalties.append(penalty)
            elif right - left > MAX_WIDTH * height:
                break
    padded = np.pad(ink, 1)
    inks = [_ink_of(padded, pieces[first:last]) for first, last in spans]
    probabilities, is_digit = (rough or classify)(inks)
    scores = (_likely(probabilities, is_digit) - penalties).tolist()
    starting: dict[int, list[int]] = {}
    for index, (first, _) in enumerate(spans):
        starting.setdefault(first, []).append(index)
    beam = ROUGH * best if rough else best
    paths: list[dict[int, list[_Path]]] = [{} for _ in range(len(pieces) + 1)]  # of each place and count
    paths[0][0] = [(0.0, ())]
    for first, piece in enumerate(pieces):
        for digits, ways in paths[first].items():
            kept = nlargest(beam, ways)
            if piece.mask.shape[0] < TALL * height:
                skipped = SKIPPED + SKIPPED_HEIGHT * max(piece.mask.shape) / height
                paths[first + 1].setdefault(digits, []).extend((score - skipped, way) for score, way in kept)
            for index in starting[first] if digits < most else ():
                number = digits + 1 if count else 0  # which does not matter if any is right
                longer = [(score + scores[index], (*way, index)) for score, way in kept]
                paths[spans[index][1]].setdefault(number, []).extend(longer)
    ends = [path for digits, ways in paths[-1].items() if not count or least <= digits <= most for path in ways]
    if rough and ends:
        ends = nlargest(beam, ends)
        chosen = sorted({index for _, way in ends for index in way})
        before = _likely(probabilities, is_digit)
        probabilities[chosen], is_digit[chosen] = classify([inks[index] for index in chosen])
        gains = _likely(probabilities, is_digit) - before
        ends = [(score + float(gains[list(way)].sum()), way) for score, way in ends]
    return [
        Split(
            [_extent(pieces[slice(*spans[index])]) for index in way],
            probabilities[list(way)],
            is_digit[list(way)],
            score,
            [inks[index] for index in way],
        )
        for score, way in nlargest(best, ends)
        if way
    ]


def _likely(probabilities: NDArray[np.float32], is_digit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logarithm of how likely inks are digits, (n,)."""
    likely = np.log(np.maximum(probabilities.max(1), LEAST)) + DIGIT_WEIGHT * np.log(np.maximum(is_digit, LEAST))
    return np.asarray(likely, np.float32)


def _pieces(mask: Mask) -> tuple[list[_Piece], float]:
    """Return the pieces of ink from left to right, and the usual height of a digit."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    stats = stats[:, :4].astype(int)
    if len(stats) == 1:
        return [], 0.0
    heights = stats[1:, 3]
    height = float(np.median(heights[heights > 0.5 * np.percentile(heights, 95)]))
    parts = [
        _Piece(left, top, labels[top : top + tall, left : left + wide] == label, 0.0)
        for label, (left, top, wide, tall) in enumerate(stats.tolist())
        if label and max(wide, tall) > SPECK * height
    ]
    parts = _joined(sorted(parts, key=lambda part: part.left), height)
    stroke = _stroke_width(mask)
    pieces = [piece for part in parts for piece in _cut(part, height, stroke)]
    return sorted(pieces, key=lambda piece: piece.left + piece.right), height


def _joined(parts: list[_Piece], height: float) -> list[_Piece]:
    """Join parts that lie above each other, such as the bar of a 5."""
    for first, part in enumerate(parts):
        for other in parts[first + 1 :]:
            overlap = min(part.right, other.right) - max(part.left, other.left)
            smaller = min(part.mask.shape[1], other.mask.shape[1])
            together = max(part.bottom, other.bottom) - min(part.top, other.top)
            if (
                overlap >= 0.7 * smaller
                and min(part.mask.shape[0], other.mask.shape[0]) < 0.7 * height
                and together < 1.6 * height
            ):
                rest = [piece for piece in parts if piece is not part and piece is not other]
                left, top, _, _ = _extent([part, other])
                return _joined(
                    sorted([_Piece(left, top, _union([part, other]), 0.0), *rest], key=lambda piece: piece.left), height
                )
    return parts


def _cut(part: _Piece, height: float, stroke: float) -> list[_Piece]:
    """Cut a wide component along slanted lines where it is thin."""
    tall, wide = part.mask.shape
    if wide < WIDE * height:
        return [part]
    rows, columns = np.arange(tall)[:, None], np.arange(wide)[None]
    shifts = [np.rint(slant * (rows - tall / 2)).astype(int) for slant in SLANTS]
    padded = np.pad(part.mask, ((0, 0), (tall, tall)))
    crossed = np.stack([padded[rows, columns + shift + tall].sum(0) for shift in shifts])  # (slants, columns)
    cost = crossed.min(0) + 0.01 * np.abs(np.array(SLANTS))[crossed.argmin(0)]
    distance = max(2, round(CUT_DISTANCE * height))
    order = [int(x) for x in np.argsort(cost, kind="stable") if distance <= x < wide - distance]
    cuts: list[int] = []
    for x in order:
        if len(cuts) < MAX_CUTS * wide / height and all(abs(x - other) >= distance for other in cuts):
            cuts.append(x)
    pieces, before, penalty = [], np.zeros_like(part.mask), 0.0
    ends: list[int | None] = [*sorted(cuts), None]
    for end in ends:
        side = np.ones_like(part.mask) if end is None else columns < end + shifts[int(crossed[:, end].argmin())]
        own = part.mask & side & ~before
        before |= side
        if own.any():
            inside_rows, inside = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
            own = own[inside_rows[0] : inside_rows[-1] + 1, inside[0] : inside[-1] + 1]
            pieces.append(_Piece(part.left + int(inside[0]), part.top + int(inside_rows[0]), own, penalty))
        if end is not None:
            penalty = CUT + CUT_STROKE * max(0.0, float(crossed[:, end].min()) / stroke - 1)
    return pieces


def _stroke_width(mask: Mask) -> float:
    """Return the usual width of strokes: four times the mean depth of their pixels."""
    padded = np.pad(mask, 1).astype(np.uint8)
    return max(1.0, 4 * (float(cv2.distanceTransform(padded, cv2.DIST_L2, 3)[padded > 0].mean()) - 0.5))


def _penalty(pieces: list[_Piece], height: float) -> float:
    """Return how unlike a digit the shape of these pieces is, and what it costs to separate them from those before."""
    left, top, right, bottom = _extent(pieces)
    penalty = pieces[0].cut + WIDTH * max(0.0, (right - left) / height - USUAL_WIDTH)
    penalty += HEIGHT * max(0.0, SHORT - (bottom - top) / height)
    for index, after in enumerate(pieces[1:], 1):
        before = pieces[index - 1]
        if not after.cut:
            gap = after.left - max(piece.right for piece in pieces[:index])
            penalty += GAP * max(0.0, gap / height)
            both_tall = min(before.mask.shape[0], after.mask.shape[0]) > TALL * height
            penalty += MERGED_TALL * (both_tall and gap >= -0.1 * height)
    return penalty


def _extent(pieces: Sequence[_Piece]) -> tuple[int, int, int, int]:
    left, top = min(piece.left for piece in pieces), min(piece.top for piece in pieces)
    return left, top, max(piece.right for piece in pieces), max(piece.bottom for piece in pieces)


def _union(pieces: Sequence[_Piece]) -> Mask:
    left, top, right, bottom = _extent(pieces)
    union = np.zeros((bottom - top, right - left), np.bool_)
    for piece in pieces:
        union[piece.top - top : piece.bottom - top, piece.left - left : piece.right - left] |= piece.mask
    return union


def _ink_of(padded: Ink, pieces: Sequence[_Piece]) -> Ink:
    """Return the ink of these pieces alone, with its gray edges, from the ink with a border of one pixel."""
    left, top, right, bottom = _extent(pieces)
    own = cv2.copyMakeBorder(_union(pieces).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    near = cv2.dilate(own, np.ones((3, 3), np.uint8)) > 0
    part = padded[top : bottom + 2, left : right + 2]
    alone = np.where((own > 0) | (near & (part <= INK)), part, 0)
    return np.asarray(alone / alone.max(), np.float32)
