"""The rule of a sudoku: no digit from 1 to 9 stands twice in a row, a column or a block.

Decisions: the most probable digits that keep to the rule are the solution of an integer program; a cell that has
another digit if it is read alone is left to a person, since the puzzle may have been filled in wrongly, and shows the
digit with its own probability, without the more probable ones that break the rule; a grid of nine by nine in which the
rule changes more than a tenth of the digits is no sudoku; equal digits are counted first, because the program takes ten
seconds for other tables.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ziffern.reading.draft import Draft
from ziffern.reading.result import Reason

SIDE = 9
MAX_CHANGED = 0.1  # of the digits
LEAST = 1e-6  # probability
MAX_SECONDS = 5.0  # for the program


def keep_rule(drafts: Sequence[Draft]) -> None:
    """Give the 81 cells of a grid, row by row, the digits that keep to the rule, if it is a sudoku."""
    places = np.array([place for place, draft in enumerate(drafts) if draft.splits], np.intp)
    if not len(places):
        return
    probabilities = np.concatenate([drafts[place].splits[0][1] for place in places])  # (n, 10)
    alone = probabilities.argmax(1)
    if not 0 < _least_changed(alone, places) <= MAX_CHANGED * len(places):
        return
    digits = most_probable(probabilities, places)
    changed = np.flatnonzero(digits != alone)
    if len(changed) > MAX_CHANGED * len(places):
        return
    for row in changed:
        draft, digit = drafts[places[row]], int(digits[row])
        share = max(float(probabilities[row, digit]), LEAST)
        kept = np.where(probabilities[row] < share, probabilities[row], 0)
        kept[digit] = share
        draft.splits = [(1.0, kept[None])]
        draft.cells = [msgspec.structs.replace(draft.cells[0], digit=str(digit), probability=share)]
        draft.reason = draft.reason or Reason("reading.reason.sudoku", {"digit": int(alone[row])})


def _units(places: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
    """Return the row, the column and the block of each place, 0 to 8."""
    return places // SIDE, places % SIDE, places // 27 * 3 + places % SIDE // 3


def _least_changed(digits: NDArray[np.intp], places: NDArray[np.intp]) -> int:
    """Return how many digits the rule changes at least: zeros, and all but one of those that are equal in a unit."""
    kept = [len(np.unique((10 * unit + digits)[digits > 0])) for unit in _units(places)]
    return len(digits) - min(kept)


def most_probable(probabilities: NDArray[np.float32], places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the digits (n,) that are most probable together and keep to the rule; zeros if they are not found.

    Args:
        probabilities: (n, 10) of each digit.
        places: (n,) of the cells in the grid, row by row.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    count, side = len(places), SIDE
    variables = np.arange(count * side)
    cell, digit = np.divmod(variables, side)
    units = [unit * side + digit + kind * side**2 for kind, unit in enumerate(_units(places[cell]))]
    rows = np.concatenate([cell, *(count + unit for unit in units)])
    matrix = coo_array((np.ones(len(rows)), (rows, np.tile(variables, 4)))).tocsr()
    least = (np.arange(matrix.shape[0]) < count).astype(np.float64)  # each cell has one digit, each unit at most one
    costs = -np.log(np.maximum(probabilities[:, 1:], LEAST)).ravel()
    solution = milp(
        costs,
        integrality=np.ones(len(costs)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, least, 1),
        options={"time_limit": MAX_SECONDS},
    )
    if not solution.success:
        return np.zeros(count, np.intp)
    return np.asarray(solution.x.reshape(count, side).argmax(1) + 1, np.intp)
