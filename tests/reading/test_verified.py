"""Batch folders that are hostile, final values, and the examples that `data=local` trains on."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from make_batch import DIGITS, make_batch
from ziffern.data.content import Reading as LocalReading
from ziffern.data.sources.local import read_local
from ziffern.errors import InputError
from ziffern.reading.decisions import Decision, Decisions, Kind
from ziffern.reading.folder import load_picture, load_reading
from ziffern.reading.verified import Verified, cut, export, verified_fields

DIGIT = LocalReading(prepare="digit")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]]]:
    folder = tmp_path_factory.mktemp("made")
    return folder, make_batch(folder, pages=2, fields=3)


@pytest.fixture
def truth(made: tuple[Path, list[list[str]]], tmp_path: Path) -> list[list[str]]:
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    return made[1]


def enter(folder: Path, *entries: tuple[str, int, str, Kind, str]) -> None:
    with closing(Decisions(folder, load_reading(folder))) as decisions:
        for person, page, field, kind, value in entries:
            decisions.append(Decision(1.0, person, page, field, kind, value, 1.0))


def rows(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    count = export(folder, folder / "out.csv")
    assert count == len(list(folder.glob("examples/*/*.png")))
    table = csv.DictReader(io.StringIO((folder / "out.csv").read_text()))
    return {(row["source"], row["field"]): row for row in table}


def test_final_values_and_examples(tmp_path: Path, truth: list[list[str]]) -> None:
    accepted = load_reading(tmp_path).pages[1].fields[2]
    enter(
        tmp_path,
        ("anna", 0, "number_1", "value", truth[0][0]),
        ("bert", 0, "number_2", "unreadable", ""),
        ("bert", 0, "number_3", "empty", ""),
        ("anna", 1, "number_1", "value", "123"),  # not one digit per cell
        ("anna", 1, "number_2", "value", "11111"),
        ("bert", 1, "number_2", "value", "22222"),
    )
    assert verified_fields(tmp_path) == [
        Verified(0, "number_1", truth[0][0], "anna"),
        Verified(0, "number_3", "", "bert"),
        Verified(1, "number_1", "123", "anna"),
    ]
    found = rows(tmp_path)
    shown = {key: (row["value"], row["status"], row["person"]) for key, row in found.items()}
    assert shown["scans/1.pdf", "number_1"] == (truth[0][0], "person", "anna")
    assert shown["scans/1.pdf", "number_2"] == ("", "unreadable", "bert")
    assert shown["scans/1.pdf", "number_3"] == ("", "empty", "bert")
    assert shown["scans/2.pdf", "number_2"] == ("", "disagreement", "anna bert")
    is_accepted = accepted.status == "accepted"
    assert shown["scans/2.pdf", "number_3"] == ((accepted.guess, "accepted", "") if is_accepted else ("", "open", ""))

    examples = read_local(tmp_path / "examples", DIGIT)
    assert sorted(examples.class_names[label] for label in examples.labels) == sorted(truth[0][0])
    assert examples.images.shape == (DIGITS, 1, 28, 28)
    enter(tmp_path, ("anna", 1, "number_2", "value", "22222"), ("anna", 1, "number_2", "undo", ""))
    (tmp_path / "examples/0").mkdir(exist_ok=True)
    (tmp_path / "examples/0/page-9-9-9.png").touch()  # of a decision that does not stand any more
    (tmp_path / "examples/0/own.jpg").touch()
    rows(tmp_path)
    assert not (tmp_path / "examples/0/page-9-9-9.png").exists()
    assert (tmp_path / "examples/0/own.jpg").exists()


def test_example_shows_its_cell(tmp_path: Path, truth: list[list[str]]) -> None:
    enter(tmp_path, ("anna", 0, "number_2", "value", truth[0][1]))
    rows(tmp_path)
    page = load_picture(tmp_path, "pages/0.jpg")
    box = load_reading(tmp_path).pages[0].fields[1].cells[3].box
    example = load_picture(tmp_path / "examples", f"{truth[0][1][3]}/page-0-1-3.png")
    assert np.array_equal(example, cut(page, box))
    assert 38 < example.shape[0] < 43


def test_examples_do_not_leave_the_folder(tmp_path: Path, truth: list[list[str]]) -> None:
    enter(tmp_path, ("anna", 0, "number_2", "value", truth[0][1]))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / truth[0][1][0]).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="symbolic link"):
        export(tmp_path, tmp_path / "out.csv")
    assert not list((tmp_path / "elsewhere").iterdir())


def field(plain: Any) -> Any:
    return plain["pages"][0]["fields"][0]


@pytest.mark.parametrize(
    "harm",
    [
        lambda plain: field(plain).update(crop="../../etc/passwd"),
        lambda plain: field(plain).update(crop="/etc/passwd"),
        lambda plain: field(plain).update(crop="crops/a.png\n"),
        lambda plain: field(plain).update(box=[0, 0, 2, 1]),
        lambda plain: field(plain).update(name="number_2"),
        lambda plain: field(plain).update(name="x" * 101),
        lambda plain: field(plain).update(status="done"),
        lambda plain: plain.update(version=2),
        lambda plain: plain.clear(),
    ],
)
def test_hostile_reading_is_refused_in_one_line(
    tmp_path: Path, truth: list[list[str]], harm: Callable[[Any], None]
) -> None:
    plain = json.loads((tmp_path / "reading.json").read_text())
    harm(plain)
    (tmp_path / "reading.json").write_text(json.dumps(plain))
    with pytest.raises(InputError) as error:
        load_reading(tmp_path)
    assert str(error.value).isprintable()


def test_folder_without_a_reading_is_refused_in_one_line(tmp_path: Path) -> None:
    for content in (None, b"\xff", b"[" * 10**6, b"{}"):
        if content:
            (tmp_path / "reading.json").write_bytes(content)
        with pytest.raises(InputError, match=r"reading\.json"):
            load_reading(tmp_path)
    (tmp_path / "reading.json").unlink()
    (tmp_path / "reading.json").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="symbolic link"):
        load_reading(tmp_path)


def test_picture_behind_a_link_is_refused(tmp_path: Path, truth: list[list[str]]) -> None:
    (tmp_path / "pages/0.jpg").rename(tmp_path / "real.jpg")
    (tmp_path / "pages/0.jpg").symlink_to("../real.jpg")
    with pytest.raises(InputError, match="symbolic link"):
        load_picture(tmp_path, "pages/0.jpg")
