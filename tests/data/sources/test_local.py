"""read_local recognises every accepted form, gives the same digits for each, and refuses all else."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.support.data_files import CSV, IDX, IMAGES, KAGGLE, LABELS, LAST, PICTURES, TRAIN, picture, table, write

from ziffern.data.sources.local import read_local
from ziffern.errors import InputError


def refusal(path, num_classes=10):
    with pytest.raises(InputError) as error:
        read_local(path, num_classes)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("files", [PICTURES, CSV, IDX], ids=["pictures", "csv", "idx"])
@pytest.mark.parametrize("name", ["digits", "digits.zip"])
@pytest.mark.parametrize("wrapper", ["", "mnist/"])
def test_each_form_gives_the_same_digits(tmp_path, files, name, wrapper):
    junk = {"readme.md": b"", ".git/config": b"", "docs/a.txt": b""}
    data = read_local(write({wrapper + k: v for k, v in files.items()} | junk, tmp_path / name))
    np.testing.assert_array_equal(data.images, IMAGES)
    assert data.labels.tolist() == LABELS.tolist()
    assert (data.name, data.train_size, data.class_names) == ("digits", TRAIN, tuple("0123456789"))


@pytest.mark.parametrize(
    "files",
    [
        KAGGLE,
        {k: v for k, v in PICTURES.items() if k.startswith("train")},
        {k: v for k, v in IDX.items() if k.startswith("train")},
    ],
    ids=["kaggle", "pictures", "idx"],
)
def test_without_test_part_all_is_training(tmp_path, files):
    data = read_local(write(files, tmp_path / "digits"), num_classes=12)
    assert (len(data), data.train_size, len(data.class_names)) == (TRAIN, TRAIN, 12)


@pytest.mark.parametrize("name", ["digits", "digits.zip"])
@pytest.mark.parametrize("wrapper", ["", "mine/"])
def test_folders_of_digits_alone_are_all_training(tmp_path, name, wrapper):
    files = {wrapper + k.removeprefix("train/"): v for k, v in PICTURES.items() if k.startswith("train")}
    data = read_local(write(files, tmp_path / name))
    assert (len(data), data.train_size) == (TRAIN, TRAIN)
    np.testing.assert_array_equal(data.images, IMAGES[:TRAIN])


def test_single_table_is_all_training(tmp_path):
    (tmp_path / "digits.CSV").write_bytes(table(slice(None)))
    data = read_local(tmp_path / "digits.CSV")
    np.testing.assert_array_equal(data.images, IMAGES)
    assert (data.name, data.train_size) == ("digits", 5)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["no data set", "no file", "train/<class>/", "mnist.npz"]),
        (
            {"train.zip": b"", "notes.txt": b""},
            ["no data set", "notes.txt, train.zip", "label and 784 pixels"],
        ),
        ({"test/0/a.png": picture(IMAGES[0])}, ["no data set"]),
        (PICTURES | KAGGLE, ["2 data sets", "train/, train.csv", "keep or give one"]),
        (
            {f"{top}/{k}": v for top in "ab" for k, v in KAGGLE.items()},
            ["2 data sets", "a/train.csv, b/train.csv"],
        ),
        (KAGGLE | CSV, ["train.csv and mnist_train.csv", "remove"]),
        (CSV | {"mnist_test.csv": table(LAST)[5:]}, ["mnist_test.csv", "first column is", "'label'"]),
        (PICTURES | {"train/0/notes.txt": b"hi"}, ["train/0/notes.txt", "no picture"]),
        (PICTURES | {"train/0/more.zip": b""}, ["train/0/more.zip", "archive inside"]),
        (
            {k: v for k, v in IDX.items() if "t10k-labels" not in k},
            ["IDX file of the test labels is missing"],
        ),
    ],
)
@pytest.mark.parametrize("name", ["digits", "digits.zip"])
def test_bad_content_is_refused(tmp_path, files, words, name):
    (tmp_path / "digits").mkdir()
    message = refusal(write(files, tmp_path / name))
    assert str(tmp_path / name) in message
    assert all(word in message for word in words), message


def test_wrong_paths_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("digits")
    (tmp_path / "b.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "accepted form: give a folder or ZIP" in refusal(tmp_path / "a.txt")
    assert "holds no data set" in refusal(tmp_path / "b.csv")
    assert "accepted form" in refusal(tmp_path / "pipe.csv")
    assert "cannot be read" in refusal(tmp_path / "loop")
    assert "cannot be read" in refusal(tmp_path / ("x" * 999))
    for missing in (tmp_path / "no\nwhere", tmp_path / "a.txt" / "b", Path("a\0b")):
        assert "does not exist: check the path" in refusal(missing)


def test_current_folder_has_a_name(tmp_path, monkeypatch):
    write(PICTURES, tmp_path / "digits")
    monkeypatch.chdir(tmp_path / "digits")
    assert read_local(Path()).name == "digits"
