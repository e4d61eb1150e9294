"""Read images from CSV files in Kaggle's format: per line one label, then the pixels row by row.

Decisions: the columns must match the expected shape, channel after channel; the header is optional, but its first name
must be "label", since a file with the label last would otherwise load as nonsense; values are checked before they
become uint8, because pandas wraps 256 to 0; rows are read in chunks, so that int64 needs 50 MB.
"""

import io
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.formats.members import Member
from ziffern.data.parts import Part, label_fix
from ziffern.data.spec import MNIST_SHAPE, Shape
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

if TYPE_CHECKING:
    import pandas as pd

Pair = tuple[NDArray[np.uint8], NDArray[np.int64]]  # rows of pixels (N, P) and their labels (N,)
VALUES_AT_ONCE = 6_400_000  # 8,192 rows of MNIST


def has_labels(member: Member, shape: Shape = MNIST_SHAPE) -> bool:
    """Return whether a CSV file has a label column; Kaggle's test.csv has none."""
    return len(_first_line(member.read())) != math.prod(shape)


def read_csv(member: Member, num_classes: int, shape: Shape = MNIST_SHAPE) -> Part:
    """Return all rows of a CSV file as images (N, *shape).

    Raises:
        InputError: The columns are not a label and the pixels of `shape`, the first name is not "label", there are
            no rows, or a value is missing, not a whole number, or out of range (labels 0 ... num_classes - 1, pixels
            0 ... 255).
    """
    raw = member.read().removeprefix(b"\xef\xbb\xbf").rstrip()  # Excel's byte order mark; trailing blank lines
    pixels = math.prod(shape)
    has_header = _check_columns(_first_line(raw), 1 + pixels, member.label)
    limits = np.array([num_classes - 1] + [255] * pixels)
    tables = list(_read_rows(raw, has_header, limits, member.label))
    if not tables:
        raise InputError("data.table.empty", path=member.label, form=_form(1 + pixels))
    images, labels = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    return Part(images.reshape(-1, *shape), labels)


def _form(columns: int) -> Message:
    return Message("data.table.form", last=columns - 2)


def _first_line(raw: bytes) -> list[str]:
    line = re.split(rb"[\r\n]", raw[: 2**22], maxsplit=1)[0].decode("utf-8", "replace")
    return [name.strip().strip('"') for name in line.split(",")]


def _check_columns(names: list[str], expected: int, label: str) -> bool:
    """Check the first line and return whether it is a header."""
    if len(names) != expected:
        values = {"line": 1, "columns": len(names), "expected": expected}
        raise InputError("data.table.columns", path=label, **values, form=_form(expected))
    try:
        float(names[0])
    except ValueError:
        if names[0].lower() != "label":
            form = _form(expected)
            raise InputError("data.table.first", path=label, column=names[0], form=form) from None
        return True
    return False


def _read_rows(raw: bytes, has_header: bool, limits: NDArray[np.int64], label: str) -> Iterator[Pair]:
    """Yield checked chunks of rows, one image per row; nothing if there are no rows."""
    import pandas as pd

    line = 1 + has_header
    try:
        with pd.read_csv(
            io.BytesIO(raw),
            header=None,
            skiprows=int(has_header),
            skip_blank_lines=False,  # so that the line numbers in messages are right
            chunksize=max(1, VALUES_AT_ONCE // len(limits)),
            low_memory=False,
        ) as chunks:
            for frame in chunks:
                values = _check_values(frame, limits, line, label)
                yield values[:, 1:].astype(np.uint8), values[:, 0].astype(np.int64)
                line += len(frame)
    except InputError:
        raise
    except pd.errors.EmptyDataError:
        return
    except Exception as error:  # pandas raises its own, Unicode, overflow and other errors for broken text
        columns = len(limits)
        raise InputError("data.table.damaged", path=label, columns=columns, reason=error, form=_form(columns)) from None


def _check_values(frame: "pd.DataFrame", limits: NDArray[np.int64], line: int, label: str) -> NDArray[Any]:
    """Return a chunk as numbers, (rows, columns), all whole and from 0 to `limits` (columns,)."""
    columns = len(limits)
    if frame.shape[1] != columns:
        values = {"line": line, "columns": frame.shape[1], "expected": columns}
        raise InputError("data.table.columns", path=label, **values, form=_form(columns))
    numbers = _numbers(frame)
    good = (numbers >= 0) & (numbers <= limits)  # NaN, a missing value, fails both
    if numbers.dtype.kind == "f":
        good &= numbers == np.floor(numbers)
    if not good.all():
        row, column = divmod(int(np.argmin(good)), columns)
        kind = "pixel" if column else "label"
        where = Message(f"data.table.{kind}", path=label, line=line + row, pixel=column - 1)
        shown = one_line(frame.iat[row, column])
        if shown == "nan":
            raise InputError("data.table.missing", where=where, columns=columns)
        value, fix = float(numbers[row, column]), Message("data.table.fix_pixel")
        if not column:
            fix = label_fix(int(value)) if value.is_integer() else Message("data.table.fix_label")
        shown_value = shown or Message("data.table.blank")
        raise InputError("data.table.value", where=where, value=shown_value, limit=int(limits[column]), fix=fix)
    return numbers


def _numbers(frame: "pd.DataFrame") -> NDArray[Any]:
    """Return the values as integers if all are, else as float64 with NaN for text that is not a number."""
    import pandas as pd

    texts = [name for name, dtype in frame.dtypes.items() if dtype.kind not in "iuf"]
    if texts:
        frame = frame.copy()
        for name in texts:
            frame[name] = pd.to_numeric(frame[name].astype(str), errors="coerce").astype(np.float64)
    return frame.to_numpy()
