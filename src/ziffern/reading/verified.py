"""The final values of a batch, and the pictures of digits that people have confirmed or corrected.

Decisions: a field on which two people still disagree has no value; a picture is labeled only where the digits of the
value fall to the cells one by one; the folder of examples always holds those of the present decisions.
"""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.errors import InputError
from ziffern.files.atomic import write_atomically, write_text, writing
from ziffern.reading.decisions import Standing, decided
from ziffern.reading.folder import load_picture, load_reading
from ziffern.reading.result import Box, FieldReading, Reading

EXAMPLES = "examples"  # the folder in that of the batch
EXAMPLE = re.compile(r"page-\d+-\d+-\d+\.png")
COLUMNS = ("source", "page", "kind", "field", "value", "status", "person", "guess", "probability")


class Verified(NamedTuple):
    """A value that people have confirmed or corrected: of the page with this index, by the last of them."""

    page: int
    field: str
    value: str  # empty if the field is
    person: str


def verified_fields(folder: Path) -> list[Verified]:
    """Return the fields of a batch folder that people have read; not those they cannot read, or disagree on.

    Raises:
        InputError: The folder holds no batch, or its decisions are damaged or about another one.
    """
    reading = load_reading(folder)
    standing = decided(folder, reading)
    keys = ((number, field.name) for number, page in enumerate(reading.pages) for field in page.fields)
    final = [found for found in map(standing.final, keys) if found and found.kind != "unreadable"]
    return [Verified(found.page, found.field, found.value, found.person) for found in final]


def values_csv(reading: Reading, standing: Standing) -> str:
    """Return one row per field; the status is that of the reading, or as decided."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for number, page in enumerate(reading.pages):
        for field in page.fields:
            table.writerow((page.source, page.number, page.kind, field.name, *_final(standing, number, field)))
    return text.getvalue()


def export(folder: Path, path: Path) -> int:
    """Write the final values of a batch folder as CSV, and its examples; return how many of those there are.

    Raises:
        InputError: The folder, its decisions or a page image cannot be used.
        OSError: A file cannot be written.
    """
    reading = load_reading(folder)
    standing = decided(folder, reading)
    write_text(path, values_csv(reading, standing))
    return write_examples(folder, reading, standing)


def write_examples(folder: Path, reading: Reading, standing: Standing) -> int:
    """Write a picture of each cell whose digit people have read, `examples/LABEL/page-P-F-C.png`, and count them.

    P, F and C are the indices of page, field and cell. `data=local` trains on the folder.

    Raises:
        InputError: A page image cannot be read, or a symbolic link is in the way.
        OSError: A file cannot be written.
    """
    from PIL import Image

    target = folder / EXAMPLES
    for below in (target, *(target / str(label) for label in range(10))):
        if below.is_symlink():
            raise InputError("files.link", path=below, part=below.name)
    written = set()
    for number, page in enumerate(reading.pages):
        pixels: NDArray[np.uint8] | None = None
        for place, field in enumerate(page.fields if page.image else ()):
            for cell, label, box in _labeled(standing, number, field):
                if pixels is None:
                    pixels = load_picture(folder, page.image)
                picture = Image.fromarray(cut(pixels, box))
                path = target / label / f"page-{number}-{place}-{cell}.png"
                write_atomically(path, partial(picture.save, format="PNG"))
                written.add(path)
    with writing(target):
        for old in target.glob("[0-9]/*.png"):
            if old not in written and EXAMPLE.fullmatch(old.name):
                old.unlink()
                with suppress(OSError):
                    old.parent.rmdir()  # an empty folder would be a class
    return len(written)


def cut(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return the part of a page (H, W, 3) in a box, of at least one pixel."""
    height, width = pixels.shape[:2]
    left, top = (min(int(share * side), side - 1) for share, side in zip(box[:2], (width, height), strict=True))
    right, bottom = round(box[2] * width), round(box[3] * height)
    return np.ascontiguousarray(pixels[top : max(top + 1, bottom), left : max(left + 1, right)])


def _final(standing: Standing, number: int, field: FieldReading) -> tuple[Any, ...]:
    found, state = standing.final((number, field.name)), standing.state((number, field.name))
    guess = (field.guess, f"{field.probability:.6g}")
    if found:
        return found.value, "person" if found.kind == "value" else found.kind, found.person, *guess
    if state == "disputed":
        return "", "disagreement", " ".join(standing.answers((number, field.name))), *guess
    return field.value or "", "open" if field.value is None else field.status, "", *guess


def _labeled(standing: Standing, number: int, field: FieldReading) -> Iterator[tuple[int, str, Box]]:
    """Yield the index, the label and the box of each cell whose digit people have read."""
    found = standing.final((number, field.name))
    if not found or found.kind != "value":
        return
    cells = list(enumerate(field.cells))
    if len(cells) != len(found.value):
        cells = [(index, cell) for index, cell in cells if cell.status != "empty"]
    if len(cells) == len(found.value):
        for (index, cell), label in zip(cells, found.value, strict=True):
            if label in "0123456789":
                yield index, label, cell.box
