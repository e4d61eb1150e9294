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

from ziffern.data.classes import MAX_CLASSES, label_fix
from ziffern.data.content import Content, Part, Reading
from ziffern.data.formats.members import Member, Members
from ziffern.data.spec import MNIST_SHAPE, Shape
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

if TYPE_CHECKING:
    import pandas as pd

TRAIN_TABLES = ("train.csv", "mnist_train.csv")
TEST_TABLES = ("test.csv", "mnist_test.csv")  # Kaggle's has no labels, and is ignored
VALUES_AT_ONCE = 6_400_000  # 8,192 rows of MNIST


def find_tables(members: Members) -> list[str]:
    """Return the training tables among members."""
    return [path for path in TRAIN_TABLES if path in members]


def read_tables(members: Members, reading: Reading, label: str) -> Content:
    """Return the training part and, if it has a table with labels, the test part.

    Raises:
        InputError: As `read_csv`; or there are two tables of one part.
    """
    shape, num_classes = reading.shape, reading.num_classes or MAX_CLASSES
    train, *more = find_tables(members) or list(members)  # a lone table may have any name
    test = [path for path in TEST_TABLES if path in members and has_labels(members[path], shape)]
    if more or len(test) > 1:
        first, second = TRAIN_TABLES if more else TEST_TABLES
        raise InputError("data.local.tables", path=label, first=first, second=second)
    names = {"train": train, **({"test": test[0]} if test else {})}
    return Content({part: read_csv(members[name], num_classes, shape) for part, name in names.items()})


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
    limits = np.array([num_classes - 1] + [255] * math.prod(shape))  # (columns,)
    names = _first_line(raw)
    _check_columns(len(names), limits, 1, member.label)
    try:
        float(names[0])
        has_header = False
    except ValueError:
        has_header = True
        if names[0].lower() != "label":
            raise InputError("data.table.first", path=member.label, column=names[0], form=_form(limits)) from None
    tables = list(_read_rows(raw, has_header, limits, member.label))
    if not tables:
        raise InputError("data.table.empty", path=member.label, form=_form(limits))
    images, labels = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    return Part(images.reshape(-1, *shape), labels)


def _form(limits: NDArray[np.int64]) -> Message:
    return Message("data.table.form", last=len(limits) - 2)


def _first_line(raw: bytes) -> list[str]:
    line = re.split(rb"[\r\n]", raw[: 2**22], maxsplit=1)[0].decode("utf-8", "replace")
    return [name.strip().strip('"') for name in line.split(",")]


def _check_columns(columns: int, limits: NDArray[np.int64], line: int, label: str) -> None:
    if columns != len(limits):
        values = {"line": line, "columns": columns, "expected": len(limits)}
        raise InputError("data.table.columns", path=label, **values, form=_form(limits))


def _read_rows(
    raw: bytes, has_header: bool, limits: NDArray[np.int64], label: str
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Yield pixels (rows, P) and labels (rows,) of checked chunks of rows; nothing if there are no rows."""
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
                _check_columns(frame.shape[1], limits, line, label)
                values = _check_values(frame, limits, line, label)
                yield values[:, 1:].astype(np.uint8), values[:, 0].astype(np.int64)
                line += len(frame)
    except InputError:
        raise
    except pd.errors.EmptyDataError:
        return
    except Exception as error:  # pandas raises its own, Unicode, overflow and other errors for broken text
        form = _form(limits)
        raise InputError("data.table.damaged", path=label, columns=len(limits), reason=error, form=form) from None


def _check_values(frame: "pd.DataFrame", limits: NDArray[np.int64], line: int, label: str) -> NDArray[Any]:
    """Return a chunk as numbers, (rows, columns), all whole and from 0 to `limits` (columns,)."""
    import pandas as pd

    numbers = frame.copy(deep=False)  # integers if all are, else float64 with NaN for text that is not a number
    for name in (name for name, dtype in frame.dtypes.items() if dtype.kind not in "iuf"):
        numbers[name] = pd.to_numeric(frame[name].astype(str), errors="coerce").astype(np.float64)
    values = numbers.to_numpy()
    good = (values >= 0) & (values <= limits)  # NaN, a missing value, fails both
    if values.dtype.kind == "f":
        good &= values == np.floor(values)
    if good.all():
        return values
    row, column = divmod(int(np.argmin(good)), len(limits))
    kind = "pixel" if column else "label"
    where = Message(f"data.table.{kind}", path=label, line=line + row, pixel=column - 1)
    shown = one_line(frame.iat[row, column])
    if shown == "nan":
        raise InputError("data.table.missing", where=where, columns=len(limits))
    value, fix = float(values[row, column]), Message(f"data.table.fix_{kind}")
    if not column and value.is_integer():
        fix = label_fix(int(value))
    blank = Message("data.table.blank")
    raise InputError("data.table.value", where=where, value=shown or blank, limit=int(limits[column]), fix=fix)
