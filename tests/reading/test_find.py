"""Tests of finding digits without a template, on rendered photos and, where they are at hand, on real ones."""

import tracemalloc
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support import rendered

from ziffern.data.cutout import digit_image
from ziffern.errors import InputError
from ziffern.reading import boxes
from ziffern.reading.fields import found_fields
from ziffern.reading.find import CUT, Found, Note, What, _inside, find
from ziffern.reading.model import ReaderModel
from ziffern.reading.strings import split_digits

FORMS = Path(__file__).parents[2].parent / "shared/forms"
real = pytest.mark.skipif(not FORMS.is_dir(), reason="real forms are not in the repository")


def classify(inks: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    model = ReaderModel.builtin()
    images = np.array([digit_image(ink) for ink in inks])
    return model.read(images)


def form(name: str) -> NDArray[np.uint8]:
    gray = cv2.imread(str(FORMS / name), cv2.IMREAD_GRAYSCALE)
    return np.asarray(gray, np.uint8)


def read(found: Found) -> list[list[int]]:
    """Return the digit in each cell, -1 where it is empty."""
    inks = [[found.ink(box) for box in row] for row in found.rows]
    return [[int(classify([ink])[0].argmax()) if ink.any() else -1 for ink in row] for row in inks]


def strings(found: Found) -> list[str]:
    best = [split for row in found.rows for split in split_digits(found.ink(row[0]), classify, best=1)]
    return ["".join(map(str, split.probabilities.argmax(1))) for split in best]


@pytest.mark.parametrize(
    ("rows", "columns", "cell", "bend", "angle"), [(9, 9, 60, 0.0, 2), (6, 6, 90, 0.04, -5), (3, 12, 50, 0.0, 8)]
)
def test_every_cell_of_a_grid_in_perspective_or_on_curved_paper(
    rows: int, columns: int, cell: int, bend: float, angle: float
) -> None:
    gray, truth = rendered.grid(rows, columns, cell, seed=1, line=1, filled=0.7)
    found = find(rendered.photo(gray, seed=1, tilt=0.04, bend=bend, angle=angle))
    assert found.kind == "grid"
    assert np.shape(found.rows) == (rows, columns, 4)
    digits = np.array(read(found))
    assert ((digits < 0) == (truth < 0)).all()
    assert (digits == truth).mean() > 0.95


@pytest.mark.parametrize(("count", "cell", "gap"), [(8, 60, 0.0), (7, 40, 0.3), (5, 100, 0.6)])
def test_a_row_of_adjoining_or_separate_boxes(count: int, cell: int, gap: float) -> None:
    gray, truth = rendered.row(count, cell, seed=2, gap=gap)
    found = find(rendered.photo(gray, seed=2, tilt=0.03, angle=4))
    assert found.kind == "row"
    assert read(found) == [truth]


def test_all_grids_of_a_page_and_none_without_digits() -> None:
    (upper, truth), (lower, other) = (rendered.grid(6, 6, 50, seed=seed) for seed in (11, 12))
    empty, _ = rendered.grid(6, 6, 50, seed=13, filled=0)
    found = find(rendered.photo(np.concatenate([upper, empty, lower]), seed=11, tilt=0.01))
    assert np.shape(found.rows) == (12, 6, 4)
    assert (np.array(read(found)) == np.concatenate([truth, other])).mean() > 0.95
    assert found.notes == (Note("grids", 2),)


def test_a_grid_of_thousands_of_boxes() -> None:
    gray, _ = rendered.grid(50, 40, 30, seed=14, line=1, filled=0.3)
    assert np.shape(find(gray).rows) == (50, 40, 4)


@pytest.mark.parametrize(("what", "kind"), [("auto", "grid"), ("string", "string")])
def test_boxes_beyond_the_limit_are_reported(monkeypatch: pytest.MonkeyPatch, what: What, kind: str) -> None:
    gray, _ = rendered.grid(9, 9, 50, seed=14, filled=0.5)
    gray = np.concatenate([gray, rendered.envelope("43725", 0)[: gray.shape[0], :600]], 1)
    assert not [note for note in find(gray, what).notes if note.kind == "cut"]
    monkeypatch.setattr(boxes, "MAX_BOXES", 80)
    found = find(gray, what)
    assert found.kind == kind
    assert [note for note in found.notes if note.kind == "cut"] == [CUT]


def test_thousands_of_boxes_are_compared_in_little_memory() -> None:
    corners = np.array([[-5, -5], [5, -5], [5, 5], [-5, 5]], np.float32)
    boxes = np.stack(np.meshgrid(np.arange(50), np.arange(40)), -1).reshape(-1, 1, 2) * np.float32(12) + corners
    tracemalloc.start()
    inside = _inside(list(boxes), boxes.mean(1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (inside == np.eye(2000, dtype=bool)).all()
    assert peak < 20e6


@pytest.mark.parametrize(("zoom", "blur"), [(1.0, 1.6), (0.4, 0.0)])
def test_thin_lines_beside_a_thick_one(zoom: float, blur: float) -> None:
    gray, truth = rendered.grid(9, 9, 56, seed=0, line=1, filled=0.6)
    picture = rendered.photo(gray, seed=0, tilt=0.01, noise=2)
    if blur:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.uint8)
    found = find(np.asarray(cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA), np.uint8))
    assert np.shape(found.rows) == (9, 9, 4)
    assert (np.array(read(found)) == truth).mean() > 0.95


def test_a_grid_of_light_lines_that_is_partly_empty() -> None:
    gray, truth = rendered.grid(9, 9, 56, seed=0, line=1, filled=0.6)
    found = find(255 - rendered.photo(gray, seed=0, tilt=0.01, angle=2))
    assert np.shape(found.rows) == (9, 9, 4)
    assert (np.array(read(found)) == truth).mean() > 0.95


@pytest.mark.parametrize("between", [30, 45, 60])
def test_a_dash_between_boxes_of_a_row_is_no_box(between: int) -> None:
    sheet = rendered.Sheet(900, 300, seed=15)
    lefts = [100 + 50 * place + between * (place > 2) for place in range(7)]
    for left in lefts:
        sheet.box(left, 100, left + 50, 160)
    truth = [sheet.digit(left + 25, 130, 34, int(label)) for left, label in zip(lefts, "8652302", strict=True)]
    cv2.line(sheet.gray, (250 + between // 4, 130), (250 + between * 3 // 4, 130), 40, 3)
    assert read(find(rendered.photo(sheet.gray, seed=15, tilt=0.01))) == [truth]


def test_a_wide_box_after_a_number_is_kept_and_other_boxes_are_counted() -> None:
    sheet = rendered.Sheet(900, 400, seed=16)
    lefts = [100, 210, 260, 310, 360, 410, 520]
    for left, right in pairwise(lefts):
        sheet.box(left, 100, right, 160)
    sheet.text(130, 148, "A", 1.5)
    truth = [sheet.digit(left + 25, 130, 34) for left in lefts[1:-2]]
    sheet.text(450, 148, "Y", 1.5)
    for left in (150, 500):
        sheet.box(left, 280, left + 250, 340)
        sheet.text(left + 20, 325, "Text", 1.2)
    found = find(rendered.photo(sheet.gray, seed=16, tilt=0.01))
    (row,) = found.rows
    assert read(found)[0][:4] == truth
    assert found.unlike(row) == [False] * 4 + [True]
    assert found.notes == (Note("boxes", 3),)


def test_the_turn_of_a_page_is_noted() -> None:
    gray, truth = rendered.row(8, 60, seed=17)
    for turns in range(4):
        found = find(np.ascontiguousarray(np.rot90(rendered.photo(gray, seed=17, tilt=0.01), turns)), classify=classify)
        assert read(found) == [truth]
        assert found.notes == ((Note("turned", 360 - 90 * turns),) if turns else ())


def test_the_windows_of_a_meter() -> None:
    found = find(rendered.photo(rendered.meter("836879", seed=2), seed=2, tilt=0.02, angle=4))
    assert found.kind == "row"
    assert [len(row) for row in found.rows] == [6]
    assert read(found)[0][:2] == [8, 3]


def test_boxed_strings_in_reading_order() -> None:
    sheet, texts = rendered.Sheet(1000, 500, seed=3), ["86507", "31", "492", "7"]
    for index, text in enumerate(texts[:3]):
        x, y = 100 + 400 * (index % 2), 120 + 160 * (index // 2)
        sheet.text(x, y - 60, "Label")
        sheet.box(x, y - 42, x + 330, y + 42, 3)
        sheet.string(x + 50, y, 50, text, 1.0)
    found = find(rendered.photo(sheet.gray, seed=3, tilt=0.0, angle=2))
    assert found.kind == "string"
    assert strings(found) == texts[:3]


def test_the_postal_code_below_an_address() -> None:
    picture = rendered.photo(rendered.envelope("43725", seed=5), seed=5, tilt=0.01, angle=3)
    for turns in (0, 2):  # upright and upside down
        found = find(np.ascontiguousarray(np.rot90(picture, turns)), classify=classify)
        assert found.kind == "string"
        assert strings(found) == ["43725"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 10000), (9, 9), (120, 200)])
def test_pictures_of_nothing_are_input_errors(shape: tuple[int, int]) -> None:
    for gray in (0, 255):
        with pytest.raises(InputError, match="no digits were found"):
            find(np.full(shape, gray, np.uint8), classify=classify)


def test_one_digit_with_and_without_a_box() -> None:
    for boxed in (False, True):
        sheet = rendered.Sheet(200, 240, seed=4)
        digit = sheet.digit(100, 120, 80)
        if boxed:
            sheet.box(50, 60, 150, 180)
        found = find(rendered.photo(sheet.gray, seed=4))
        assert (found.kind, read(found)) == ("digit", [[digit]])


def test_nothing_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no digits were found"):
        find(np.full((300, 300), 230, np.uint8))
    gray, _ = rendered.row(5, 50, seed=6)
    with pytest.raises(InputError, match="grid"):
        find(gray, "grid")


@real
@pytest.mark.slow
def test_real_sudokus() -> None:
    for name in ("image2002", "image2003"):
        lines = (FORMS / f"sudoku/{name}.dat").read_text().splitlines()[2:11]
        found = find(form(f"sudoku/{name}.jpg"), classify=classify)
        assert np.shape(found.rows) == (9, 9, 4)
        assert (np.array(read(found)) == np.array([line.split() for line in lines], int)).sum() >= 70


@real
@pytest.mark.slow
def test_real_student_numbers() -> None:
    gray = form("student_number/sample_roll_01.jpg")
    (row,) = read(find(gray, classify=classify))
    assert row[:7] == [0, 1, 8, 8, 8, 7, 7]
    assert len(row) == 8  # with the wider box of a letter, but without the label before
    gray = form("student_number/student_info_num.jpg")
    (row,) = read(find(gray, classify=classify))
    assert row == [0, 0, 0, 1, 2, 5, 0, 9, 8, 1] + 6 * [-1]


@real
@pytest.mark.slow
def test_a_real_form_with_boxed_strings() -> None:
    gray = form("nist/hsf.png")
    truth = [
        "0123456789",
        "0123456789",
        "0123456789",
        "16",
        "899",
        "0124",
        "43744",
        "403875",
        "821",
        "7358",
        "55925",
        "116213",
        "86",
        "4949",
        "20044",
        "625502",
        "80",
        "681",
        "79192",
        "676687",
        "49",
        "213",
        "3055",
        "803797",
        "02",
        "791",
        "3678",
        "03536",
    ]
    drafts, left_out = found_fields(find(gray), ReaderModel.builtin())
    found = [draft.plain_guess for draft in drafts if draft.cells]
    assert left_out  # text in a large box
    assert sum(text == wanted for text, wanted in zip(found, truth, strict=True)) == len(truth)
