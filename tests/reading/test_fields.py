"""Cells of forms of ours, from the page to digits."""

from pathlib import Path

import numpy as np
from tests.support import rendered

from filled_forms import Pens, blank_pages, fill
from paper import degraded
from ziffern.reading.fields import classifier, found_fields, template_fields
from ziffern.reading.find import find
from ziffern.reading.model import FIGURES, ReaderModel
from ziffern.reading.page import Page
from ziffern.reading.registration import PIXELS_PER_MM, register
from ziffern.reading.template import load_template

ROWS, CELLS = 9, 10


def test_digits_near_the_lines_of_their_boxes_are_read_in_gray_scans(tmp_path: Path) -> None:
    rows = [f"  row{row}: {{at: [20, {40 + 20 * row}], cells: {CELLS}}}" for row in range(ROWS)]
    (tmp_path / "rows.yaml").write_text("\n".join(["name: rows", "fields:", *rows]))
    template, pens = load_template(tmp_path / "rows.yaml"), Pens(0)
    values = np.random.default_rng(0).integers(0, 10, (ROWS, CELLS))
    fields = template.pages[0].fields
    texts = ["".join(map(str, row)) for row in values]
    page = fill(blank_pages(template)[0], dict(zip(fields, texts, strict=True)), pens)
    registered = register(Page("scan.png", 1, degraded(page, 1).image, None, None), template)
    drafts = template_fields(registered, ReaderModel.builtin(), PIXELS_PER_MM)
    guesses = "".join(cell.digit for draft in drafts for cell in draft.cells)
    wrong = sum(a != b for a, b in zip(guesses, "".join(texts), strict=True))
    assert wrong <= 1


def test_the_digits_of_strings_count_for_drift() -> None:
    sheet = rendered.Sheet(600, 150, 1)
    sheet.string(60, 50, 50, "4471", 1.2)
    page = Page("page.png", 1, sheet.gray, None, None)
    model = ReaderModel.builtin()
    (draft,), _ = found_fields(find(page.gray, "string", classifier(model)), model)
    (values,) = draft.figures
    assert values.shape == (len(draft.cells), len(FIGURES))
    np.testing.assert_allclose(values[:, 2], [cell.probability for cell in draft.cells])


def test_a_box_with_a_word_is_left_out_and_counted() -> None:
    sheet = rendered.Sheet(1000, 600, 1)
    for y, text in ((100, "4471"), (260, "80253")):
        sheet.box(60, y - 42, 460, y + 42, 3)
        sheet.string(110, y, 50, text, 1.0)
    sheet.box(60, 378, 860, 462, 3)
    sheet.text(100, 440, "HARBURG WEST", 1.6)
    model = ReaderModel.builtin()
    drafts, left_out = found_fields(find(sheet.gray, "string", classifier(model)), model)
    assert [draft.plain_guess for draft in drafts] == ["4471", "80253"]
    assert left_out == 1
