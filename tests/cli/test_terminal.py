"""The language of the terminal: that of `report=` or `--language`, or of the locale."""

from pathlib import Path

import pytest
import yaml

from ziffern.cli.main import main
from ziffern.cli.terminal import language_of_terminal
from ziffern.text.language import LANGUAGES, TERMINAL, Language


@pytest.mark.parametrize(
    ("environment", "overrides", "language"),
    [
        ({}, [], "en"),
        ({"LANG": "C.UTF-8"}, [], "en"),
        ({"LANG": "de_DE.UTF-8"}, [], "de"),
        ({"LANG": "de"}, [], "de"),
        ({"LANG": "den_CA"}, [], "en"),
        ({"LANG": "fr_FR.UTF-8"}, [], "en"),
        ({"LC_ALL": "C.UTF-8", "LANG": "de_AT.UTF-8"}, [], "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "de_CH@euro", "LANG": "en_US"}, [], "de"),
        ({"LANG": "de_DE.UTF-8"}, ["seed=1", "report=en"], "en"),
        ({}, ["report=en", "report=de"], "de"),
        ({"LANG": "de_DE.UTF-8"}, ["report=null"], "de"),
        ({}, ["report=klingon"], "en"),
    ],
)
def test_report_before_locale_in_the_order_of_gettext(environment, overrides, language: str) -> None:
    assert language_of_terminal(environment, overrides) == language


def test_a_run_prints_german(command_line, digits_npz: Path) -> None:
    given = ("data=local", f"data.dir={digits_npz}", "model=nn", "trainer=cpu", "logger=none", "report=de")
    code, _, errors = command_line(*given, "seed=-1")
    assert (code, errors) == (2, "error: seed=-1: erwartet ist eine ganze Zahl von 0 bis 4294967295\n")
    code, output, errors = command_line(*given, "trainer.max_epochs=0", "hparams_search=tpe")
    assert (code, errors) == (0, "")
    assert "HINWEIS: hparams_search wirkt nur mit -m" in output
    assert "das Ergebnis in Worten und Bildern" in output


def test_the_locale_decides_where_nothing_else_does(command_line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert command_line("model=cnnn")[2].startswith("error: model=cnnn: Diese Option gibt es nicht; gemeint ist ")


def test_language_of_the_console_script(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path) -> None:
    lines = {}
    for language in ("en", "de"):
        arguments = ["ziffern", "report", str(tmp_path), "--output", str(tmp_path), "--language", language]
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit):
            main()
        lines[language] = capsys.readouterr().err
    assert "this is a folder: name a file in it" in lines["en"]
    assert "ist ein Ordner: bitte eine Datei darin nennen" in lines["de"]


def test_terminal_texts_have_the_same_keys_and_a_caller() -> None:
    english, german = (
        yaml.safe_load((TERMINAL / f"{code}.yaml").read_text(encoding="utf-8"))["cli"] for code in LANGUAGES
    )
    assert english.keys() == german.keys()
    values = {"ziffern": "z", "folder": "f", "path": "p", "error": "e", "command": "c", "name": "n"}
    for key in english:
        assert Language("de", TERMINAL)(f"cli.{key}", **values) != Language("en", TERMINAL)(f"cli.{key}", **values)
