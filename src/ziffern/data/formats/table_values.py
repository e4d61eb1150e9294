"""Read labels and pixels from the rows of a table.

Decisions: rows are read in chunks, so that int64 needs 50 MB; values are checked before they become uint8, because
pandas wraps 256 to 0; pixels are whole levels from 0 to 255, or numbers from 0 to 1 in the whole file; a label is text
unless all labels are numbers.
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.classes import MAX_CLASSES, label_fix
from ziffern.data.formats.table_columns import Columns, wrong_width
from ziffern.data.formats.table_text import Table, as_number
from ziffern.errors import InputError
from ziffern.text.catalog import Message

if TYPE_CHECKING:
    import pandas as pd

VALUES_AT_ONCE = 6_400_000  # 8,192 rows of MNIST
MISSING = ("", "na", "nan", "n/a", "null", "none")
MAX_LEVEL = 255


def read_values(
    table: Table, columns: Columns, label: int, num_classes: int | None
) -> tuple[NDArray[np.uint8], NDArray[Any], bool]:
    """Return images (N, C, H, W), labels (N,) as int64 or text, and whether pixels were scaled, being from 0 to 1.

    The labels are in the column `label`.

    Raises:
        InputError: As `read_pixels`; or a label is not whole or out of range.
    """
    images, (texts,), is_scaled = read_pixels(table, columns, [label])
    return images, read_labels(texts, table, num_classes), is_scaled


def read_pixels(
    table: Table, columns: Columns, others: Sequence[int] = ()
) -> tuple[NDArray[np.uint8], list[NDArray[Any]], bool]:
    """Return images (N, C, H, W), the columns `others` as text (N,), and whether pixels were scaled, being from 0 to 1.

    Raises:
        InputError: There are no rows, a row has another number of columns, a pixel is missing or out of range, or a
            label is missing, if its column is among `others`.
    """
    blocks: list[NDArray[np.uint8]] = []
    texts: list[list[NDArray[Any]]] = [[] for _ in others]
    limit: int | None = None  # of the pixels, as soon as it is known
    units = []  # blocks of zeros and ones alone
    line = table.start + 1
    for frame in _chunks(table, others):
        more = frame.shape[1] - table.width
        if more < 0 or (more and not frame.iloc[:, table.width :].isin(["", None]).all(axis=None)):
            raise wrong_width(table, line, frame.shape[1], columns.shape)
        for column, cells in zip(others, texts, strict=True):
            cells.append(frame.iloc[:, column].fillna("").str.strip().to_numpy(object))
            if column == columns.label and (cells[-1] == "").any():
                where = Message("data.table.label", path=table.label, line=line + int(np.argmax(cells[-1] == "")))
                raise InputError("data.table.missing", where=where)
        values = _numbers(frame, columns.pixels)
        limit = limit or _limit(values)
        _check_pixels(values, limit or MAX_LEVEL, frame, columns, table, line)
        units += [] if limit else [len(blocks)]
        blocks.append((values * MAX_LEVEL).round().astype(np.uint8) if limit == 1 else values.astype(np.uint8))
        line += len(frame)
    if not blocks:
        raise InputError("data.table.empty", path=table.label)
    is_scaled = limit != MAX_LEVEL and any(block.any() for block in blocks)
    for place in units if is_scaled else ():
        blocks[place] *= MAX_LEVEL
    return np.concatenate(blocks).reshape(-1, *columns.shape), [np.concatenate(cells) for cells in texts], is_scaled


def read_labels(labels: NDArray[Any], table: Table, num_classes: int | None) -> NDArray[Any]:
    """Return labels (N,) as int64 if all are numbers, else as text.

    Raises:
        InputError: A label is missing, not whole or out of range; or there are numbers and words, except single
            characters.
    """
    counts = Counter(labels.tolist())
    numbers = {text: number for text in counts if (number := as_number(text)) is not None and number == number}  # noqa: PLR0124
    words = counts.keys() - numbers.keys()

    def refuse(wrong: set[str], code: str, **values: object) -> InputError:
        row = next(row for row, text in enumerate(labels) if text in wrong)
        where = Message("data.table.label", path=table.label, line=table.start + 1 + row)
        return InputError(code, where=where, value=labels[row], **values)

    are_numbers = sum(counts[text] for text in numbers) > sum(counts[word] for word in words)
    if missing := {word for word in words if are_numbers and word.casefold() in MISSING}:
        raise refuse(missing, "data.table.missing")
    limit = (num_classes or MAX_CLASSES) - 1
    fix = Message("data.table.fix_label")
    if words and not (numbers and any(len(word) > 1 for word in words)):
        return labels
    if words and are_numbers:
        raise refuse(words, "data.table.value", limit=limit, fix=fix)
    if words:
        raise refuse(set(numbers), "data.table.number")
    if wrong := {text for text, number in numbers.items() if not number.is_integer()}:
        raise refuse(wrong, "data.table.value", limit=limit, fix=fix)
    if num_classes and min(numbers.values()) >= 1:
        limit += 1  # classes counted from 1
    if wrong := {text for text, number in numbers.items() if not 0 <= number <= limit}:
        fix = label_fix(int(max(numbers.values()) if min(numbers.values()) >= 0 else min(numbers.values())))
        raise refuse(wrong, "data.table.value", limit=limit, fix=fix)
    return np.array([int(numbers[text]) for text in labels], np.int64)


def _chunks(table: Table, words: Sequence[int]) -> Iterator["pd.DataFrame"]:
    """Yield chunks of rows, with the columns `words` as text and pixels as numbers where all are."""
    import pandas as pd

    try:
        with pd.read_csv(
            io.BytesIO(table.text),
            sep=table.separator or r"\s+",
            decimal="," if table.separator != "," and b"," in table.text else ".",
            header=None,
            skiprows=table.start,
            skip_blank_lines=False,  # so that the line numbers in messages are right
            skipinitialspace=True,
            keep_default_na=False,  # a class may be named None
            dtype=dict.fromkeys(words, str),
            chunksize=max(1, VALUES_AT_ONCE // table.width),
            low_memory=False,
        ) as chunks:
            yield from chunks
    except pd.errors.EmptyDataError:
        return
    except Exception as error:  # pandas raises its own, Unicode, overflow and other errors for broken text
        raise InputError("data.table.damaged", path=table.label, columns=table.width, reason=error) from None


def _numbers(frame: "pd.DataFrame", columns: list[int]) -> NDArray[Any]:
    """Return pixels (rows, P): integers if all are, else float64 with NaN for text that is not a number."""
    import pandas as pd

    is_range = columns == list(range(columns[0], columns[-1] + 1))
    pixels = frame.iloc[:, columns[0] : columns[-1] + 1] if is_range else frame.iloc[:, columns]
    pixels = pixels.copy(deep=False)
    for name in [name for name, dtype in pixels.dtypes.items() if dtype.kind not in "iuf"]:
        text = pixels[name].astype(str).str.replace(",", ".")
        pixels[name] = pd.to_numeric(text, errors="coerce").astype(np.float64)
    return pixels.to_numpy()


def _limit(values: NDArray[Any]) -> int | None:
    """Return whether pixels are levels up to 255 or numbers up to 1; None if all are zeros and ones."""
    if values.dtype.kind != "f":
        return MAX_LEVEL if values.max(initial=0) > 1 else None
    fractions, levels = int(((values > 0) & (values < 1)).sum()), int((values > 1).sum())
    if fractions > levels:
        return 1
    return MAX_LEVEL if levels else None


def _check_pixels(
    values: NDArray[Any], limit: int, frame: "pd.DataFrame", columns: Columns, table: Table, line: int
) -> None:
    """Check a chunk of pixels (rows, P)."""
    if values.dtype.kind == "f":
        good = (values >= 0) & (values <= limit)  # NaN, a missing value, fails both
        good &= (values == np.floor(values)) | (limit == 1)
        if good.all():
            return
    elif values.min() >= 0 and values.max() <= limit:
        return
    else:
        good = (values >= 0) & (values <= limit)
    row, place = divmod(int(np.argmin(good)), values.shape[1])
    code, column = ("column" if table.names else "pixel"), columns.pixels[place]
    name = table.column_name(column) if table.names else place
    where = Message(f"data.table.{code}", path=table.label, line=line + row, pixel=name)
    value = str(frame.iat[row, column]).strip()
    if value.casefold() in MISSING:
        raise InputError("data.table.missing", where=where)
    if limit == 1:
        raise InputError("data.table.fraction", where=where, value=value)
    raise InputError("data.table.value", where=where, value=value, limit=limit, fix=Message("data.table.fix_pixel"))
