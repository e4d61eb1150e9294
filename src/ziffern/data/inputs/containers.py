"""Read the images in a table or an npz, whose labels may be missing.

Decisions: labels and ids are recognized as in training data, but nothing depends on them; one array is read, and where
several have images, none is chosen.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part, Reading
from ziffern.data.formats.arrays import array_roles, read_array
from ziffern.data.formats.levels import ROWS, class_labels
from ziffern.data.formats.members import Member, Members
from ziffern.data.formats.table_columns import INDEXES, Columns, find_columns, named_label
from ziffern.data.formats.table_ends import Ends
from ziffern.data.formats.table_text import Table, open_table
from ziffern.data.formats.table_values import read_pixels
from ziffern.data.formats.tables import FEW_COLUMNS, OTHER, UNCLEAR, scaled_to_full_range
from ziffern.data.inputs.arrays import array_images
from ziffern.data.spec import Shape
from ziffern.errors import InputError
from ziffern.text.catalog import Message


class Content(NamedTuple):
    """Images (N, H, W) or (N, C, H, W), what was assumed, and labels (N,) and N ids, where there are any."""

    images: NDArray[np.uint8]
    notes: Sequence[Message] = ()
    labels: NDArray[Any] | None = None
    ids: list[str] | None = None


def npz_images(members: Members, shape: Shape, label: str, choice: str) -> Content:
    """Return the only array of images of an npz, or the chosen one, and the labels that belong to it.

    Raises:
        InputError: There is no array of images, or several, or none of the chosen name; or it is damaged.
    """
    arrays = {path.removesuffix(".npy"): member for path, member in members.items()}
    roles = array_roles(arrays)
    names = [name for fitting in roles.values() for name in fitting.get("images", [])]
    if not names:
        shapes = {name: read_array(member).shape for name, member in arrays.items()}
        axes = ROWS + any(len(shape) > ROWS for shape in shapes.values())
        names = [name for name, shape in shapes.items() if len(shape) >= axes]
    if choice and choice not in arrays:
        raise InputError("data.inputs.no_member", path=label, name=choice, names=sorted(arrays))
    if not choice and len(names) != 1:
        code = "data.inputs.several_arrays" if names else "data.inputs.no_array"
        raise InputError(code, path=label, names=names or sorted(arrays), example=(names or [""])[-1])
    name = choice or names[0]
    images, notes = array_images(read_array(arrays[name]), shape, label, name)
    beside = [fitting.get("labels", []) for fitting in roles.values() if name in fitting.get("images", [])]
    answers = beside[0][0] if beside and len(beside[0]) == 1 else None
    if unused := sorted(arrays.keys() - {name, answers}):
        notes.append(Message("data.note.arrays_left_out", count=len(unused), names=unused))
    if answers is None:
        return Content(images, notes)
    labels, _ = class_labels(read_array(arrays[answers]), len(images), arrays[answers].label)
    return Content(images, notes, labels)


def table_images(member: Member, shape: Shape) -> Content:
    """Return the rows of a table.

    Raises:
        InputError: It is no table of images, it is unclear which columns are pixels, or a value is missing or wrong.
    """
    table = open_table(member)
    try:
        columns = find_columns(table, Reading(image=shape))
    except InputError as error:
        if error.code not in (*UNCLEAR, OTHER):
            raise
        code = "unknown" if table.width < FEW_COLUMNS else "unclear"
        raise InputError(f"data.inputs.{code}", path=table.label) from error
    label, ids = _label_and_ids(table, columns)
    wanted = [column for column in (label, ids) if column is not None]
    images, texts, is_scaled = read_pixels(table, columns, wanted)
    cells = dict[int | None, NDArray[Any]](zip(wanted, texts, strict=True))
    notes = [Message("data.note.pixels_scaled", path=table.label)] if is_scaled else []
    notes += [note for note in columns.notes if note.code == "data.note.pixel_order"]
    if unused := set(range(table.width)) - set(columns.pixels) - set(wanted):
        values = {"path": table.label, "columns": [table.column_name(column) for column in sorted(unused)]}
        notes.append(Message("data.note.columns", count=len(unused), **values))
    if ids is not None:
        notes.append(Message("data.inputs.note.ids", path=table.label, column=table.column_name(ids)))
    part = scaled_to_full_range({"": Part(images, np.zeros(len(images)), table.label)}, notes)[""]
    names = None if ids is None else [cell or str(place) for place, cell in enumerate(cells[ids])]
    return Content(np.asarray(part.images), notes, cells.get(label), names)


def _label_and_ids(table: Table, columns: Columns) -> tuple[int | None, int | None]:
    """Return the columns of labels and of ids, None without one."""
    label = columns.label
    if label is not None and table.names and named_label(table, None) is None and Ends(table).is_index(label):
        return None, label  # the only column beside the pixels, such as `filename`
    rest = [column for column in range(table.width) if column not in (label, *columns.pixels)]
    ids = [column for column in rest if not table.names or table.names[column].casefold() in INDEXES]
    return label, ids[0] if ids else None
