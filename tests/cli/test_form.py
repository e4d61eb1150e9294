"""`ziffern form` from the example to a printed form, in both languages."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ziffern.cli.main import main
from ziffern.reading.preview import BOX, FRAME
from ziffern.text.language import LANGUAGES

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["ziffern", "form", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        printed = capsys.readouterr()
        assert isinstance(code, int)
        return code, printed.out, printed.err

    return call


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_is_correct_and_printed(form: Call, tmp_path: Path, language: str) -> None:
    assert form("new", "exam.yaml", "--language", language)[0] == 0
    code, out, err = form("check", "exam.yaml", "--preview", "exam.png", "--language", language)
    assert (code, err) == (0, "")
    assert "210 × 297 mm" in out
    code, out, _ = form("print", "exam.yaml", "--language", language)
    assert (code, out.splitlines()[0]) == (0, "exam.pdf")
    assert (tmp_path / "exam.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "exam.png").read_bytes().startswith(b"\x89PNG")


def test_an_existing_file_is_not_replaced(form: Call, tmp_path: Path) -> None:
    (tmp_path / "exam.yaml").write_text("mine")
    code, _, err = form("new", "exam.yaml")
    assert (code, (tmp_path / "exam.yaml").read_text()) == (2, "mine")
    assert err == "error: exam.yaml already exists: choose another name, or remove it\n"


def test_every_mistake_is_one_line(form: Call, tmp_path: Path) -> None:
    (tmp_path / "exam.yaml").write_text("name: a b\nfilds: {}\nfields: {q: {at: [x, 1], cells: 2}}\n")
    code, out, err = form("check", "exam.yaml")
    assert (code, out) == (2, "")
    places = [line.removeprefix("error: exam.yaml: ").partition(":")[0] for line in err.splitlines()]
    assert places == ["name", "filds", "fields.q.at"]
    assert form("print", "exam.yaml")[0] == 2


@pytest.mark.parametrize("name", ["form.pdf", "blank.png", "preview_2.png"])
def test_no_existing_file_is_replaced(form: Call, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # also a picture that is too large to open
    pages = "{fields: {q: {at: [20, 50], cells: 2}}}"
    (tmp_path / "form.yaml").write_text(f"name: x\npages: {{a: {pages}, b: {pages}}}\n")
    Image.new("L", (9, 9)).save(tmp_path / name, format="png")
    before = (tmp_path / name).read_bytes()
    preview = name.replace("_2", "")
    command = ["print", "form.yaml"] if name == "form.pdf" else ["check", "form.yaml", "--preview", preview]
    code, _, err = form(*command)
    assert (code, err) == (2, f"error: {name} already exists: choose another name, or remove it\n")
    assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["form.yaml", name])


def test_a_preview_replaces_the_last_one_and_says_what_it_cannot_show(form: Call, tmp_path: Path) -> None:
    frame, fields = "{frame: [20, 20, 150, 200]}", "{a: {at: [30, 60], cells: 4}}"
    (tmp_path / "form.yaml").write_text(f"name: x\nregister: {frame}\nfields: {fields}\n")
    command = ("check", "form.yaml", "--preview", "form.png")
    code, out, _ = form(*command)
    assert (code, "x: the template names no picture of this page" in out) == (0, True)
    assert "Reading needs the template" in out  # nobody prints this form with a code
    with Image.open(tmp_path / "form.png") as picture:
        colors = {color for _, color in picture.getcolors(1000) or ()}
        assert {BOX, FRAME} <= colors
    before = (tmp_path / "form.png").read_bytes()
    (tmp_path / "form.yaml").write_text((tmp_path / "form.yaml").read_text().replace("60]", "90]"))
    assert form(*command)[0] == 0
    assert (tmp_path / "form.png").read_bytes() != before
