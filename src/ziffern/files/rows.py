"""Write rows as CSV, JSON lines or Parquet, block by block.

Decisions: text is UTF-8, whatever the terminal's encoding is; no cell is changed to protect spreadsheets, since names
are data.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from ziffern.errors import InputError

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
FORMATS = ("csv", "jsonl", "parquet")
Columns = Mapping[str, Sequence[Any]]  # of one length


@contextmanager
def row_writer(form: str, file: IO[bytes], types: Mapping[str, str]) -> Iterator[Callable[[Columns], None]]:
    """Yield a function that writes a block of columns to a file in one of FORMATS.

    Args:
        form: The format.
        file: The open file, which stays open.
        types: `string`, `int64` or `double` by the column's name, in the order of columns; any value may be None.

    Raises:
        InputError: pyarrow, which writes Parquet, is not installed.
    """
    if form == "parquet":
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise InputError("files.rows.no_pyarrow", why=error) from None
        schema = pa.schema([(name, getattr(pa, kind.replace("double", "float64"))()) for name, kind in types.items()])
        with parquet.ParquetWriter(file, schema) as table:
            yield lambda block: table.write_table(pa.table({name: block[name] for name in types}, schema))
        return
    text = io.TextIOWrapper(file, "utf-8", newline="")
    rows, headers = csv.writer(text, lineterminator="\n"), [list(types)] if form == "csv" else []

    def write(block: Columns) -> None:
        while headers:  # not before the first block, which may fail
            rows.writerow(headers.pop())
        values = zip(*(block[name] for name in types), strict=True)
        if form == "csv":
            rows.writerows(values)
        else:
            text.writelines(json.dumps(dict(zip(types, row, strict=True)), ensure_ascii=False) + "\n" for row in values)
        text.flush()  # for a program that reads along

    try:
        yield write
        write(dict.fromkeys(types, ()))
    finally:
        text.detach()  # or else it would close the file
