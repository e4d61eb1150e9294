"""Find what can be read in a picture without a template: a digit, rows of boxes, a grid, or digit strings.

Decisions: boxes come first (a grid before rows before boxed strings), since they are the surest sign of a place for
digits; without boxes, the digits are the ink, and a string is the line that a classifier takes for digits, or the last
line. A classifier also tells which way up a picture is; without one it is taken as upright.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ziffern.errors import InputError
from ziffern.reading.boxes import (
    MAX_BOXES,
    SAME,
    WORKING_SIZE,
    Boxes,
    Gray,
    Points,
    dark_windows,
    filled_row,
    find_boxes,
    grid_corners,
    lattices,
    sides,
)
from ziffern.reading.straighten import PixelBox, cut_out, rotated_page, stacked, warped_grid, warped_rows
from ziffern.reading.strings import Classify, quality, split_digits
from ziffern.reading.textline import free_regions, runs_down

Kind = Literal["digit", "row", "grid", "string"]
What = Literal["auto", "digit", "row", "grid", "string"]

MIN_ROW = 3  # boxes, unless rows are asked for
MAX_WIDER = 1.7  # than the median of its row
MIN_GRID = 2  # rows and columns
MIN_KNOWN = 0.6  # of a grid's boxes
MIN_WINDOWS = 6  # dark ones with digits, for a grid of light lines
MIN_HEIGHT, MIN_COUNT = 0.6, 0.4  # of a row or grid, compared to the best one
MIN_INKED = 0.15  # of the boxes of a grid, if any has as many
MIN_STRING, MAX_STRING = 1.2, 25.0  # width to height of a box for a string
MIN_INSIDE, MIN_CONTRAST = 5, 40  # pixels of the inside of a box, gray levels of ink in it
INSET = 8  # the inside of a box begins at this part of its sides
TALL_INK = 0.35  # of a string's box: the height of its digits
MAX_SCORED, MAX_STRINGS = 40, 5  # boxes, strings
EVEN, LEAST = 0.6, 0.02  # quality of what may or may not be a digit, and the least that counts
TURN = 0.6  # by how much a turned page must be likelier, in natural logarithms
SURE, SURE_ONE = 0.65, 0.8  # mean quality of many digits that stand upright, and what one alone would need beyond
NO_BOXES = Boxes(np.zeros((0, 4, 2), np.float32), False)


class Note(NamedTuple):
    """Something that a user must know of the page."""

    kind: Literal["boxes", "cut", "grids", "lines", "turned"]
    number: int  # of what is left out, of the grids, or degrees


CUT = Note("cut", MAX_BOXES)


class Found(NamedTuple):
    """Boxes for digits (kind `string`: one box for each string), row by row, in pixels of the straightened picture."""

    kind: Kind
    rows: list[list[PixelBox]]
    gray: Gray  # (H, W), dark ink on light paper
    is_boxed: bool  # whether there are printed lines around
    notes: tuple[Note, ...] = ()  # what is left out, and which way up it was read

    @staticmethod
    def unlike(row: Sequence[PixelBox]) -> list[bool]:
        """Return which boxes of a row have another width, as those of a letter have."""
        wide = np.array([right - left for left, _, right, _ in row])
        ratios = wide / np.median(wide)
        return [bool(unlike) for unlike in (ratios > MAX_WIDER) | (ratios < 1 / MAX_WIDER)]

    def cut(self, box: PixelBox) -> Gray:
        """Return one of the boxes with a margin, without its lines and its neighbors' ink."""
        return cut_out(self.gray, box, is_boxed=self.is_boxed)

    def ink(self, box: PixelBox) -> NDArray[np.float32]:
        """Return the ink (h, w) of one of the boxes, 0 to 1; zeros if it is empty."""
        from ziffern.data.cutout import ink_of

        return ink_of(self.cut(box), is_dark=True)


_Seeker = Callable[[Gray, Points, What], Found | None]
Attempts = Sequence[tuple[Callable[[], Boxes], list[tuple[Kind, _Seeker]]]]


def find(gray: Gray, what: What = "auto", classify: Classify | None = None) -> Found:
    """Find the places of digits in a gray picture (H, W).

    Args:
        gray: A scan or photo, dark on light or light on dark.
        what: What is sought; `auto` takes the largest structure that is there.
        classify: Tells digits from other ink, and which way is up; None takes the picture as upright.

    Raises:
        InputError: Nothing of that kind is there.
    """
    if max(gray.shape) > WORKING_SIZE:
        scale = WORKING_SIZE / max(gray.shape)
        size = [max(1, round(side * scale)) for side in gray.shape[::-1]]
        gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
    if min(gray.shape) < MIN_INSIDE:
        raise InputError("reading.find.nothing", what=what)
    turns = range(4 if classify else 1)
    attempts = [(cache(places), seekers) for places, seekers in _attempts(gray, what)]  # boxes are sought once
    found = _best(((turn, _boxed(gray, attempts, what, turn)) for turn in turns), classify)
    if found is None and what not in ("row", "grid"):
        picture = _dark(gray, [(0, 0, gray.shape[1], gray.shape[0])])
        others = () if classify is None or what == "digit" else (1, 3) if runs_down(picture) else (2,)
        turned = ((turn, np.ascontiguousarray(np.rot90(picture, turn))) for turn in (0, *others))
        found = _best(((turn, _free(picture, what, classify)) for turn, picture in turned), classify)
        if found and any(places().is_cut for places, seekers in attempts if seekers):
            found = found._replace(notes=(*found.notes, CUT))
    if found is None:
        raise InputError("reading.find.nothing", what=what)
    return found


def _best(turned: Iterable[tuple[int, Found | None]], classify: Classify | None) -> Found | None:
    """Return what has the surest digits; the first one is preferred, and one digit alone does not tell."""
    best, best_score = None, 0.0
    for turn, found in turned:  # quarter turns to the left
        if found and (classify is None or found.kind == "digit"):
            if not turn:
                return found
        elif found and classify:
            scores = _digit_scores(found, classify)
            score = float(np.log(np.maximum(scores, LEAST) / EVEN).sum()) - (TURN if turn else 0)
            if not turn or score > best_score:
                best, best_score = found, score
                if turn:
                    best = found._replace(notes=(*found.notes, Note("turned", 90 * turn)))
            if scores.mean() > SURE + SURE_ONE / len(scores) ** 0.5:
                break
    return best


def _attempts(gray: Gray, what: What) -> Attempts:
    """Return where boxes of which kinds are sought, the surest first."""
    cells: list[tuple[Kind, _Seeker]] = [("grid", _grid), ("row", _rows)]
    boxes, windows = cache(lambda: find_boxes(gray)), cache(lambda: dark_windows(gray))
    light = cache(lambda: find_boxes(255 - gray))  # light lines and digits
    all_kinds: Attempts = [
        (lambda: light() if len(_filled(gray, windows()).corners) >= MIN_WINDOWS else NO_BOXES, cells[:1]),
        (lambda: _filled(gray, windows()), cells),
        (boxes, cells),
        (lambda: _filled(gray, light()), cells),
        (boxes, [("string", _strings), ("digit", _digit)]),
    ]
    return [(places, [pair for pair in kinds if what in ("auto", pair[0])]) for places, kinds in all_kinds]


def _boxed(gray: Gray, attempts: Attempts, what: What, turn: int) -> Found | None:
    picture, is_cut = np.ascontiguousarray(np.rot90(gray, turn)), False
    for places, seekers in attempts:
        quads, is_new_cut = places() if seekers else NO_BOXES
        is_cut |= is_new_cut
        shape = gray.shape
        for _ in range(turn):  # a quarter turn to the left: the top right corner becomes the top left one
            quads = np.roll(np.stack([quads[..., 1], shape[1] - quads[..., 0]], -1), -1, 1)
            shape = shape[::-1]
        for kind, seek in seekers if len(quads) else ():
            found = seek(picture, quads, what) if not (turn and kind == "digit") else None
            if found:
                return found._replace(notes=(*found.notes, CUT) if is_cut else found.notes)
    return None


def _free(gray: Gray, what: What, classify: Classify | None) -> Found | None:
    picture, regions, others = free_regions(gray, classify, what)
    if not regions:
        return None
    left, top, right, bottom = regions[0]
    is_digit = what == "digit" or (what == "auto" and right - left < 1.3 * (bottom - top))
    notes = (Note("lines", others),) if others and not is_digit else ()
    return Found("digit" if is_digit else "string", [[region] for region in regions], picture, False, notes)


def _grid(gray: Gray, quads: Points, what: What) -> Found | None:
    grids = []
    for places in lattices(quads, is_grid=True):
        rows, columns = (1 + max(place[axis] for place in places) for axis in (0, 1))
        is_large = min(rows, columns) >= MIN_GRID and rows * columns >= (3 * 3 if what == "auto" else 1)
        if is_large and len(places) >= MIN_KNOWN * rows * columns:
            area = len(places) * float(np.sum([cv2.contourArea(quads[box]) for box in places.values()]))
            grids.append((area, len(places), places))
    kept: list[Points] = []
    grids.sort(key=lambda grid: -grid[0])
    inked = [
        grid for grid in grids if np.mean([_has_tall_ink(gray, quads[box]) for box in grid[2].values()]) >= MIN_INKED
    ]
    for _, count, places in inked or grids[:1]:
        corners = grid_corners(quads, places)
        if not kept or (
            count >= MIN_COUNT * kept[0][..., 0].size
            and not _inside([_outline(other) for other in kept], corners.mean((0, 1))[None]).any()
        ):
            kept.append(corners)
    if not kept:
        return None
    outlines = [_outline(corners) for corners in kept]
    pictures: list[Gray] = []
    placed: list[list[PixelBox]] = []
    sizes = [corners.size for corners in kept]
    for index in sorted(_in_reading_order(outlines), key=lambda index: sizes[index] < SAME * max(sizes)):
        picture, boxes = warped_grid(gray, kept[index])
        top = sum(len(other) for other in pictures)
        pictures.append(_dark(picture, [box for row in boxes for box in row]))
        placed += [[(left, up + top, right, down + top) for left, up, right, down in row] for row in boxes]
    notes = _left_out(gray, quads, outlines)
    if len(kept) > 1:
        notes += (Note("grids", len(kept)),)
    return Found("grid", placed, stacked(pictures), is_boxed=True, notes=notes)


def _outline(corners: Points) -> Points:
    """Return the corners (4, 2) of a grid."""
    return np.asarray(corners[[0, 0, -1, -1], [0, -1, -1, 0]])


def _inside(outlines: Sequence[Points], points: Points) -> NDArray[np.bool_]:
    """Return which outlines (K, 4, 2) hold which points (N, 2), (K, N)."""
    inside = []
    for outline in outlines:  # all at once would need gigabytes for thousands of boxes
        edges, away = np.roll(outline, -1, 0) - outline, points[:, None] - outline  # (4, 2), (N, 4, 2)
        inside.append((edges[:, 0] * away[..., 1] - edges[:, 1] * away[..., 0] > 0).all(1))
    return np.array(inside)


def _left_out(gray: Gray, quads: Points, outlines: Sequence[Points]) -> tuple[Note, ...]:
    """Return a note of the boxes (N, 4, 2) with tall ink that neither lie in these outlines nor around them."""
    centers = np.array([outline.mean(0) for outline in outlines])
    is_own = _inside(outlines, quads.mean(1)).any(0)
    tall = np.linalg.norm(sides(quads)[2], axis=1)
    others = ~is_own & ~_inside(list(quads), centers).any(1) & (tall >= MIN_HEIGHT * np.median(tall[is_own]))
    count = sum(_has_tall_ink(gray, quad) for quad in quads[others])
    return (Note("boxes", count),) if count else ()


def _rows(gray: Gray, quads: Points, what: What) -> Found | None:
    groups = [_without_labels(quads, places) for places in lattices(quads, is_grid=False)]
    groups = [group for group in groups if len(group) >= (MIN_ROW if what == "auto" else 2)]
    if what == "auto":
        groups = [group for group in groups if any(_has_tall_ink(gray, quads[box]) for box in group)]
    if not groups:
        return None
    heights = [float(np.median(np.linalg.norm(sides(quads[group])[2], axis=1))) for group in groups]
    best = int(np.argmax([len(group) ** 2 * height**0.5 for group, height in zip(groups, heights, strict=True)]))
    kept = [
        group
        for group, height in zip(groups, heights, strict=True)
        if height >= MIN_HEIGHT * heights[best] and len(group) >= MIN_COUNT * len(groups[best])
    ]
    return _straight("row", gray, [filled_row(gray, quads[group]) for group in kept], quads)


def _without_labels(quads: Points, places: Mapping[tuple[int, int], int]) -> list[int]:
    """Return the boxes of a row from left to right without narrow ones, and without wide ones before the first digit.

    These have a label; a wide box after a digit may have a letter of the number.
    """
    group = [places[place] for place in sorted(places)]
    wide = np.linalg.norm(sides(quads[group])[1], axis=1)
    ratios = wide / np.median(wide)
    first = int(((ratios > 1 / MAX_WIDER) & (ratios < MAX_WIDER)).argmax())
    return [box for box, ratio in zip(group[first:], ratios[first:], strict=True) if ratio > 1 / MAX_WIDER]


def _strings(gray: Gray, quads: Points, what: What) -> Found | None:
    _, along, down = sides(quads)
    wide, tall = np.linalg.norm(along, axis=1), np.linalg.norm(down, axis=1)
    fits = (wide > MIN_STRING * tall) & (wide < MAX_STRING * tall)
    filled = np.array([bool(fit) and _has_tall_ink(gray, quad) for fit, quad in zip(fits, quads, strict=True)])
    if not filled.any():
        return None
    usual = float(np.median(tall[filled]))
    kept = fits & (tall > 0.6 * usual) & (tall < 1.6 * usual)
    return _straight("string", gray, [[quad] for quad in quads[kept]], quads)


def _digit(gray: Gray, quads: Points, what: What) -> Found | None:
    areas = np.array([cv2.contourArea(quad) if _has_tall_ink(gray, quad) else 0 for quad in quads])
    largest = int(areas.argmax())
    if areas[largest] < (0.05 if what == "auto" else 0.01) * gray.size:
        return None
    return _straight("digit", gray, [[quads[largest]]], quads)


def _filled(gray: Gray, boxes: Boxes) -> Boxes:
    is_filled = np.array([_has_tall_ink(gray, quad) for quad in boxes.corners], bool)
    return boxes._replace(corners=boxes.corners[is_filled])


def _has_tall_ink(gray: Gray, quad: Points) -> bool:
    """Whether there is a stroke of a digit's height inside a box."""
    picture, ((box,),) = warped_rows(gray, [[quad]])
    left, top, right, bottom = box
    inset = max(2, (bottom - top) // 12)
    crop = _dark(picture, [box])[top + inset : bottom - inset, left + inset : right - inset]
    if min(crop.shape) < MIN_INSIDE or np.ptp(crop) < MIN_CONTRAST:
        return False
    _, ink = cv2.threshold(crop, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink)
    left, top, wide, tall = stats[1:, :4].T
    inside = (left > 0) & (top > 0) & (left + wide < crop.shape[1]) & (top + tall < crop.shape[0])
    return bool((inside & (tall > TALL_INK * (box[3] - box[1]))).any())


def _straight(kind: Kind, gray: Gray, rows: list[list[Points]], quads: Points) -> Found:
    rows = [rows[index] for index in _in_reading_order([row[0] for row in rows])]
    picture, boxes = rotated_page(gray, rows) or warped_rows(gray, rows)
    picture = _dark(picture, [box for row in boxes for box in row])
    notes = _left_out(gray, quads, [quad for row in rows for quad in row])
    return Found(kind, boxes, picture, is_boxed=True, notes=notes)


def _in_reading_order(firsts: Sequence[Points]) -> list[int]:
    """Return the order of rows, by the first box of each: from top to bottom, and from left to right."""
    _, along, down = sides(np.array(firsts, np.float32))
    right = np.median(along / np.linalg.norm(along, axis=1, keepdims=True), 0)
    tall = float(np.median(np.linalg.norm(down, axis=1)))
    x = np.array([quad.mean(0) @ right for quad in firsts])
    y = np.array([quad.mean(0) @ np.array([-right[1], right[0]]) for quad in firsts])
    order: list[int] = []
    left = np.argsort(y).tolist()
    while left:
        line = [index for index in left if y[index] < y[left[0]] + 0.6 * tall]
        order += sorted(line, key=lambda index: x[index])
        left = [index for index in left if index not in line]
    return order


def _dark(gray: Gray, boxes: list[PixelBox]) -> Gray:
    """Invert the picture if these boxes have light ink on dark paper: strokes differ from what is around them."""
    total = 0.0
    for left, top, right, bottom in boxes:
        x, y = (right - left) // INSET, (bottom - top) // INSET
        crop = gray[max(top, 0) + y : bottom - y, max(left, 0) + x : right - x].astype(np.float32)
        if min(crop.shape) >= MIN_INSIDE:
            size = max(crop.shape) // 3 | 1
            total += float(((crop - cv2.blur(crop, (size, size), borderType=cv2.BORDER_REPLICATE)) ** 3).mean())
    return 255 - gray if total > 0 else gray


def _digit_scores(found: Found, classify: Classify) -> NDArray[np.float32]:
    """Return how surely each digit is one; one zero if there are none."""
    every = (found.ink(box) for row in found.rows for box in row)
    inks = list(islice((ink for ink in every if ink.any()), MAX_STRINGS if found.kind == "string" else MAX_SCORED))
    if found.kind == "string":
        splits = [split for ink in inks for split in split_digits(ink, classify, best=1)]
        parts = [quality(split.probabilities, split.is_digit) for split in splits]
        return np.concatenate(parts) if parts else np.zeros(1, np.float32)
    return quality(*classify(inks)) if inks else np.zeros(1, np.float32)
