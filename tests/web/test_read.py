"""`POST /read`: pages over HTTP."""

import io
import json
import time
from collections.abc import Iterable

import numpy as np
import pytest
from PIL import Image
from tests.support.web import client

from filled_forms import Pens, blank_pages, fill
from ziffern.data.cutout import ink_of
from ziffern.reading.template import parse_template

TEMPLATE = "name: t\nfields:\n  q1: {at: [20, 65], cells: 2, range: [0, 20]}\n  zip: {at: [60, 65], cells: 5}\n"
VALUES = {"q1": "12", "zip": "43725"}


def scan(text: str = TEMPLATE) -> bytes:
    """Return a filled-in form as a PNG file."""
    template, _ = parse_template(text, None)
    assert template is not None
    fields = {field.name: field for field in template.pages[0].fields}
    page = fill(blank_pages(template)[0], {fields[name]: value for name, value in VALUES.items()}, Pens(4))
    file = io.BytesIO()
    Image.fromarray(page).save(file, "PNG", dpi=(200, 200))
    return file.getvalue()


@pytest.mark.parametrize("as_file", [True, False])
def test_a_form_is_read_by_the_template_of_the_request_or_its_code(as_file: bool) -> None:
    page = {"file": ("a.png", scan(), "image/png")}
    with client() as web:
        if as_file:
            parts = page | {"template": ("t.yaml", TEMPLATE.encode(), "application/yaml")}
            answer = web.post("/read?max_error=0.05", files=parts)
        else:
            answer = web.post("/read?max_error=0.05", data={"template": TEMPLATE}, files=page)
        alone = web.post("/read", content=scan(), headers={"content-type": "image/png"})
    assert answer.status_code == alone.status_code == 200
    for result in (answer.json(), alone.json()):
        (read,) = result["pages"]
        assert {field["name"]: field["guess"] for field in read["fields"]} == VALUES
    assert (answer.json()["max_error"], alone.json()["max_error"]) == (0.05, 0.01)


def test_areas_that_are_kept_as_pictures_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def counted(gray: np.ndarray, *more: object) -> np.ndarray:
        sizes.append(gray.shape)
        return ink_of(gray, *more)  # type: ignore[arg-type]

    monkeypatch.setattr("ziffern.reading.fields.ink_of", counted)
    crops = "".join(
        f"  crop{n}: {{at: [{20 + n % 10 * 15}, {90 + n // 10 * 15}], crop: [14, 14]}}\n" for n in range(100)
    )
    page = {"file": ("a.png", scan(TEMPLATE + crops), "image/png")}
    with client() as web:
        answer = web.post("/read", data={"template": TEMPLATE + crops}, files=page)
    assert answer.status_code == 200
    assert len(answer.json()["pages"][0]["fields"]) == 102
    assert len(sizes) == 7  # of the cells


def test_no_further_page_is_begun_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def slow(pages: Iterable[object], *_: object, **__: object) -> None:
        for page in pages:
            begun.append(page)
            time.sleep(0.6)

    monkeypatch.setattr("ziffern.web.read.MAX_SECONDS", 0.3)
    monkeypatch.setattr("ziffern.reading.read.read_pages", slow)
    files = [("file", (f"{number}.png", scan(), "image/png")) for number in range(4)]
    with client() as web:
        answer = web.post("/read", files=files)
        assert (answer.status_code, answer.json()["code"]) == (503, "web.read.slow")
    assert len(begun) == 1


def test_what_cannot_be_read_is_a_problem() -> None:
    white = io.BytesIO()
    Image.fromarray(np.full((50, 50), 255, np.uint8)).save(white, "PNG")
    with client() as web:
        for content, kind, status in (
            (b"\x89PNG\r\n\x1a\n\0", "image/png", 422),
            (white.getvalue(), "image/png", 422),
            (b"a,b", "text/csv", 415),
        ):
            answer = web.post("/read", content=content, headers={"content-type": kind})
            assert answer.status_code == status
            assert set(json.loads(answer.text)) == {"title", "status", "detail", "code", "type"}
        wrong = {"file": ("a.png", scan(), "image/png")}
        answer = web.post("/read", data={"template": "name: [\n"}, files=wrong)
        assert answer.status_code == 422
        files = {"file": ("../../etc.yaml", b"text only", "text/plain")}
        assert web.post("/read", files=files).json()["code"] == "web.read.parts"
