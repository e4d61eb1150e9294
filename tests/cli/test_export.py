"""`ziffern export` and `ziffern card` on the command line, in both languages."""

import sys
from pathlib import Path

import pytest

from ziffern.cli.main import main


@pytest.fixture
def ziffern(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call `ziffern ARGS`; return exit code, output and errors."""

    def call(*arguments: object, language: str = "C.UTF-8") -> tuple[int, str, str]:
        monkeypatch.setenv("LC_ALL", language)
        monkeypatch.setattr(sys, "argv", ["ziffern", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_model_is_exported(trained, ziffern, tmp_path: Path, digits_npz: Path) -> None:
    run, path = trained(), tmp_path / "model.safetensors"
    code, out, err = ziffern("export", run.folder, "--format", "safetensors", "-o", path, f"data.dir={digits_npz}")
    assert (code, err) == (0, "")
    assert "compared on 80 images of " in out
    assert "different answers: 0," in out
    assert path.is_file()
    code, out, _ = ziffern("export", run.folder, "--format", "safetensors", "-o", path, language="de_DE.UTF-8")
    assert code == 0
    assert "an 80 Bildern von " in out


def test_a_card_is_written(trained, ziffern, tmp_path: Path) -> None:
    code, out, _ = ziffern("card", trained().folder, "-o", tmp_path / "card")
    assert code == 0
    assert out.strip() == str(tmp_path / "card/README.md")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "pt"), "invalid choice: 'pt'"),
        ((), "--format"),
        (("--format", "safetensors", "model.net=1"), "model.net"),
        (("--format", "safetensors", "--data", "missing"), "missing"),
        (("--format", "safetensors", "--unknown"), "unrecognized arguments: --unknown"),
    ],
)
def test_a_mistake_is_one_line(trained, ziffern, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = ziffern("export", trained().folder, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_folder_that_is_no_run_is_refused(ziffern, tmp_path: Path) -> None:
    code, _, err = ziffern("export", tmp_path, "--format", "onnx")
    assert code == 2
    assert str(tmp_path) in err
