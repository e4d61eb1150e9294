"""Find the columns of labels and pixels in a table.

Decisions: names are trusted before values; without names, the number of columns shows whether there is a label beside a
square of pixels, and an index beside both; a label is then recognized by its values, since a file with the label last
would otherwise load as nonsense, and nothing is guessed where both ends could be labels; pixels are in the order of the
numbers in their names, whatever their order in the file.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ziffern.data.content import Reading
from ziffern.data.formats.layout import part_of
from ziffern.data.formats.table_ends import Ends
from ziffern.data.formats.table_text import Table, as_number
from ziffern.data.spec import COLORS, Shape, as_setting
from ziffern.errors import InputError
from ziffern.text.catalog import Message

LABELS = ("label", "labels", "class", "classes", "y", "target", "targets", "digit", "digits", "character", "letter")
INDEXES = ("", "unnamed: 0", "id", "index", "imageid", "image_id", "idx", "row", "rowid", "row_id")
PARTS = ("usage", "split", "part", "set", "subset", "partition")  # columns that name the part of each row
MIN_PIXELS = 4
MAX_BESIDE = 3  # columns without names: the pixels, and perhaps a label and an index
MAX_COUNTED = 100  # rows that labels may number one by one; with more rows, such numbers are an index
MAX_CLASSES_OF_TWO = 128  # where both ends could be labels, one with more distinct values has pixels


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Args:
        label: The column of labels; None if there is none.
        pixels: The columns of pixels in the image's order: channel after channel, row by row.
        shape: Channels, height and width of an image.
        notes: What was assumed or left out.
        part: The column that names the part of each row; None if there is none.
    """

    label: int | None
    pixels: list[int]
    shape: Shape
    notes: tuple[Message, ...] = ()
    part: int | None = None


def image_shape(pixels: int, wanted: Shape) -> Shape | None:
    """Return the shape of an image of so many values: `wanted`, a gray square, or a color square if color is wanted."""
    if pixels < MIN_PIXELS or pixels == math.prod(wanted):
        return wanted if pixels >= MIN_PIXELS else None
    for channels in (1, COLORS) if wanted[0] == COLORS else (1,):
        side = math.isqrt(pixels // channels)
        if channels * side * side == pixels:
            return channels, side, side
    return None


def find_columns(table: Table, reading: Reading) -> Columns:
    """Return which columns are the label and the pixels.

    Raises:
        InputError: There is no column `reading.label_column`; there are several possible labels, or none; or one per
            class; or the number of columns fits no image.
    """
    wanted, names = reading.shape, table.names or ()
    label = named_label(table, reading.label_column)
    is_named = label is not None
    rest = [column for column in range(table.width) if column != label]
    unused = [column for column in rest if names and names[column].casefold() in INDEXES]
    part = next((column for column in rest if names and _names_parts(table, column)), None)
    rest = [column for column in rest if column not in (*unused, part)]
    pixels = ordered_pixels(names, rest) if names else []
    if image_shape(len(pixels), wanted):
        others = [column for column in rest if column not in pixels]
        if not is_named and len(others) > 1:
            _refuse_one_hot(table, len(others))
            raise _unclear(table, others, "data.table.names")
        if not is_named and others:
            label = others.pop()
        unused += others
    else:
        ends, labels = Ends(table), 0 if is_named else 1
        fits = {len(rest) - beside for beside in range(MAX_BESIDE) if image_shape(len(rest) - beside, wanted)}
        needs_index = fits and not fits & {len(rest), len(rest) - labels}
        if needs_index or (labels and len(rest) - 1 in fits and table.count_rows() > MAX_COUNTED):
            index = [column for column in (rest[0], rest[-1]) if ends.is_index(column)][:1]
            rest, unused = [column for column in rest if column not in index], unused + index
        if labels and len(rest) - 1 in fits:
            label = _label_by_values(table, ends, rest)
        pixels = [column for column in rest if column != label]
        ordered = ordered_pixels(names, pixels) if names else []
        pixels = ordered if len(ordered) == len(pixels) else pixels
    shape = image_shape(len(pixels), wanted)
    if not shape:
        _refuse_one_hot(table, table.width - math.prod(wanted))
        raise wrong_width(table, table.start + (not names), table.width, wanted)
    notes = []
    if label is not None and reading.label_column is None and table.column_name(label).casefold() != "label":
        notes.append(Message("data.note.label_column", path=table.label, column=table.column_name(label)))
    if unused:
        columns = [table.column_name(column) for column in sorted(unused)]
        notes.append(Message("data.note.columns", path=table.label, count=len(columns), columns=columns))
    if pixels != sorted(pixels):
        notes.append(Message("data.note.pixel_order", path=table.label))
    return Columns(label, pixels, shape, tuple(notes), part)


def _names_parts(table: Table, column: int) -> bool:
    """Return whether a column has the name of a column of parts, and each of its cells is the name of a part."""
    return table.column_name(column).casefold() in PARTS and all(map(part_of, set(Ends(table).column(column))))


def _refuse_one_hot(table: Table, count: int) -> None:
    """Refuse a table with `count` columns at one end of which one is 1 and all others are 0."""
    row = table.first_row()
    for columns in (range(count), range(table.width - count, table.width)):
        cells = [as_number(row[column]) for column in columns] if count > 1 and len(row) == table.width else []
        if sorted(map(str, cells)) == [*["0.0"] * (count - 1), "1.0"]:
            values = {"first": table.column_name(columns[0]), "last": table.column_name(columns[-1])}
            raise InputError("data.table.one_hot", path=table.label, count=count, **values)


def wrong_width(table: Table, line: int, columns: int, wanted: Shape) -> InputError:
    """Return the error for a line whose columns are no label with an image."""
    for beside in (1, 2, 0):  # a label, and perhaps an index
        colored = image_shape(columns - beside, (COLORS, 1, 1))
        if wanted[0] != COLORS and colored and colored[0] == COLORS:
            code, image = "data.table.color", as_setting(colored)
            return InputError(code, path=table.label, line=line, columns=columns, image=image)
    values = {"line": line, "columns": columns, "expected": 1 + math.prod(wanted), "last": math.prod(wanted) - 1}
    return InputError("data.table.columns", path=table.label, **values)


def ordered_pixels(names: Sequence[str], columns: list[int]) -> list[int]:
    """Return those of the columns that are named as pixels, such as `pixel7` or `2x14`, in the image's order.

    Pixels share a pattern of names, or three of them for red, green and blue. Names whose order is unknown, such as
    `x0y0`, and names that occur twice keep their order in the file.
    """
    numbers = {column: tuple(map(int, re.findall(r"[0-9]{1,9}", names[column]))) for column in columns}
    patterns = {column: re.sub(r"[0-9]+", "#", names[column].casefold()) for column in columns if numbers[column]}
    counts = Counter(patterns.values())
    groups = [pattern for pattern, count in counts.items() if count == max(counts.values())]
    colors = [[group for group in groups if re.search(f"(?<![a-z]){color}", group)] for color in "rgb"]
    if len(groups) == COLORS and all(len(found) == 1 for found in colors):
        groups = [found[0] for found in colors]
    keys = {column: (groups.index(group), *numbers[column]) for column, group in patterns.items() if group in groups}
    is_known = len(set(keys.values())) == len(keys) and not any("x#" in group and "y#" in group for group in groups)
    return sorted(keys, key=keys.__getitem__) if is_known else list(keys)


def named_label(table: Table, setting: str | int | None) -> int | None:
    """Return the column that is set or, without a setting, the only one with a usual name for labels.

    Raises:
        InputError: There is no such column, or several have usual names.
    """
    names = [name.casefold() for name in table.names or ()]
    if setting is None:
        found = [column for column, name in enumerate(names) if name in LABELS]
        if len(found) > 1:
            raise _unclear(table, found, "data.table.names")
        return found[0] if found else None
    if str(setting).casefold() in names and not isinstance(setting, int):
        return names.index(setting.casefold())
    if re.fullmatch(r"-?[0-9]{1,9}", str(setting)) and -table.width <= int(setting) < table.width:
        return int(setting) % table.width
    values = {"setting": setting, "last": table.width - 1}
    if not table.names:
        raise InputError("data.table.no_number", path=table.label, **values)
    raise InputError("data.table.no_column", path=table.label, **values, first=table.names[0], final=table.names[-1])


def _label_by_values(table: Table, ends: Ends, columns: list[int]) -> int:
    """Return which of the columns, the first or the last, has classes rather than pixels."""
    first, last = columns[0], columns[-1]
    counts = {first: ends.count_classes(first, columns[1]), last: ends.count_classes(last, columns[-2])}
    fitting = sorted((count, column) for column, count in counts.items() if count)
    if not fitting or (len(fitting) > 1 and not fitting[0][0] < MAX_CLASSES_OF_TWO < fitting[1][0]):
        raise _unclear(table, [first, last], "data.table.both" if fitting else "data.table.neither")
    return fitting[0][1]


def _unclear(table: Table, columns: list[int], code: str) -> InputError:
    names = [table.column_name(column) for column in columns]
    return InputError(code, path=table.label, names=names, first=columns[0], second=columns[-1])
