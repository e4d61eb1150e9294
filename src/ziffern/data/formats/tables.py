"""Read digits from CSV text in Kaggle's form: a label, then the 784 pixels row by row, one image a line.

Decisions: the header may be absent, but where it is there its first name must be "label", for a file with
the label last would otherwise load as nonsense; values are parsed in their own type and checked before they
become bytes, because pandas wraps 256 to 0 when told uint8; rows come in chunks, so that int64 needs 50 MB.
"""

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import IMAGE_SIZE
from ziffern.data.formats.members import Member
from ziffern.data.parts import Part, label_fix
from ziffern.errors import InputError
from ziffern.text.printable import one_line

if TYPE_CHECKING:
    import pandas as pd

PIXELS = IMAGE_SIZE * IMAGE_SIZE
COLUMNS = 1 + PIXELS
ROWS_AT_ONCE = 8192
FORM = "write label, pixel0 … pixel783, separated by commas"


def has_labels(member: Member) -> bool:
    """Tell whether a CSV file is more than 784 pixels a line, as Kaggle's test.csv is."""
    return len(_first_line(member.read())) != PIXELS


def read_csv(member: Member, num_classes: int) -> Part:
    """Return all rows of a CSV file.

    Raises:
        InputError: The number of columns is not 785, the first name is not "label", no row is there, or a
            value is missing, no whole number, or out of range (0 ... num_classes - 1, pixels 0 ... 255).
    """
    raw = member.read().removeprefix(b"\xef\xbb\xbf").rstrip()  # Excel's mark; blank lines at the end
    has_header = _check_columns(_first_line(raw), member.label)
    limits = np.array([num_classes - 1] + [255] * PIXELS)
    chunks = list(_read_rows(raw, has_header, limits, member.label))
    if not chunks:
        raise InputError(f"{member.label}: has no rows, at least one image is needed: {FORM}")
    return Part(*(np.concatenate(columns) for columns in zip(*chunks, strict=True)))


def _first_line(raw: bytes) -> list[str]:
    line = re.split(rb"[\r\n]", raw[: 2**16], maxsplit=1)[0].decode("utf-8", "replace")
    return [name.strip().strip('"') for name in line.split(",")]


def _check_columns(names: list[str], label: str) -> bool:
    """Check the first line and return whether it is a header."""
    if len(names) != COLUMNS:
        raise InputError(f"{label}: line 1 has {len(names)} columns, expected {COLUMNS}: {FORM}")
    try:
        float(names[0])
    except ValueError:
        if names[0].lower() != "label":
            raise InputError(f"{label}: the first column is {one_line(names[0])!r}, expected 'label': {FORM}") from None
        return True
    return False


def _read_rows(raw: bytes, has_header: bool, limits: NDArray[np.int64], label: str) -> Iterator[Part]:
    """Yield the rows in checked chunks; none where there is no row."""
    import pandas as pd

    line = 1 + has_header
    try:
        with pd.read_csv(
            io.BytesIO(raw),
            header=None,
            skiprows=int(has_header),
            skip_blank_lines=False,  # so that the line numbers in messages are right
            chunksize=ROWS_AT_ONCE,
            low_memory=False,
        ) as chunks:
            for frame in chunks:
                values = _check_values(frame, limits, line, label)
                images = values[:, 1:].astype(np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
                yield Part(images, values[:, 0].astype(np.int64))
                line += len(frame)
    except InputError:
        raise
    except pd.errors.EmptyDataError:
        return
    except Exception as error:  # pandas raises its own, Unicode, overflow and other errors for broken text
        reason = one_line(error)
        raise InputError(f"{label}: is no readable CSV of {COLUMNS} columns ({reason}): {FORM}") from None


def _check_values(frame: "pd.DataFrame", limits: NDArray[np.int64], line: int, label: str) -> NDArray[Any]:
    """Return a chunk as numbers, (rows, 785), all whole and from 0 to `limits` (785,)."""
    if frame.shape[1] != COLUMNS:
        raise InputError(f"{label}: line {line} has {frame.shape[1]} columns, expected {COLUMNS}: {FORM}")
    values = _numbers(frame)
    good = (values >= 0) & (values <= limits)  # NaN, a missing value, fails both
    if values.dtype.kind == "f":
        good &= values == np.floor(values)
    if not good.all():
        row, column = divmod(int(np.argmin(good)), COLUMNS)
        where = f"{label}: line {line + row}, {f'pixel {column - 1}' if column else 'label'}"
        shown = one_line(frame.iat[row, column]) or "blank"
        raise _wrong_value(where, shown, float(values[row, column]), int(limits[column]), is_label=not column)
    return values


def _numbers(frame: "pd.DataFrame") -> NDArray[Any]:
    """Return the frame's values as integers where all are, else as float64 with NaN for what is no number."""
    import pandas as pd

    texts = [name for name, dtype in frame.dtypes.items() if dtype.kind not in "iuf"]
    if texts:
        frame = frame.copy()
        for name in texts:
            frame[name] = pd.to_numeric(frame[name].astype(str), errors="coerce").astype(np.float64)
    return frame.to_numpy()


def _wrong_value(where: str, shown: str, value: float, limit: int, is_label: bool) -> InputError:
    if shown == "nan":
        return InputError(f"{where} is missing, each line needs {COLUMNS} whole numbers: fill it in or drop the line")
    fix = "write pixels as grey levels from 0 to 255"
    if is_label:
        fix = label_fix(int(value)) if value.is_integer() else "write the class number"
    return InputError(f"{where} is {shown}, expected a whole number from 0 to {limit}: {fix}")
