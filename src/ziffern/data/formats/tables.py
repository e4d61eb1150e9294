"""Read images from tables, such as Kaggle's CSV files: per line one label and the pixels of an image.

Decisions: which part a table is follows from its name or its folder's, and a lone table may have any name; a table
without labels and one that is no table of images, such as Kaggle's `test.csv` and `sample_submission.csv`, are left out
with a note; a table that is damaged, or two tables of one part, are errors. The columns, the values and the text
itself are read in `table_columns`, `table_values` and `table_text`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from ziffern.data.content import PARTS, Content, Part, Reading
from ziffern.data.formats.layout import part_of
from ziffern.data.formats.levels import MAX_FEW_LEVELS, WHITE
from ziffern.data.formats.members import DATA, Members
from ziffern.data.formats.table_columns import Columns, find_columns, named_label
from ziffern.data.formats.table_ends import Ends
from ziffern.data.formats.table_text import Table, open_table
from ziffern.data.formats.table_values import read_values
from ziffern.errors import InputError
from ziffern.text.catalog import Message

NAME = re.compile(r"[^/]*\.(csv|tsv)(\.gz)?", re.IGNORECASE)
OTHER = "data.table.columns"  # the error for a table that has no images
UNCLEAR = ("data.table.both", "data.table.neither", "data.table.names", "data.table.color")  # it has images
FEW_COLUMNS = 16  # a smaller table without images is never a damaged part of the data


class Sheet(NamedTuple):
    """A table of images with labels."""

    path: str
    part: str | None
    table: Table
    columns: Columns
    label: int  # its column


def find_tables(members: Members) -> list[str]:
    """Return the tables at the top and in folders named as parts, training first.

    Beside other data, such as pictures, only tables of images count.
    """
    paths = [path for path in members if NAME.fullmatch(_without_part(path))]
    is_alone = not any(DATA.fullmatch(path) and not path.endswith(".txt") for path in members.keys() - set(paths))
    return sorted((path for path in paths if is_alone or _has_images(members, path)), key=_order)


def read_tables(members: Members, reading: Reading, label: str) -> Content:
    """Return the parts whose tables have labels.

    Raises:
        InputError: There is no training part, or two tables of one part; or a table is damaged, its label is unclear,
            or a value is missing or out of range.
    """
    sheets, notes = _open_sheets(members, find_tables(members) or list(members), reading)
    parts: dict[str, Part] = {}
    for part, sheet in _by_part(sheets, notes, label).items():
        images, labels, is_scaled = read_values(sheet.table, sheet.columns, sheet.label, reading.num_classes)
        whole = Part(images, labels, sheet.table.label)
        parts |= {part: whole} if sheet.columns.part is None else _by_column(whole, sheet.table, sheet.columns.part)
        notes += sheet.columns.notes
        notes += [Message("data.note.pixels_scaled", path=sheet.table.label)] if is_scaled else []
    return Content(scaled_to_full_range(parts, notes), notes=tuple(notes))


def _by_column(whole: Part, table: Table, column: int) -> dict[str, Part]:
    """Return the parts that a column names; of two test parts, as in fer2013.csv, the public one validates."""
    cells = np.array(Ends(table).column(column))
    names = {cell: part_of(cell) or "train" for cell in cells.tolist()}
    if {"PublicTest", "PrivateTest"} <= names.keys():
        names["PublicTest"] = "val"
    if "train" not in names.values() or len(cells) != len(whole.labels):
        raise InputError("data.table.no_train_rows", path=table.label, column=table.column_name(column))
    rows = {part: np.isin(cells, [cell for cell in names if names[cell] == part]) for part in PARTS}
    images = np.asarray(whole.images)
    return {part: Part(images[row], whole.labels[row], whole.where) for part, row in rows.items() if row.any()}


def scaled_to_full_range(parts: dict[str, Part], notes: list[Message]) -> dict[str, Part]:
    """Return the parts with levels up to 255, and add a note if they had few levels, as scikit-learn's digits."""
    high = max(int(np.asarray(part.images).max()) for part in parts.values())
    if not 1 < high <= MAX_FEW_LEVELS:
        return parts
    values = {"names": [part.where for part in parts.values()], "low": 0, "high": high}
    notes.append(Message("data.note.few_levels", **values))
    levels = np.rint(np.arange(high + 1) * (WHITE / high)).astype(np.uint8)
    return {name: part._replace(images=levels[np.asarray(part.images)]) for name, part in parts.items()}


def _open_sheets(members: Members, paths: Sequence[str], reading: Reading) -> tuple[list[Sheet], list[Message]]:
    """Return the tables of images with labels, and notes about the others."""
    sheets: list[Sheet] = []
    notes, problems = [], []
    for path in paths:
        table, part = open_table(members[path]), _part(path)
        values = {"path": table.label, "count": table.count_rows()}
        try:
            columns = _columns(table, reading, sheets)
        except InputError as error:
            if error.code != OTHER or (part and table.width >= FEW_COLUMNS):
                raise
            problems.append(error)
            notes.append(Message("data.note.no_images", **values))
            continue
        if columns.label is not None:
            sheets.append(Sheet(path, part, table, columns, columns.label))
            continue
        problems.append(InputError("data.table.no_label", path=table.label, columns=table.width))
        if part == "train":
            raise problems[-1]
        notes.append(Message("data.note.unlabeled", **values))
    if not sheets:
        raise problems[0]
    return sheets, notes


def _columns(table: Table, reading: Reading, earlier: Sequence[Sheet]) -> Columns:
    """Return the columns of a table, whose label is that of the first table, by name or, without names, by place."""
    if not earlier:
        return find_columns(table, reading)
    first, by_itself = earlier[0], replace(reading, label_column=None)
    name = first.table.column_name(first.label)
    if table.names and first.table.names:
        if name.casefold() not in map(str.casefold, table.names) and named_label(table, None) is None:
            place = first.label if table.width == first.table.width else None
            if place is not None and not table.names[place] and not Ends(table).is_index(place):
                raise InputError("data.table.unnamed", path=table.label, column=place, name=name)
            return replace(find_columns(table, by_itself), label=None)  # no other column may replace it, such as an id
        reading = replace(reading, label_column=name if name in table.names else None)
    elif table.width == first.table.width:
        reading = replace(reading, label_column=first.label)
    try:
        return find_columns(table, reading)
    except InputError:
        columns = find_columns(table, by_itself)
        if columns.label is None:  # Kaggle's test.csv has all columns of the training table but that one
            return columns
        raise


def _by_part(sheets: list[Sheet], notes: list[Message], label: str) -> dict[str, Sheet]:
    """Return the tables by part, and add a note if a name leaves that open."""
    if len(sheets) == 1 and sheets[0].part != "train":
        if sheets[0].part:
            notes.append(Message("data.note.training_table", path=sheets[0].table.label))
        return {"train": sheets[0]}
    parts: dict[str, Sheet] = {}
    for sheet in sheets:
        part = sheet.part or "train"
        if part in parts:
            values = {"first": parts[part].path, "second": sheet.path, "part": Message(f"data.part.{part}")}
            raise InputError("data.local.tables", path=label, **values)
        if not sheet.part:
            notes.append(Message("data.note.training_table", path=sheet.table.label))
        parts[part] = sheet
    if "train" not in parts:
        raise InputError("data.table.no_train", path=label, tables=[sheet.path for sheet in sheets])
    return {part: parts[part] for part in PARTS if part in parts}


def _has_images(members: Members, path: str) -> bool:
    try:
        find_columns(open_table(members[path]), Reading())
    except InputError as error:
        return error.code in UNCLEAR
    return True


def _part(path: str) -> str | None:
    """Return the part that a table's name shows or, if it does not, its folder's."""
    whole = PurePosixPath(path)
    return part_of(whole.name) or part_of(whole.parent.name)


def _without_part(path: str) -> str:
    """Return a path below its top folder, if that is named as a part."""
    folder, _, rest = path.partition("/")
    return rest if rest and part_of(folder) else path


def _order(path: str) -> tuple[bool, int, str]:
    return _part(path) != "train", len(path), path
