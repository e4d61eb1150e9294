"""`ziffern form` from the example to a printed form, in both languages."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ziffern.cli.main import main
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
    assert "exam.yaml: exists already" in err


def test_every_mistake_is_one_line(form: Call, tmp_path: Path) -> None:
    (tmp_path / "exam.yaml").write_text("name: a b\nfilds: {}\nfields: {q: {at: [x, 1], cells: 2}}\n")
    code, out, err = form("check", "exam.yaml")
    assert (code, out) == (2, "")
    places = [line.removeprefix("error: exam.yaml: ").partition(":")[0] for line in err.splitlines()]
    assert places == ["name", "filds", "fields.q.at"]
    assert form("print", "exam.yaml")[0] == 2
