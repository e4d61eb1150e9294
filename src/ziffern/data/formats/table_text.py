"""Open a table: unpack it, decode it, and recognize its separator and its header.

Decisions: gzip is recognized by its first bytes, and unpacked only up to the limits of an archive; UTF-16, as Excel
writes "Unicode text", becomes UTF-8 at once; the first line is a header if it has more words than a row could have, or
if its numbers count the columns, as pandas writes them; only the ends of rows are split in Python, and all else is left
to pandas; a cell that holds all pixels of an image, separated by blanks as in fer2013.csv, becomes a column per pixel.
"""

import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass

from ziffern.data.formats.members import FREE_BYTES, MAX_BYTES, MAX_RATIO, Member, refuse_bomb
from ziffern.errors import InputError
from ziffern.text.printable import reason

BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
SEPARATORS = ("\t", ";", ",", "|")  # a comma may be the decimal sign in a table separated by another one
PIECE = 2**24  # bytes unpacked at once
HEAD = 2**22  # bytes in which the first rows are
MAX_LINE = 2**21  # bytes; pandas needs a hundred times as much
PIXEL_CELL = re.compile(rb'"?((?:[0-9.]+ +){15,}[0-9.]+) *"?')  # all pixels of an image
MAX_WORDS = 2  # in a row: a label and a file name


@dataclass(frozen=True)
class Table:
    """A table as text.

    Args:
        label: The file's name in messages.
        text: Its lines in UTF-8, without blank lines at the end.
        start: How many lines precede the first row.
        separator: What separates the columns; None is any white space.
        names: Names of the columns; None without a header.
        width: How many columns there are, without blank ones at the end of each line.
    """

    label: str
    text: bytes
    start: int
    separator: str | None
    names: tuple[str, ...] | None
    width: int

    def column_name(self, column: int) -> str:
        """Return a column's name or, without one, its number from 0."""
        return (self.names[column] if self.names else "") or str(column)

    def count_rows(self) -> int:
        """Return how many rows follow the header."""
        return max(0, self.text.count(b"\n") + 1 - self.start) if self.text else 0

    def first_row(self) -> list[str]:
        """Return the cells of the first row; empty if there is none."""
        lines = self.text.split(b"\n", self.start + 1)[self.start : self.start + 1]
        return [cell for line in lines for cell in _cells(line.decode("utf-8", "replace"), self.separator)]

    def ends(self, count: int) -> tuple[list[list[str]], list[list[str]]]:
        """Return the first `count` columns and the last `count` columns, in file order; shorter rows are omitted."""
        separator = self.separator.encode() if self.separator else None
        rows = []
        for number, line in enumerate(io.BytesIO(self.text)):
            row = line.rstrip(b"\r\n ,;\t|")
            if b'"' in row and self.separator:  # a separator may be inside quotes
                left = right = [cell.encode() for cell in _split(row.decode("utf-8", "replace"), self.separator)]
            else:
                left, right = row.split(separator, count), row.rsplit(separator, count)
            if number >= self.start and len(left) > count:
                rows.append([_bare(cell.decode("utf-8", "replace")) for cell in (*left[:count], *right[-count:])])
        columns = [list(column) for column in zip(*rows, strict=True)]
        return columns[:count], columns[count:]


def open_table(member: Member) -> Table:
    """Return a file as a table, whose rows are not yet read.

    Raises:
        InputError: A gzip stream or UTF-16 text is damaged, a line is too long, or unpacking would exhaust memory.
    """
    text = _decoded(_unpacked(member.read(), member.label), member.label)
    text = text if b"\n" in text else text.replace(b"\r", b"\n")  # old Macs
    text = _with_pixel_columns(text.rstrip(b"\r\n \t,;|"))
    for number, line in enumerate(io.BytesIO(text)):
        if len(line) > MAX_LINE:
            raise InputError("data.table.long_line", path=member.label, line=number + 1, limit=MAX_LINE)
    lines = [line.strip("\r") for line in text[:HEAD].decode("utf-8", "replace").split("\n")]
    start, given = 0, None
    while start < len(lines) - 1 and (not lines[start].strip() or re.match(r"sep=.$|#", lines[start])):
        directive = re.match(r"sep=(.)$", lines[start])  # Excel's
        given, start = (directive[1] if directive else given), start + 1
    rows = lines[start : start + 2]
    if start and lines[start - 1].startswith("#"):  # perhaps a header, as numpy writes it
        comment = lines[start - 1].lstrip("# ")
        separator = given or _separator(rows)
        if len(_cells(comment, separator)) == len(_cells(rows[0], separator)):
            start, rows = start - 1, [comment, rows[0]]
    separator = given or _separator(rows)
    first, second = (_cells(row, separator) for row in [*rows, "", ""][:2])
    if (
        len(first) > 1 and not first[-1] and (not second[-1] or len(second) < len(first))
    ):  # each line ends with a separator
        first.pop()
    names = tuple(first) if is_header(first) else None
    width = len(second) if not names and second[-1] and len(second) > len(first) else len(first)
    return Table(member.label, text, start + bool(names), separator, names, width)


def is_header(cells: list[str]) -> bool:
    """Return whether the first line of a table has names."""
    numbers = [number for cell in cells if (number := as_number(cell)) is not None]
    words = sum(1 for cell in cells if cell) - len(numbers)
    count = len(numbers)
    counts = count > MAX_WORDS and sorted(numbers) in ([*range(count)], [*range(1, count + 1)])
    return counts or (words > 0 and (words > MAX_WORDS or not numbers))


def as_number(cell: str) -> float | None:
    """Return a cell's number, with a decimal point or comma; None if it has none."""
    try:
        return None if "_" in cell else float(cell.replace(",", "."))  # Python reads 1_0 as 10
    except ValueError:
        return None


def _unpacked(raw: bytes, label: str) -> bytes:
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    limit = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * len(raw)))
    pieces, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            while size <= limit and (piece := stream.read(PIECE)):
                pieces.append(piece)
                size += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError("data.table.gzip", path=label, reason=reason(error)) from None
    refuse_bomb(size, len(raw), label)
    return b"".join(pieces)


def _decoded(raw: bytes, label: str) -> bytes:
    mark, encoding = next((pair for pair in BYTE_ORDER_MARKS if raw.startswith(pair[0])), (b"", "utf-8"))
    if not mark and b"\0" in raw[:2]:
        encoding = "utf-16-be" if raw.startswith(b"\0") else "utf-16-le"
    try:
        text = raw.removeprefix(mark)
        return text if encoding == "utf-8" else text.decode(encoding).encode()
    except UnicodeError as error:
        raise InputError("data.table.encoding", path=label, reason=reason(error)) from None


def _separator(rows: list[str]) -> str | None:
    """Return what separates the columns of all rows; None is any white space."""
    return next((mark for mark in SEPARATORS if rows and all(mark in row for row in rows)), None)


def _cells(row: str, separator: str | None) -> list[str]:
    return [
        _bare(cell) for cell in (_split(row, separator) if '"' in row and separator else row.split(separator)) or [""]
    ]


def _split(row: str, separator: str) -> list[str]:
    """Return the cells of a row, some of which are quoted."""
    try:
        return next(csv.reader([row], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a carriage return within the row, or a cell of more than 128 kB
        return row.split(separator)


def _with_pixel_columns(text: bytes) -> bytes:
    """Return the text with a column for each pixel where one cell holds all of an image, separated by blanks."""
    lines = text.split(b"\n") if PIXEL_CELL.search(text, 0, HEAD) else []
    first = next((place for place, line in enumerate(lines) if PIXEL_CELL.search(line)), 0)
    mark = _separator([line.decode("utf-8", "replace") for line in lines[first : first + 1]])
    if mark is None:
        return text
    cell = PIXEL_CELL.search(lines[first])
    assert cell
    place, count = lines[first][: cell.start()].count(mark.encode()), len(cell[1].split())
    for number, line in enumerate(lines[first:], first):
        lines[number] = PIXEL_CELL.sub(lambda cell: mark.encode().join(cell[1].split()), line)
    if first and place < len(names := lines[first - 1].split(mark.encode())):
        names[place] = mark.encode().join(b"pixel%d" % pixel for pixel in range(count))
        lines[first - 1] = mark.encode().join(names)
    return b"\n".join(lines)


def _bare(cell: str) -> str:
    return cell.strip().strip("\"'").strip()
