"""`ziffern prepare` writes what a model sees, whole or not at all, and `data=local` reads it back."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.test_drawing import drawn, mnist
from tests.support.runs import run_in

from ziffern.cli import main as cli
from ziffern.data.content import Reading
from ziffern.data.sources.local import read_local
from ziffern.experiment.own_data import own_data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve dark-on-light pictures of two parts and three classes, one of them with an umlaut."""
    for place in range(12):
        label = ("eins", "fünf", "zwei")[place % 3]
        path = tmp_path / "mine" / ("train" if place < 9 else "test") / label / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn(mnist()[0][place], 90)).save(path)
    return tmp_path / "mine"


def width(path: Path) -> int:
    with Image.open(path) as picture:
        return picture.width


def ziffern(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["ziffern", *map(str, arguments)])
    cli.main()


@pytest.mark.parametrize("settings", [(), ("data.prepare=resize",), ("data.image=[3,32,32]",), ("data.image=[4,9,9]",)])
def test_what_is_written_is_read_back_the_same(folder, tmp_path, monkeypatch, capsys, settings) -> None:
    ziffern(monkeypatch, "prepare", folder, tmp_path / "out", *settings)
    output = capsys.readouterr().out
    data = own_data(folder, settings).dataset
    again = read_local(tmp_path / "out", Reading(image=data.spec.shape, prepare="none", polarity="keep"))
    np.testing.assert_array_equal(again.images, data.images)
    np.testing.assert_array_equal(again.labels, data.labels)
    assert (again.class_names, again.train_size, again.test_size) == (("eins", "fünf", "zwei"), 9, 3)
    assert output.startswith("data: 12 pictures")
    assert "12 images written to " in output
    assert width(tmp_path / "out/contact-sheet.png") > 1000


def test_digits_are_cut_out_and_light_on_dark(folder, tmp_path, monkeypatch) -> None:
    ziffern(monkeypatch, "prepare", folder, tmp_path / "out", "data.prepare=digit")
    with Image.open(tmp_path / "out/train/eins/0.png") as picture:
        digit = np.asarray(picture)
    assert digit.shape == (28, 28)
    assert np.corrcoef(digit.ravel(), mnist()[0][0].ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("settings", "suffix"), [([], []), (["data.polarity=keep"], ["data.polarity=keep"])])
def test_the_command_that_is_printed_reads_the_same_images(
    folder, tmp_path, monkeypatch, capsys, settings, suffix
) -> None:
    settings = ["data.image=[3,32,32]", *settings]
    ziffern(monkeypatch, "prepare", folder, tmp_path / "out", *settings, "--language", "de")
    lines = capsys.readouterr().out.splitlines()
    assert "12 Bilder nach" in lines[-3]
    printed = [word.strip("'") for word in lines[-1].split() if word.strip("'").startswith(("data.image", "data.po"))]
    assert printed == ["data.image=[3,32,32]", *suffix]
    again = own_data(tmp_path / "out", printed).dataset
    np.testing.assert_array_equal(again.images, own_data(folder, settings).dataset.images)


def test_upright_letters_are_not_turned_again(tmp_path, monkeypatch, capsys) -> None:
    images = np.random.RandomState(0).randint(0, 256, (6, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "emnist-letters.npz", X=images, y=np.array(list("abcabc")))
    ziffern(monkeypatch, "prepare", tmp_path / "emnist-letters.npz", tmp_path / "emnist-upright")
    assert capsys.readouterr().out.split()[-1] == "data.transpose=false"


def refusal(monkeypatch, capsys, *arguments: object) -> str:
    with pytest.raises(SystemExit) as error:
        ziffern(monkeypatch, "prepare", *arguments)
    assert error.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err


def test_an_existing_folder_stays_as_it_is(folder, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "is not empty" in refusal(monkeypatch, capsys, folder, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").unlink()
    ziffern(monkeypatch, "prepare", folder, out)
    assert (out / "contact-sheet.png").is_file()


def test_nothing_is_left_of_what_failed(folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("ziffern.report.contact_sheet.contact_sheet", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ziffern(monkeypatch, "prepare", folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data.prepare=digits"], ["data.prepare=digits", "did you mean digit?"]),
        (["data.polarity=dark"], ["data.polarity=dark", "dark_on_light"]),
        (["data.prepar=digit"], ["data.prepar", "did you mean data.prepare?"]),
        (["seed=3"], ["seed=3"]),
        (["data.drop_duplicates=true"], ["data.drop_duplicates=true", "has no effect"]),
        (["data.dir=elsewhere"], ["data.dir=elsewhere"]),
        (["data.prepare=none"], ["1×90×90", "1×28×28", "data.prepare=auto"]),
        (["data.image=[2,28,28]"], ["data.image=[2,28,28]"]),
    ],
)
def test_a_mistake_is_one_line(folder, tmp_path, monkeypatch, capsys, arguments, words) -> None:
    message = refusal(monkeypatch, capsys, folder, tmp_path / "out", *arguments)
    assert all(word in message for word in words), message
    assert not (tmp_path / "out").exists()


def test_the_folder_may_not_be_inside_the_data(folder, monkeypatch, capsys) -> None:
    assert "inside the data" in refusal(monkeypatch, capsys, folder, folder / "out")


def test_a_preview_is_in_the_run_folder(composed, tmp_path) -> None:
    run = run_in(tmp_path / "run", composed("trainer.max_epochs=1", "data.preview=true", "logger=none"), "nn")
    assert width(run.folder / "preview.png") > 1000
    assert not (run_in(tmp_path / "other", composed("trainer.max_epochs=1"), "nn").folder / "preview.png").exists()
