"""Write rows as CSV, JSON lines or Parquet, block by block, in UTF-8; no cell is changed for spreadsheets."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from ziffern.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
FORMATS = ("csv", "jsonl", "parquet")


@contextmanager
def row_writer(form: str, file: IO[bytes]) -> Iterator[Callable[["pd.DataFrame"], None]]:
    """Yield a function that writes a block of rows in one of FORMATS to an open file; all blocks have the same columns.

    Raises:
        InputError: pyarrow, which writes Parquet, is not installed.
    """
    writers: list[Any] = []  # the writer of Parquet files, which the first block opens
    if form == "parquet":
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise InputError("files.rows.no_pyarrow", why=error) from None

        def write_parquet(block: "pd.DataFrame") -> None:
            if not writers:
                kinds = {"f": pa.float64(), "i": pa.int64()}
                types = [kinds.get(kind.kind, pa.string()) for kind in block.dtypes]
                schema = pa.schema(list(zip(block.columns, types, strict=True)))
                writers.append(parquet.ParquetWriter(file, schema))
            writers[0].write_table(pa.Table.from_pandas(block, writers[0].schema, preserve_index=False))

        yield write_parquet
        for writer in writers:
            writer.close()
        return
    text, is_first = io.TextIOWrapper(file, "utf-8", newline=""), [True]

    def write(block: "pd.DataFrame") -> None:
        if form == "csv":
            block.to_csv(text, index=False, header=is_first.pop() if is_first else False, lineterminator="\n")
        elif len(block):
            block.to_json(text, orient="records", lines=True, force_ascii=False, double_precision=6)
        text.flush()  # for a program that reads along

    try:
        yield write
    finally:
        text.detach()  # or else it would close the file
