import numpy as np
from numpy.typing import NDArray

from ziffern.reading.draft import Draft
from ziffern.reading.result import CellReading
from ziffern.reading.sudoku import SIDE, keep_rule

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


def test_another_grid_of_nine_by_nine_stays_as_it_is() -> None:
    digits = np.random.default_rng(0).integers(0, 10, (9, 9))
    cells = drafts(digits)
    keep_rule(cells)
    assert guesses(cells) == digits.ravel().tolist()
    assert not any(cell.reason for cell in cells)
    keep_rule(drafts(np.full((9, 9), -1)))
