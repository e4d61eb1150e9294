"""Printed forms: everything lies where the template says, and the form alone is enough to read it."""

from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray

from ziffern.errors import InputError
from ziffern.reading.codes import MAGIC, decode, encode, find_template
from ziffern.reading.form import make_form
from ziffern.reading.layout import Template
from ziffern.reading.markers import DICTIONARY, IDS, marker_corners, parse_code
from ziffern.reading.preview import write_previews
from ziffern.reading.template import parse_template

DPI = 300
FORM = """
name: exam
title: Größen und Maße
fields:
  student: {at: [30, 60], cells: 8, check: luhn, label: Matrikelnummer}
  zip:     {at: [30.5, 100], string: [60, 12], length: 5}
  passed:  {at: [30, 120], ticks: [yes, no], choose: 1}
  name:    {at: [60, 30], crop: [100, 12]}
texts:
  - {at: [30, 200], text: Viel Erfolg, size: 12}
"""


def template_of(text: str) -> Template:
    template, problems = parse_template(text, None)
    assert template is not None, problems
    return template


def rendered(path: Path, dpi: int = DPI, page: int = 0) -> NDArray[np.uint8]:
    return np.asarray(pypdfium2.PdfDocument(path)[page].render(scale=dpi / 72, rev_byteorder=True).to_numpy()[..., :3])


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> tuple[Template, Path]:
    template, path = template_of(FORM), tmp_path_factory.mktemp("form") / "exam.pdf"
    assert make_form(template, path, "de")
    return template, path


def test_markers_lie_where_reading_expects_them(form: tuple[Template, Path]) -> None:
    gray = cv2.cvtColor(rendered(form[1]), cv2.COLOR_RGB2GRAY)
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY))
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary).detectMarkers(gray)
    found = {int(identity): corner[0] * 25.4 / DPI for identity, corner in zip(ids.ravel(), corners, strict=True)}
    assert sorted(found) == list(IDS)
    assert np.abs(np.stack([found[identity] for identity in IDS]) - marker_corners(210, 297)).max() < 0.2


def test_boxes_lie_where_the_template_says_in_a_color_that_red_light_does_not_see(form: tuple[Template, Path]) -> None:
    image, scale = rendered(form[1]).astype(int), DPI / 25.4
    colored = (image[..., 0] > 240) & (image[..., 2] < 200)
    for field in form[0].pages[0].fields:
        for box in field.boxes if field.kind != "crop" else ():
            left, top, right, bottom = (round(side * scale) for side in box)
            area = colored[top - 10 : bottom + 10, left - 10 : right + 10]
            rows, columns = np.flatnonzero(area.sum(1) > 20), np.flatnonzero(area.sum(0) > 20)
            sides = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / scale  # of the lines' outer edges
            middle = sides + np.array([0.175, 0.175, -0.175, -0.175]) - 10 / scale
            assert np.abs(middle - np.array([0, 0, box.right - box.left, box.bottom - box.top])).max() < 0.2
            assert (image[top + 5 : bottom - 5, left + 5 : right - 5] > 250).all()  # nothing is printed inside


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_form_is_read_without_its_template(form: tuple[Template, Path], turns: int) -> None:
    template, path = form
    gray = cv2.GaussianBlur(cv2.cvtColor(rendered(path, 200), cv2.COLOR_RGB2GRAY), (0, 0), 0.8)
    found = find_template(np.rot90(gray, turns))
    assert found is not None
    assert (found.name, found.version) == (template.name, template.version)
    assert [(field.boxes, field.rules) for field in found.pages[0].fields] == [
        (field.boxes, field.rules) for field in template.pages[0].fields
    ]


def test_the_first_code_names_template_page_and_version(form: tuple[Template, Path]) -> None:
    image = rendered(form[1], 150)
    text = cv2.QRCodeDetector().detectAndDecode(image[: image.shape[0] // 8, image.shape[1] // 2 :])[0]
    assert parse_code(text) == ("exam", 1, form[0].version)


def test_hostile_codes_are_refused_or_ignored() -> None:
    assert decode("https://example.org") is None
    assert decode(MAGIC + "1" * 5000) is None
    with pytest.raises(InputError, match="damaged template"):
        decode(MAGIC + "12345" * 20)
    bomb = encode(Template("x", "", (), source=template_of(FORM).source + " " * 101_000))
    with pytest.raises(InputError, match="damaged template"):
        decode(bomb)
    named = FORM.replace("length: 5", "values: students.csv:number").replace("title: Größen und Maße", "")
    with pytest.raises(InputError, match="from a QR code none"):
        decode(encode(Template("x", "", (), source=named)))


def test_pages_of_several_kinds_and_what_does_not_fit_in_a_code(tmp_path: Path) -> None:
    fields = "\n".join(
        f"      f{n * 7919 % 9973}: {{at: [20, {40 + n * 2.313:.3f}], string: [9, 1]}}" for n in range(80)
    )
    long = template_of(f"name: two\npages:\n  a: {{page: a5 landscape, fields: {{x: {{at: [20, 40], cells: 2}}}}}}\n"
                       f"  b:\n    fields:\n{fields}\n    page: letter\n")  # fmt: skip
    assert not make_form(long, tmp_path / "two.pdf")
    first, second = rendered(tmp_path / "two.pdf", 72), rendered(tmp_path / "two.pdf", 72, 1)
    assert (first.shape[:2], second.shape[:2]) == ((420, 596), (792, 612))
    assert find_template(cv2.cvtColor(second, cv2.COLOR_RGB2GRAY)) is None
    paths = write_previews(long, tmp_path / "p.png", "en")
    assert [path.name for path in paths] == ["p.png", "p_2.png"]
    assert all(path.is_file() for path in paths)


def test_what_cannot_be_printed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Вход.* has no В"):
        make_form(template_of(FORM.replace("Matrikelnummer", "Вход")), tmp_path / "x.pdf")
    with pytest.raises(InputError, match="only forms with register: markers"):
        make_form(template_of(FORM + "register: {frame: [9, 9, 190, 270]}\n"), tmp_path / "x.pdf")
    assert not (tmp_path / "x.pdf").exists()
