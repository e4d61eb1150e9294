"""Scans and photos of one form whose values are known, and how `ziffern read` reads them: for `benchmark_pages.py`.

Decisions: every page depends on its number alone; a third of the pages are photos; the digits are MNIST's test images
where these are given, which the packaged model has never seen, neither in training nor for its calibration.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from stdnum import luhn

from filled_forms import Digits, Pens, blank_pages, fill, write_scan
from paper import degraded
from ziffern.reading.layout import Template

PEOPLE, STUDENTS = 3000, 100  # entries of the lists of valid values
PHOTOS = 3  # every so many pages is a photo
CURL = 5.0  # pixels, at most; of photos
FORM = """
name: benchmark
fields:
  digit:   {at: [20, 40], cells: 1}
  points:  {at: [60, 40], cells: 2, length: 2, range: [0, 20]}
  number:  {at: [110, 40], cells: 3, length: 3}
  student: {at: [20, 70], cells: 4, values: students.csv:number}
  zip:     {at: [100, 70], cells: 5, length: 5}
  account: {at: [20, 100], cells: 6, length: 6, check: luhn}
  person:  {at: [20, 130], cells: 7, values: people.csv:number, unique: yes}
  born:    {at: [20, 160], cells: 8, date: DD.MM.YYYY, range: [1950, 2012]}
  meter:   {at: [20, 190], string: [60, 12], length: 4}
  card:    {at: [110, 190], string: [60, 12], length: 6, check: luhn}
"""
KINDS = {
    "digit": "1 cell",
    "points": "2 cells, 0 to 20",
    "number": "3 cells",
    "student": f"4 cells, one of {STUDENTS:,} values",
    "zip": "5 cells",
    "account": "6 cells, check digit",
    "person": f"7 cells, one of {PEOPLE:,} values, each once",
    "born": "8 cells, a date",
    "meter": "4 digits without boxes",
    "card": "6 digits without boxes, check digit",
}


class FieldResult(NamedTuple):
    """One field of a page; `accepted` has one value per level, None where a person must look."""

    page: int
    is_photo: bool
    name: str
    truth: str
    guess: str
    accepted: tuple[str | None, ...]


class Batch(NamedTuple):
    """Pages that are read together."""

    folder: Path  # of the template
    pages: range
    levels: tuple[float, ...]
    mnist: Path | None


@dataclass
class BatchResult:
    """The fields of all registered pages, the pages that were not, and seconds per level."""

    fields: list[FieldResult]
    problems: list[tuple[int, bool, str]]
    warnings: set[str]
    seconds: float


def write_form(folder: Path) -> None:
    """Write the template and its lists."""
    rng = np.random.default_rng(0)
    for name, digits, count in (("students", 4, STUDENTS), ("people", 7, PEOPLE)):
        numbers = rng.choice(10**digits, count, replace=False)
        (folder / f"{name}.csv").write_text("number\n" + "".join(f"{number:0{digits}}\n" for number in numbers))
    (folder / "form.yaml").write_text(FORM)


@cache
def test_digits(mnist: Path | None) -> Digits | None:
    """Return the 10,000 test images of MNIST (N, 28, 28), and their labels, from a folder with the unpacked files."""
    if mnist is None:
        return None
    parts = [np.fromfile(mnist / f"t10k-{name}-ubyte", np.uint8) for name in ("images-idx3", "labels-idx1")]
    return parts[0][16:].reshape(-1, 28, 28), parts[1][8:]


@cache
def _form(folder: Path) -> tuple[Template, NDArray[np.uint8]]:
    from ziffern.reading.template import load_template

    template = load_template(folder / "form.yaml")
    return template, blank_pages(template)[0]


def values_of(folder: Path, number: int) -> dict[str, str]:
    """Return the values of a page."""
    fields = {field.name: field for field in _form(folder)[0].pages[0].fields}
    rng = np.random.default_rng((1, number))

    def digits(count: int) -> str:
        return "".join(map(str, rng.integers(0, 10, count)))

    people = fields["person"].rules.values or ()
    account, card = digits(5), digits(5)
    day = np.datetime64("1950-01-01") + int(rng.integers(0, 23010))  # until the end of 2012
    return {
        "digit": digits(1),
        "points": f"{rng.integers(0, 21):02}",
        "number": digits(3),
        "student": str(rng.choice(fields["student"].rules.values or ())),
        "zip": digits(5),
        "account": account + luhn.calc_check_digit(account),
        "person": people[number % len(people)],
        "born": "".join(reversed(str(day).split("-"))),
        "meter": digits(4),
        "card": card + luhn.calc_check_digit(card),
    }


def page_of(batch: Batch, number: int, is_photo: bool, pens: Pens) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Return a filled-in and degraded page (H, W), and its values."""
    template, blank = _form(batch.folder)
    values = values_of(batch.folder, number)
    fields = {field.name: field for field in template.pages[0].fields}
    page = fill(blank, {fields[name]: value for name, value in values.items()}, pens)
    rng = np.random.default_rng((2, number))
    turns = int(rng.integers(0, 4)) if is_photo else 2 * int(rng.random() < 0.1)  # noqa: PLR2004
    curl = rng.uniform(0, CURL) if is_photo else 0.0
    return degraded(page, number, is_photo, turns, curl).image, values


def read_batch(batch: Batch) -> BatchResult:
    """Write the pages of a batch, and read them once per level."""
    import time

    import ziffern as zf

    pens = Pens(batch.pages.start + 100, test_digits(batch.mnist))
    photos = [number % PHOTOS == 0 for number in batch.pages]
    made = [page_of(batch, number, photo, pens) for number, photo in zip(batch.pages, photos, strict=True)]
    images: list[Any] = [image for image, _ in made]
    start = time.perf_counter()
    readings = [zf.read(images, template=batch.folder / "form.yaml", max_error=level) for level in batch.levels]
    result = BatchResult([], [], set(), (time.perf_counter() - start) / len(batch.levels))
    for place, (number, is_photo) in enumerate(zip(batch.pages, photos, strict=True)):
        pages = [reading.pages[place] for reading in readings]
        if pages[0].problem:
            result.problems.append((number, is_photo, pages[0].problem.code))
            continue
        for items in zip(*(page.fields for page in pages), strict=True):
            name = items[0].name
            accepted = tuple(item.value for item in items)
            result.fields.append(FieldResult(number, is_photo, name, made[place][1][name], items[0].guess, accepted))
    for level, reading in zip(batch.levels, readings, strict=True):
        result.warnings |= {f"{level:g}: {warning.text('en')}" for warning in reading.warnings}
    return result


def write_scans(batch: Batch) -> None:
    """Write the pages of a batch as PNG files of 200 dpi."""
    pens = Pens(batch.pages.start, test_digits(batch.mnist))
    for number in batch.pages:
        write_scan(batch.folder / f"scans/{number:04}.png", page_of(batch, number, False, pens)[0])
