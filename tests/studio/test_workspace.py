"""A person's folder: the kept form, runs, uploads and own digits."""

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.data_files import CSV, IMAGES, PICTURES, table, write

from ziffern.data.sources.local import read_local
from ziffern.errors import InputError
from ziffern.studio import settings, workspace
from ziffern.studio.settings import can_be_shown
from ziffern.studio.views import Words, own_view
from ziffern.studio.workspace import MAX_UPLOADS, Workspace

OUTSIDE = ("../x", "..", ".", "", "/etc", "a/b", "a\0b", "a\nb", "~", "-rf", ".hidden", "x" * 300)


GOOD_FORM = {
    **dict.fromkeys(settings.FORM, 1),
    **{"source": "mnist5k", "preset": "fast", "models": ["nn", "fast"], "seed": None, "rate": 0.5},
    **{name: options[-1] for name, options in settings.CHOICES.items()},
    "extra": ["model.net.dropout=0.35"],
}


def test_form_is_kept_and_found_again(own: Workspace) -> None:
    assert own.saved_form() == {}
    own.save_form(GOOD_FORM)
    assert own.saved_form() == GOOD_FORM
    assert can_be_shown(GOOD_FORM)


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "another"},
        {"models": "nn"},
        {"models": ["nn", "another"]},
        {"models": [["nn"]]},
        {"seed": "1"},
        {"seed": 10**20},
        {"seed": 0.5},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"dropout": 0.3},
        {"optimizer": "lbfgs"},
        {"split": None},
        {"more": 1},
        {"extra": None},
        {"extra": [5]},
    ],
    ids=repr,
)
def test_saved_form_that_fits_the_page_no_more_is_not_shown(wrong: dict[str, Any]) -> None:
    assert not can_be_shown(GOOD_FORM | wrong)
    assert not can_be_shown({})


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", '"text"', "\0", "[" * 100_000])
def test_damaged_file_of_a_form_is_no_form(own: Workspace, content: str) -> None:
    own.save_form(GOOD_FORM)
    (file,) = own.root.rglob("form.json")
    file.write_text(content, encoding="utf-8")
    assert own.saved_form() == {}


def test_form_is_not_kept_where_nothing_can_be_written(own: Workspace) -> None:
    own.root.mkdir()
    (own.root / "studio").write_text("no folder")
    own.save_form(GOOD_FORM)
    assert own.saved_form() == {}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_never_leaves_its_folder(own: Workspace, name: str) -> None:
    for folder in (own.runs_folder, own.jobs_folder, own.root / "studio/uploads"):
        folder.mkdir(parents=True)
    for look in (own.run, own.job_folder, own.remove_upload):
        with pytest.raises(InputError, match="reload the page"):
            look(name)
    assert own.runs_folder.is_dir()


def test_a_link_is_no_run(own: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret/.hydra").mkdir(parents=True)
    (tmp_path / "secret/.hydra/config.yaml").write_text("model: {}")
    own.runs_folder.mkdir(parents=True)
    (own.runs_folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="link no longer exists"):
        own.run("link")


@pytest.mark.parametrize("odd", ["my run", "versuch (2)", "größe"])
def test_every_run_that_is_listed_can_be_opened(own: Workspace, odd: str) -> None:
    for place, name in enumerate(("nn_1", odd)):
        (own.runs_folder / name / ".hydra").mkdir(parents=True)
        config = own.runs_folder / name / ".hydra/config.yaml"
        config.write_text("model: {}")
        os.utime(config, (place, place))
    (own.runs_folder / "no-run").mkdir()
    assert "nn_1" in own.run_names()
    assert "no-run" not in own.run_names()
    assert all(own.run(name).folder.name == name for name in own.run_names())


def test_the_newest_run_comes_first(own: Workspace) -> None:
    for name, when in (("old", 1), ("new", 3), ("middle", 2)):
        (own.runs_folder / name / ".hydra").mkdir(parents=True)
        (own.runs_folder / name / ".hydra/config.yaml").touch()
        os.utime(own.runs_folder / name / ".hydra/config.yaml", (when, when))
    assert own.run_names() == ["new", "middle", "old"]


def keras(path: Path) -> Path:
    labels = np.array([0, 1, 2, 3, 4], np.uint8)
    np.savez(path, x_train=IMAGES, y_train=labels, x_test=IMAGES, y_test=labels)
    return path


@pytest.fixture(params=["zip", "pictures", "csv", "npz"])
def good(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    match request.param:
        case "zip":
            return write(CSV, tmp_path / "my digits.zip")
        case "pictures":
            return write(PICTURES, tmp_path / "p.zip")
        case "csv":
            (tmp_path / "a.csv").write_bytes(table(slice(None)))
            return tmp_path / "a.csv"
        case _:
            return keras(tmp_path / "b.npz")


def kept_files(own: Workspace) -> list[Path]:
    return [path for path in own.root.rglob("*") if path.is_file()]


def test_a_good_upload_is_kept_as_it_came(own: Workspace, good: Path) -> None:
    name = own.keep_upload(good, f"../../{good.name}")
    assert list(own.uploads()) == [name]
    path = own.uploads()[name]
    assert path.is_relative_to(own.root)
    assert kept_files(own) == [path]
    assert path.read_bytes() == good.read_bytes()
    assert len(read_local(path)) >= 5
    own.remove_upload(name)
    assert own.uploads() == {}


@pytest.mark.parametrize(
    "name",
    [
        "ä.csv",
        "数字.csv",
        "x" * 200 + ".csv",
        "a.CSV",
        "a b;$(c).csv",
        ".hidden.csv",
        "a" + "." * 58 + "b.csv",
    ],
)
def test_an_upload_of_any_name_can_be_chosen_and_removed(own: Workspace, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_bytes(table(slice(None)))
    kept = own.keep_upload(tmp_path / "a.csv", name)
    assert list(own.uploads()) == [kept]
    own.remove_upload(kept)
    assert own.uploads() == {}


def entry(name: str, mode: int = 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = name
    info.external_attr = mode << 16
    return info


def packed(path: Path, *more: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in (*PICTURES.items(), *more):
            target.writestr(name, content)
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "traversal": (lambda f: packed(f / "a.zip", (entry("../evil.png"), b"x")), "leads out"),
    "absolute": (lambda f: packed(f / "a.zip", (entry("/etc/evil.png"), b"x")), "leads out"),
    "link": (lambda f: packed(f / "a.zip", (entry("train/0/l.png", stat.S_IFLNK | 0o777), b"x")), "symbolic link"),
    "nested": (lambda f: packed(f / "a.zip", ("train/0/more.zip", b"PK\3\4")), "archive inside"),
    "bomb": (lambda f: packed(f / "a.zip", ("train/0/a.png", b"\0" * 50_000_000)), "a.zip"),
    "other": (lambda f: write({"a.txt": b"hi"}, f / "a.zip"), "no data set"),
    "no zip": (lambda f: write({"a.zip": b"hi"}, f / "folder") / "a.zip", "a.zip"),
    "table": (lambda f: write({"a.csv": b"a,b\n1,2\n"}, f / "folder") / "a.csv", "785"),
    "pickle": (lambda f: pickled(f / "a.npz"), "a.npz"),
}


def pickled(path: Path) -> Path:
    np.savez(path, x_train=np.array([{}], object), y_train=np.array([0]), allow_pickle=True)
    return path


@pytest.mark.parametrize("kind", BAD)
def test_a_dangerous_upload_is_refused_in_one_line_and_leaves_nothing(
    own: Workspace, tmp_path: Path, kind: str
) -> None:
    make, words = BAD[kind]
    with pytest.raises(InputError) as error:
        own.keep_upload(make(tmp_path), "a" + make(tmp_path).suffix)
    said = str(error.value)
    assert words in said
    assert said.isprintable()
    assert str(own.root) not in said  # nobody needs the server's folders
    assert kept_files(own) == []
    assert own.uploads() == {}


@pytest.mark.parametrize("name", ["a.exe", "a", "a.zip.txt", "", "..", "zip"])
def test_a_file_of_another_kind_is_refused(own: Workspace, tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(table(slice(None)))
    with pytest.raises(InputError, match="this kind of file"):
        own.keep_upload(tmp_path / "a", name)
    assert kept_files(own) == []


def test_so_many_uploads_and_no_more(own: Workspace, tmp_path: Path) -> None:
    folder = own.root / "studio/uploads"
    folder.mkdir(parents=True)
    for number in range(MAX_UPLOADS):
        (folder / f"{number}.csv").touch()
    with pytest.raises(InputError, match="remove one first"):
        own.keep_upload(write({"a.csv": table(slice(None))}, tmp_path / "f") / "a.csv", "a.csv")


def test_an_upload_that_is_not_checked_yet_cannot_be_chosen(
    own: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(workspace, "read_local", lambda path: seen.append(own.uploads()))
    own.keep_upload(write({"a.csv": b""}, tmp_path / "f") / "a.csv", "a.csv")
    assert seen == [{}]


def test_a_full_disk_leaves_no_half_upload(own: Workspace, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, to: Path) -> None:
        Path(to).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workspace.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        own.keep_upload(good, good.name)
    assert kept_files(own) == []


def test_own_digits_come_back_and_are_data(own: Workspace) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    for image, label in zip(images, (7, 0, 7), strict=True):
        own.keep_digit(image, label)
    found, labels = own.digits()
    assert labels.tolist() == [0, 7, 7]
    assert {image.tobytes() for image in found} == {image.tobytes() for image in images}
    np.testing.assert_array_equal(found[0], images[1])
    shown = own_view(Words("en"), own, [], tested=False)
    assert shown.count("<img") == 3
    own.remove_digits()
    assert len(own.digits()[0]) == 0


def test_own_digits_are_read_as_local_data(own: Workspace) -> None:
    for label in range(3):
        own.keep_digit(np.full((28, 28), 10 * label, np.uint8), label)
    train = own.root / "as_data/train"
    train.parent.mkdir()
    own.digits_folder.rename(train)  # a folder a class is what data=local calls train/
    data = read_local(train.parent)
    assert data.labels.tolist() == [0, 1, 2]
    assert data.images[2].max() == 20


def test_a_foreign_picture_among_own_digits_is_left_out(own: Workspace) -> None:
    own.keep_digit(np.zeros((28, 28), np.uint8), 3)
    Image.new("L", (40, 28)).save(own.digits_folder / "3/large.png")
    assert own.digits()[1].tolist() == [3]


@pytest.mark.parametrize("label", [-1, 10])
def test_a_digit_is_one_of_ten(own: Workspace, label: int) -> None:
    with pytest.raises(InputError, match="one of 0 to 9"):
        own.keep_digit(np.zeros((28, 28), np.uint8), label)


def test_so_many_digits_and_no_more(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MAX_DIGITS", 1)
    own.keep_digit(np.zeros((28, 28), np.uint8), 1)
    with pytest.raises(InputError, match="remove them first"):
        own.keep_digit(np.zeros((28, 28), np.uint8), 1)
