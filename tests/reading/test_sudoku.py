import numpy as np
import pytest
from numpy.typing import NDArray

from ziffern.reading import fields, sudoku
from ziffern.reading.draft import Draft
from ziffern.reading.fields import found_fields
from ziffern.reading.find import Found
from ziffern.reading.model import ReaderModel
from ziffern.reading.result import CellReading
from ziffern.reading.sudoku import SIDE, keep_rule
from ziffern.reading.values import Decisions

PLACE = np.arange(SIDE)
SOLVED = (PLACE[:, None] % 3 * 3 + PLACE[:, None] // 3 + PLACE) % 9 + 1  # (9, 9)


def drafts(digits: NDArray[np.intp], sure: float = 0.97) -> list[Draft]:
    cells = []
    for digit in digits.ravel():
        draft = Draft("r1c1", "cells", (0.0, 0.0, 1.0, 1.0))
        if digit >= 0:
            probability = np.full((1, 10), (1 - sure) / 9, np.float32)
            probability[0, digit] = sure
            draft.splits, draft.cells = [(1.0, probability)], [CellReading("digit", draft.box, str(digit), sure)]
        cells.append(draft)
    return cells


def guesses(cells: list[Draft]) -> list[int]:
    return [int(cell.splits[0][1].argmax()) for cell in cells if cell.splits]


def test_a_digit_that_stands_twice_becomes_the_next_probable_one_and_is_left_to_a_person() -> None:
    cells = drafts(SOLVED)
    right = int(SOLVED[4, 4])
    wrong = right % 9 + 1
    cells[40].splits[0][1][0, [wrong, right]] = 0.6, 0.3
    keep_rule(cells)
    assert guesses(cells) == SOLVED.ravel().tolist()
    assert cells[40].plain_guess == str(right)
    assert cells[40].cells[0].probability == pytest.approx(0.3)
    assert (cells[40].splits[0][1] > 0).sum() == 9
    (field,) = Decisions(ReaderModel.builtin().calibration, 0.01).fields([[cells[40]]], [()])[0]
    assert (field.guess, field.probability) == (str(right), pytest.approx(0.3))
    assert field.alternatives[0] == (field.guess, field.probability)
    assert str(wrong) not in dict(field.alternatives)
    assert cells[40].reason is not None
    assert cells[40].reason.values == {"digit": wrong}
    assert str(wrong) in cells[40].reason.text("en")
    assert [cell.reason for place, cell in enumerate(cells) if place != 40] == [None] * 80


def test_a_puzzle_that_is_partly_filled_in_is_one_too() -> None:
    digits = np.where(np.arange(81).reshape(9, 9) % 3, SOLVED, -1)
    cells = drafts(digits)
    first, second = cells[1], cells[2]
    second.splits[0][1][0, [digits[0, 1], digits[0, 2]]] = 0.6, 0.3
    keep_rule(cells)
    assert guesses(cells) == digits[digits > 0].tolist()
    assert first.reason is None
    assert second.reason is not None


def test_a_zero_breaks_the_rule_too() -> None:
    digits = SOLVED.copy()
    digits[2, 7] = 0
    cells = drafts(digits)
    keep_rule(cells)
    assert guesses(cells) == SOLVED.ravel().tolist()
    assert cells[25].reason is not None
    assert cells[25].reason.text("en") == "read on its own, this is 0, which breaks the rule of the sudoku"


def test_neither_a_right_sudoku_nor_a_table_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sudoku, "most_probable", lambda *_: pytest.fail("takes seconds"))
    keep_rule(drafts(SOLVED))
    keep_rule(drafts(np.random.default_rng(0).integers(1, 10, (9, 9))))


def test_each_sudoku_of_a_page_keeps_its_rule() -> None:
    boxes = [[(30 * column, 30 * row, 30 * column + 30, 30 * row + 30) for column in range(9)] for row in range(18)]
    page, model = np.full((540, 270), 255, np.uint8), ReaderModel.builtin()
    chunks: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fields, "keep_rule", lambda some: chunks.append(len(some)))
        found_fields(Found("grid", boxes, page, is_boxed=False), model)
        found_fields(Found("grid", boxes[:10], page, is_boxed=False), model)
    assert chunks == [81, 81]


def test_another_grid_of_nine_by_nine_stays_as_it_is() -> None:
    digits = np.random.default_rng(0).integers(0, 10, (9, 9))
    cells = drafts(digits)
    keep_rule(cells)
    assert guesses(cells) == digits.ravel().tolist()
    assert not any(cell.reason for cell in cells)
    keep_rule(drafts(np.full((9, 9), -1)))
