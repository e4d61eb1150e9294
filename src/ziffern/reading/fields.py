"""The fields of one page: their crops, and the probabilities of their digits.

Decision: all digits of a page are classified in one call, and a page keeps no pixels but the crops of its fields, so
that memory does not grow with the number of pages.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ziffern.data.cutout import digit_image, ink_of
from ziffern.reading.constraints import SEPARATOR
from ziffern.reading.decide import Probabilities
from ziffern.reading.draft import Draft, Gray
from ziffern.reading.model import figures
from ziffern.reading.result import Box, CellReading, CellStatus, Reason
from ziffern.reading.sudoku import SIDE, keep_rule

if TYPE_CHECKING:
    from ziffern.reading.find import Found
    from ziffern.reading.layout import Field
    from ziffern.reading.model import ReaderModel
    from ziffern.reading.registration import Registered
    from ziffern.reading.strings import Classify

Ink = NDArray[np.float32]

INK = 0.5  # of the pen's darkness
MARGIN_MM, SHOWN_MM = 0.6, 2.0  # around a cell that is read, and around a field that is shown
WORD = 3  # places that are no digits, of a string that is none
UNTICKED, TICKED, FILLED = 0.02, 0.06, 0.75  # shares of ink in a tick box; between the first two a person looks


def template_fields(page: "Registered", model: "ReaderModel", pixels_per_mm: float) -> list[Draft]:
    """Return the fields of a registered page."""
    drafts = []
    gray = page.gray if page.color is None or not page.drops_out else page.color[..., 0].copy()
    for item in page.kind.fields:
        shown = _pixels(item.box, pixels_per_mm, SHOWN_MM, gray)
        draft = Draft(item.name, item.kind, _share(shown, gray), item.rules, _cut(page.gray, shown))
        boxes = item.boxes if item.kind != "crop" else ()  # which may be as large as the page, and over each other
        places = [_pixels(box, pixels_per_mm, MARGIN_MM, gray) for box in boxes]
        inks = [ink_of(_cut(gray, at), None if page.blank is None else _cut(page.blank, at), True) for at in places]
        if item.kind == "ticks":
            _tick(draft, item, inks, pixels_per_mm)
        elif item.kind == "string":
            _add_string(draft, inks[0], places[0], gray, model, item.rules.length)
        elif item.kind == "cells":
            _add_cells(draft, inks, places, gray, model)
        drafts.append(draft)
    return drafts


def found_fields(found: "Found", model: "ReaderModel") -> tuple[list[Draft], int]:
    """Return one field for each cell of a grid, each row of cells, or each string that was found without a template.

    Strings with several letters are left out, unless all have some; the second result is their number.
    """
    drafts, gray = [], found.gray
    for number, row in enumerate(found.rows, 1):
        groups = {f"r{number}c{column}": [box] for column, box in enumerate(row, 1)}
        for name, boxes in groups.items() if found.kind == "grid" else ((f"row{number}", row),):
            places = [_whole(box, gray) for box in boxes]
            lefts, tops, rights, bottoms = zip(*places, strict=True)
            margin = max(2, (bottoms[0] - tops[0]) // 6)
            shown = _whole((min(lefts) - margin, min(tops) - margin, max(rights) + margin, max(bottoms) + margin), gray)
            draft = Draft(name, "string" if found.kind == "string" else "cells", _share(shown, gray))
            draft.crop, inks = _cut(gray, shown), [found.ink(box) for box in boxes]
            if draft.kind == "string":
                (left, top, right, bottom), (height, width) = places[0], inks[0].shape
                at = ((left + right - width) // 2, (top + bottom - height) // 2)  # the ink has a margin
                _add_string(draft, inks[0], at, gray, model, None)
            else:
                _add_cells(draft, inks, places, gray, model, found.unlike(row) if len(boxes) > 1 else None)
            drafts.append(draft)
    rows = len(found.rows)
    if found.kind == "grid" and rows % SIDE == 0 and all(len(row) == SIDE for row in found.rows):
        for first in range(0, rows * SIDE, SIDE**2):
            keep_rule(drafts[first : first + SIDE**2])
    numbers = [draft for draft in drafts if draft.kind != "string" or not _is_word(draft)]
    if len(numbers) in (0, len(drafts)):
        return drafts, 0
    for number, draft in enumerate(numbers, 1):
        draft.name = f"row{number}"
    return numbers, len(drafts) - len(numbers)


def _is_word(draft: Draft) -> bool:
    """Return whether several places of a string, and more than a quarter, are no digits."""
    others = sum(cell.status == "not a digit" for cell in draft.cells)
    return others >= WORD and 4 * others > len(draft.cells)


def _add_cells(
    draft: Draft,
    inks: Sequence[Ink],
    places: Sequence[tuple[int, ...]],
    gray: Gray,
    model: "ReaderModel",
    unlike: Sequence[bool] | None = None,
) -> None:
    """Read cells; empty ones are left out of the value, but not between digits; `unlike` ones are for no digits."""
    filled = [place for place, ink in enumerate(inks) if ink.any()]
    images = np.array([digit_image(inks[place]) for place in filled], np.uint8).reshape(-1, 28, 28)
    probability, scores = model.read(images)
    is_digit = scores >= model.threshold
    if unlike is not None:
        is_digit &= ~np.array(unlike)[filled]
        scores = np.where(is_digit, scores, np.minimum(scores, model.threshold))
    draft.figures.append(figures(images, probability, scores))
    readings = dict(zip(filled, zip(probability, is_digit, strict=True), strict=True))
    for place, at in enumerate(places):
        draft.cells.append(_cell(_share(at, gray), *readings.get(place, (None, True))))
    draft.splits = [(1.0, probability)] if filled else []
    if filled and len(filled) != filled[-1] - filled[0] + 1:
        gap = next(place for place in range(filled[0], filled[-1]) if place not in filled)
        draft.reason = Reason("reading.reason.gap", {"cell": gap + 1})
    elif not is_digit.all():
        draft.reason = Reason("reading.reason.no_digit", {"cell": filled[int(is_digit.argmin())] + 1})


def _add_string(
    draft: Draft, ink: Ink, at: tuple[int, ...], gray: Gray, model: "ReaderModel", length: tuple[int, int] | None
) -> None:
    """Read a digit string without cells."""
    from ziffern.reading.strings import split_digits

    splits = split_digits(ink, classifier(model), length, rough=classifier(model, is_rough=True)) if ink.any() else []
    if not splits:
        if ink.any():
            draft.reason = Reason("reading.reason.no_split")
        return
    scores = np.exp(np.array([split.score for split in splits]) - splits[0].score)
    draft.splits = [
        (float(share), split.probabilities) for share, split in zip(scores / scores.sum(), splits, strict=True)
    ]
    best = splits[0]
    images = np.array([digit_image(one) for one in best.inks], np.uint8)
    draft.figures.append(figures(images, best.probabilities, best.is_digit))
    for (left, top, right, bottom), probability, score in zip(
        best.boxes, best.probabilities, best.is_digit, strict=True
    ):
        box = _share((at[0] + left, at[1] + top, at[0] + right, at[1] + bottom), gray)
        draft.cells.append(_cell(box, probability, score >= model.threshold))
    places = [place for place, cell in enumerate(draft.cells, 1) if cell.status != "digit"]
    if places:
        draft.reason = Reason("reading.reason.no_digit", {"cell": places[0]})


def classifier(model: "ReaderModel", is_rough: bool = False) -> "Classify":
    """Return what `find` and `split_digits` need: the probabilities and scores of the inks of single digits."""

    def classify(inks: Sequence[Ink]) -> tuple[Probabilities, NDArray[np.float32]]:
        return model.read(np.array([digit_image(ink) for ink in inks], np.uint8).reshape(-1, 28, 28), is_rough)

    return classify


def _cell(box: Box, probability: Probabilities | None, is_digit: bool) -> CellReading:
    if probability is None:
        return CellReading("empty", box)
    status: CellStatus = "digit" if is_digit else "not a digit"
    return CellReading(status, box, str(int(probability.argmax())), float(np.clip(probability.max(), 0, 1)))


def _tick(draft: Draft, item: "Field", inks: Sequence[Ink], pixels_per_mm: float) -> None:
    """Decide which boxes are ticked by the share of ink inside their lines."""
    margin = round(2 * MARGIN_MM * pixels_per_mm)
    shares = [float((ink[margin:-margin, margin:-margin] > INK).mean()) for ink in inks]
    draft.cells = []
    ticked = [label for label, share in zip(item.labels, shares, strict=True) if share >= TICKED]
    draft.value = SEPARATOR.join(ticked)
    for label, share in zip(item.labels, shares, strict=True):
        if UNTICKED < share < TICKED or share > FILLED:
            kind = "filled" if share > FILLED else "faint"
            draft.reason = draft.reason or Reason(f"reading.reason.{kind}", {"label": label})


def _pixels(box: Sequence[float], pixels_per_mm: float, margin: float, gray: Gray) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    values = (left - margin, top - margin, right + margin, bottom + margin)
    return _whole([value * pixels_per_mm for value in values], gray)


def _whole(box: Sequence[float], gray: Gray) -> tuple[int, int, int, int]:
    """Return a box in whole pixels, inside the picture."""
    height, width = gray.shape
    left, top, right, bottom = (round(value) for value in box)
    left, top = min(max(left, 0), width - 2), min(max(top, 0), height - 2)
    return left, top, min(max(right, left + 2), width), min(max(bottom, top + 2), height)


def _cut(picture: Gray, at: tuple[int, ...]) -> Gray:
    left, top, right, bottom = at
    return picture[top:bottom, left:right]


def _share(at: Sequence[float], gray: Gray) -> Box:
    height, width = gray.shape
    left, top, right, bottom = (
        min(1.0, max(0.0, v)) for v in (at[0] / width, at[1] / height, at[2] / width, at[3] / height)
    )
    return left, top, right, bottom
