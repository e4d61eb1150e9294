"""`ziffern predict`: one row per image, on standard output or in a file, whatever the images are."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ziffern.cli import main as cli
from ziffern.cli import predict
from ziffern.records.inference import Inference
from ziffern.runs.predictor import Predictor

NAMES = tuple(map(str, range(10)))
USUAL = ["name", "label", "probability", "second", "second_probability", "status"]


class Levels:
    """A classifier that reads the digit from the level of all pixels: 250 is 0, 249 is 1, ..."""

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        label = (250 - images[:, 0, 0, 0].astype(int)).clip(0, 9)
        share = np.full((len(images), 10), 0.01, np.float32)
        share[np.arange(len(images)), label] = 0.9
        share[np.arange(len(images)), (label + 1) % 10] = 0.02
        return share


class Scores:
    """A score of being a digit that is always one half."""

    threshold = 0.1

    def scores(self, probability: np.ndarray, images: np.ndarray) -> np.ndarray:
        return np.full(len(images), 0.5, np.float32)


def reader(score: object = None) -> Predictor:
    return Predictor(Levels(), Inference(not_digit=score), NAMES, (1, 28, 28))


@pytest.fixture
def ziffern(monkeypatch, capsysbinary):
    """Run the program; return its exit status, standard output and standard error."""

    def run(*arguments: object, model: object = "RUN") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["ziffern", "predict", str(model), *map(str, arguments)])
        monkeypatch.setattr(predict, "_predictor", lambda _: reader())
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        output, errors = capsysbinary.readouterr()
        return code, output.decode(), errors.decode()

    return run


def picture(path: Path, digit: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (28, 28), 250 - digit).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for digit in (0, 1, 2, 10):
        picture(tmp_path / f"digits/{digit}.png", digit % 10)
    return tmp_path / "digits"


def table(path: Path, digits: list[int], *, ids: int | None = None, label: bool = False) -> Path:
    """Write pixels as Kaggle does."""
    names = [*(["id"] if ids is not None else []), *(["label"] if label else []), *(f"pixel{n}" for n in range(784))]
    rows = [
        [*([ids + row] if ids is not None else []), *([digit] if label else []), *[250 - digit] * 784]
        for row, digit in enumerate(digits)
    ]
    path.write_text("\n".join(",".join(map(str, row)) for row in [names, *rows]) + "\n")
    return path


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_rows_go_to_standard_output(ziffern, folder) -> None:
    code, output, errors = ziffern(folder)
    assert (code, errors) == (0, "")
    header, *rows = rows_of(output)
    assert header == USUAL
    assert rows[1] == ["1.png", "1", "0.9", "2", "0.02", "answered"]
    assert [row[0] for row in rows] == ["0.png", "1.png", "2.png", "10.png"]


def test_a_score_of_being_a_digit_has_a_column(ziffern, folder, monkeypatch, capsysbinary) -> None:
    monkeypatch.setattr("sys.argv", ["ziffern", "predict", "RUN", str(folder)])
    monkeypatch.setattr(predict, "_predictor", lambda _: reader(Scores()))
    cli.main()
    header, first, *_ = rows_of(capsysbinary.readouterr().out.decode())
    assert header == [*USUAL, "is_digit"]
    assert first[-1] == "0.5"


def test_each_format_has_the_same_content(ziffern, folder, tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (folder / "0.png").write_bytes(b"broken")
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        code, output, errors = ziffern(folder, "-o", tmp_path / name)
        assert (code, output) == (1, "")
        assert errors.splitlines()[-1] == f"4 rows written to {tmp_path / name}: 3 answered, 1 unreadable"
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines[0] == dict.fromkeys(USUAL, None) | {"name": "0.png", "status": "unreadable"}
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == lines
    cells = [["" if value is None else str(value) for value in line.values()] for line in lines]
    assert rows_of((tmp_path / "a.csv").read_text())[1:] == cells


def test_format_beats_suffix_and_works_without_a_file(ziffern, folder, tmp_path) -> None:
    assert json.loads(ziffern(folder, "--format", "jsonl")[1].splitlines()[2])["label"] == "2"
    assert ziffern(folder, "--format", "csv", "-o", tmp_path / "x.txt")[0] == 0
    assert (tmp_path / "x.txt").read_text().startswith("name,")


def test_a_submission_numbers_its_rows_from_1(ziffern, tmp_path) -> None:
    path = table(tmp_path / "test.csv", [3, 1, 4, 1, 5])
    rows = rows_of(ziffern(path, "--submission")[1])
    assert rows == [["ImageId", "Label"], ["1", "3"], ["2", "1"], ["3", "4"], ["4", "1"], ["5", "5"]]


def test_a_submission_keeps_the_ids_of_the_table(ziffern, tmp_path) -> None:
    path = table(tmp_path / "test.csv", [3, 1], ids=500)
    output = tmp_path / "submission.csv"
    code, _, errors = ziffern(path, "--submission", "--header", "id,label", "-o", output)
    assert (code, output.read_text()) == (0, "id,label\n500,3\n501,1\n")
    assert "the column id names the images" in errors


def test_a_long_table_is_numbered_across_batches(ziffern, tmp_path) -> None:
    rows = rows_of(ziffern(table(tmp_path / "test.csv", [7] * 2500), "--submission")[1])
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(1, 2501)]


def test_unreadable_pictures_keep_their_rows(ziffern, folder) -> None:
    for place in range(8):
        (folder / f"broken{place}.png").write_bytes(b"no picture")
    code, output, errors = ziffern(folder)
    assert code == 1
    assert [row[-1] for row in rows_of(output)[1:]] == ["answered"] * 4 + ["unreadable"] * 8
    lines = errors.splitlines()
    assert len(lines) == 6
    assert "broken0.png: not a picture" in lines[0]
    assert lines[5] == "unreadable: 3 more images"


def test_labels_lead_to_an_evaluation(ziffern, tmp_path, folder) -> None:
    path = table(tmp_path / "train.csv", [3, 1], label=True)
    errors = ziffern(path, model=tmp_path)[2]
    assert f"ziffern evaluate {tmp_path} --data {path}" in errors
    assert f"ziffern evaluate builtin --data {path}" in ziffern(path, model="builtin")[2]
    assert "evaluate" not in ziffern(folder, model=tmp_path)[2]


def test_standard_input_is_recognized_by_its_content(ziffern, folder, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((folder / "2.png").read_bytes())))
    assert rows_of(ziffern("-")[1])[1][1] == "2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: does not exist"),
        (["digits", "missing.png"], "missing.png: does not exist"),
        (["digits", "-o", "x.xlsx"], "x.xlsx: unknown suffix"),
        (["digits", "-o", "."], "this is a folder"),
        (["digits", "--format", "parquet"], "needs a file"),
        (["digits", "--submission", "--format", "jsonl"], "--submission is a CSV file"),
        (["digits", "--header", "a,b"], "with --submission"),
        (["digits", "--submission", "--header", "a"], "two different names"),
        (["digits/1.png", "-o", "digits/1.png", "--format", "csv"], "is one of the files to be read"),
        (["-", "-"], "only once"),
        (["digits", "--max-error", "few"], "invalid share value"),
        (["broken.png"], "broken.png: not a picture"),
        (["empty"], "no pictures"),
        (["none.npy"], "none.npy: no images"),
        (["digits", "-x"], "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_line(ziffern, folder, tmp_path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.png").write_bytes(b"broken")
    Path("empty").mkdir()
    np.save("none.npy", np.zeros((0, 28, 28), np.uint8))
    before = sorted(tmp_path.rglob("*"))
    code, output, errors = ziffern(*arguments)
    assert (code, output, len(errors.splitlines())) == (2, "", 1), errors
    assert message in errors
    assert sorted(tmp_path.rglob("*")) == before


def test_messages_are_translated(ziffern, folder) -> None:
    (folder / "0.png").write_bytes(b"broken")
    assert "nicht lesbar: " in ziffern(folder, "--language", "de")[2]


def test_a_failure_leaves_the_older_file(ziffern, folder, tmp_path, monkeypatch) -> None:
    output = tmp_path / "out.csv"
    output.write_text("older")
    monkeypatch.setattr(Levels, "probabilities", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert ziffern(folder, "-o", output)[0] == 130
    assert output.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "out.csv"]
    monkeypatch.undo()


def test_names_are_data(ziffern, tmp_path) -> None:
    names = ['=cmd|x,"1".png', "a\nb.png", "\x1b[31m.png"]
    for name in names:
        picture(tmp_path / "d" / name, 1)
    picture(tmp_path / "d" / os.fsdecode(b"\xff.png"), 1)
    code, output, errors = ziffern(tmp_path / "d")
    assert (code, errors) == (0, "")
    assert ziffern(tmp_path / "d", "-o", tmp_path / "names.parquet")[0] == 0
    assert {row[0] for row in rows_of(output)[1:]} == {*names, "\\udcff.png"}
    (tmp_path / "d" / names[2]).write_bytes(b"broken")
    assert "\x1b" not in ziffern(tmp_path / "d")[2]


def test_a_device_is_written_to_and_not_replaced(ziffern, folder) -> None:
    assert ziffern(folder, "-o", "/dev/null", "--format", "csv")[0] == 0
    assert not Path("/dev/null").is_file()


def test_parquet_without_pyarrow_names_the_extra(ziffern, folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, errors = ziffern(folder, "-o", tmp_path / "x.parquet")
    assert code == 2
    assert "pip install 'ziffern[parquet]'" in errors
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.slow
def test_a_reader_that_has_enough_ends_the_command_quietly(tmp_path) -> None:
    np.save(tmp_path / "many.npy", np.full((60_000, 28, 28), 250, np.uint8))
    program = (
        "from tests.cli.test_predict import reader; from ziffern.cli import main, predict;"
        "predict._predictor = lambda _: reader(); main.main()"
    )
    command = f'"{sys.executable}" -c "$0" predict RUN {tmp_path}/many.npy | head -n 2; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command, program], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [",".join(USUAL), "0,0,0.9,1,0.02,answered", "141"]
