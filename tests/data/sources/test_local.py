"""read_local recognises every accepted form, gives the same digits for each, and refuses all else."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.support.data_files import CSV, IDX, IMAGES, KAGGLE, LABELS, LAST, PICTURES, TRAIN, idx, picture, table, write

from ziffern.data.content import Reading
from ziffern.data.sources.local import read_local
from ziffern.errors import InputError

DIGITS = Reading(num_classes=10)


def refusal(path, **settings):
    with pytest.raises(InputError) as error:
        read_local(path, Reading(**settings))
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("files", [PICTURES, CSV, IDX], ids=["pictures", "csv", "idx"])
@pytest.mark.parametrize("name", ["digits", "digits.zip"])
@pytest.mark.parametrize("wrapper", ["", "mnist/"])
def test_each_form_gives_the_same_digits(tmp_path, files, name, wrapper):
    junk = {"readme.md": b"", ".git/config": b"", "docs/a.txt": b""}
    data = read_local(write({wrapper + k: v for k, v in files.items()} | junk, tmp_path / name), DIGITS)
    np.testing.assert_array_equal(data.images, IMAGES[:, None])
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
    data = read_local(write(files, tmp_path / "digits"), Reading(num_classes=12))
    assert (len(data), data.train_size, len(data.class_names)) == (TRAIN, TRAIN, 12)


@pytest.mark.parametrize("name", ["digits", "digits.zip"])
@pytest.mark.parametrize("wrapper", ["", "mine/"])
def test_folders_of_digits_alone_are_all_training(tmp_path, name, wrapper):
    files = {wrapper + k.removeprefix("train/"): v for k, v in PICTURES.items() if k.startswith("train")}
    data = read_local(write(files, tmp_path / name))
    assert (len(data), data.train_size) == (TRAIN, TRAIN)
    np.testing.assert_array_equal(data.images, IMAGES[:TRAIN, None])


def test_single_table_is_all_training(tmp_path):
    (tmp_path / "digits.CSV").write_bytes(table(slice(None)))
    data = read_local(tmp_path / "digits.CSV")
    np.testing.assert_array_equal(data.images, IMAGES[:, None])
    assert (data.name, data.train_size) == ("digits", 5)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["no data set", "no file", "one folder per class", ".npz"]),
        (
            {"train.zip": b"", "notes.txt": b""},
            ["no data set", "notes.txt, train.zip", "labels and pixels"],
        ),
        ({"flat/a.png": picture(IMAGES[0])}, ["no data set", "flat/a.png", "one folder per class"]),
        (PICTURES | KAGGLE, ["2 data sets", "train/, train.csv", "keep one"]),
        (
            {f"{top}/{k}": v for top in "ab" for k, v in KAGGLE.items()},
            ["2 data sets", "a/train.csv, b/train.csv"],
        ),
        (KAGGLE | CSV, ["train.csv and mnist_train.csv", "remove"]),
        (CSV | {"mnist_test.csv": table(LAST)[5:]}, ["mnist_test.csv", "column 0 has no name", "'label'"]),
        (PICTURES | {"train/0/notes.png": b"hi"}, ["train/0/notes.png", "not a picture"]),
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


@pytest.mark.parametrize(
    "names",
    [("train", "valid", "test"), ("Training", "Validation", "Testing"), ("mnist_train", "mnist_val", "mnist_test")],
)
@pytest.mark.parametrize("wrapper", ["", "archive/"])
@pytest.mark.parametrize("name", ["mine", "mine.zip"])
def test_every_part_of_ones_own_is_found_whatever_it_is_called(tmp_path, names, wrapper, name):
    files = {f"{part}/{label}/{label}.png": picture(IMAGES[label]) for part in names for label in range(3)}
    data = read_local(write(files, tmp_path / name, wrapper))
    assert (data.train_size, data.val_size, data.test_size) == (3, 3, 3)
    assert data.labels.tolist() == [0, 1, 2] * 3
    assert not data.notes


def test_files_that_are_not_used_are_counted(tmp_path):
    files = {f"set/train/{label}/a.png": picture(IMAGES[label]) for label in range(2)}
    more = {"set/train/0/notes.txt": b"", "set/test/unlabeled.png": picture(IMAGES[0]), "readme.md": b"", "x/y.md": b""}
    data = read_local(write(files | more, tmp_path / "mine"))
    assert [str(note) for note in data.notes] == [
        "2 files outside set/ were left out, such as readme.md",
        "1 picture was left out, because it is in no class folder: test/unlabeled.png",
        "1 file was left out, because it is not PNG, JPEG, BMP, GIF, TIFF, PPM or WebP: train/0/notes.txt",
    ]


def test_a_test_part_alone_is_named(tmp_path):
    data = read_local(write({f"test/{label}/a.png": picture(IMAGES[label]) for label in range(2)}, tmp_path / "mine"))
    assert [str(note) for note in data.notes] == ["all images come from test/"]


def test_an_empty_class_folder_is_a_class(tmp_path):
    path = write({f"train/{name}/a.png": picture(IMAGES[0]) for name in "ac"}, tmp_path / "mine")
    (path / "train" / "b").mkdir()
    archive = tmp_path / "mine.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(path / "train" / "b", "train/b")
        for name in "ac":
            file.write(path / "train" / name / "a.png", f"train/{name}/a.png")
    for place in (path, archive):
        data = read_local(place)
        assert data.class_names == ("a", "b", "c")
        assert data.labels.tolist() == [0, 2]


def test_an_archive_of_powershell_is_read(tmp_path):
    files = {f"train\\{label}\\{label}.png": picture(IMAGES[label]) for label in range(3)}
    assert read_local(write(files, tmp_path / "mine.zip")).labels.tolist() == [0, 1, 2]


def test_wrong_paths_are_refused(tmp_path):
    (tmp_path / "a.doc").write_text("digits")
    (tmp_path / "b.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "accepted form: give a folder or ZIP" in refusal(tmp_path / "a.doc")
    assert "no data set in" in refusal(tmp_path / "b.csv")
    assert "accepted form" in refusal(tmp_path / "pipe.csv")
    assert "cannot be read" in refusal(tmp_path / "loop")
    assert "cannot be read" in refusal(tmp_path / ("x" * 999))
    for missing in (tmp_path / "no\nwhere", tmp_path / "a.doc" / "b", Path("a\0b")):
        assert "does not exist: check the path" in refusal(missing)


def test_current_folder_has_a_name(tmp_path, monkeypatch):
    write(PICTURES, tmp_path / "digits")
    monkeypatch.chdir(tmp_path / "digits")
    assert read_local(Path()).name == "digits"


# Other shapes

COLOR = np.random.RandomState(1).randint(0, 256, (5, 3, 20, 30)).astype(np.uint8)
COLOR_PICTURES = {
    f"{'train' if i < TRAIN else 'test'}/{LABELS[i]}/{i}.png": picture(COLOR[i].transpose(1, 2, 0)) for i in range(5)
}


def npz(path, images):
    parts = {"x_train": images[:TRAIN], "x_test": images[TRAIN:], "y_train": LABELS[:TRAIN], "y_test": LABELS[TRAIN:]}
    np.savez(path, **parts)
    return path


def test_pictures_in_color_keep_it(tmp_path):
    data = read_local(write(COLOR_PICTURES, tmp_path / "color"), Reading(image=(3, 20, 30)))
    np.testing.assert_array_equal(data.images, COLOR)
    assert not data.notes


def test_pictures_of_any_size_are_converted_with_a_note(tmp_path):
    mixed = COLOR_PICTURES | {"train/0/gray.png": picture(IMAGES[0]), "train/0/small.png": picture(IMAGES[0][:8, :8])}
    data = read_local(write(mixed, tmp_path / "mixed"), Reading(image=(3, 28, 28)))
    assert data.spec.shape == (3, 28, 28)
    assert str(data.notes[0]).startswith("6 pictures were resized to 3×28×28")
    gray = data.images[1]  # the size fits, the color is repeated
    np.testing.assert_array_equal(gray, np.stack([IMAGES[0]] * 3))


def test_transparency_is_black(tmp_path):
    pixels = np.dstack([COLOR[0].transpose(1, 2, 0), np.zeros((20, 30), np.uint8)])
    data = read_local(write({"train/0/a.png": picture(pixels)}, tmp_path / "rgba"), Reading(image=(3, 20, 30)))
    assert not data.images.any()
    whole = read_local(tmp_path / "rgba", Reading(image=(4, 20, 30)))
    np.testing.assert_array_equal(whole.images[0].transpose(1, 2, 0), pixels)


@pytest.mark.parametrize(
    ("image", "raw", "words"),
    [
        ((2, 28, 28), picture(IMAGES[0]), ["data.image=[2,28,28]", "1 (gray), 3 (color)"]),
        ((3, 28, 28), picture(np.zeros((9000, 9000), np.uint8)), ["9000×9000", "a.png", "bomb"]),
    ],
)
def test_pictures_that_cannot_be_converted_are_named(tmp_path, image, raw, words):
    write({"train/0/a.png": raw}, tmp_path / "bad")
    with pytest.raises(InputError) as error:
        read_local(tmp_path / "bad", Reading(image=image))
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1)], ids=["channels first", "channels last"])
def test_an_npz_tells_its_shape(tmp_path, axes):
    path = npz(tmp_path / "color.npz", COLOR.transpose(axes))
    np.testing.assert_array_equal(read_local(path, Reading(image=(3, 20, 30))).images, COLOR)
    smaller = read_local(path, Reading(image=(1, 10, 15)))
    assert smaller.spec.shape == (1, 10, 15)
    assert str(smaller.notes[0]).startswith("5 pictures were resized to 1×10×15")
    assert read_local(path).spec.shape == (1, 28, 28)
    with pytest.raises(InputError, match="3×20×30"):
        read_local(path, Reading(prepare="none"))


def test_idx_files_of_another_size_are_converted(tmp_path):
    files = {
        name: idx(IMAGES[:, :20, :16]) if "images" in name else raw for name, raw in IDX.items() if "train" in name
    }
    files["train-labels-idx1-ubyte"] = idx(LABELS)
    path = write(files, tmp_path / "small")
    np.testing.assert_array_equal(read_local(path, Reading(image=(1, 20, 16))).images[:, 0], IMAGES[:, :20, :16])
    assert read_local(path).spec.shape == (1, 28, 28)
    with pytest.raises(InputError, match="1×20×16"):
        read_local(path, Reading(prepare="none"))


def test_a_table_has_the_columns_of_the_shape(tmp_path):
    small = COLOR[:, :, :4, :5]
    rows = np.column_stack([LABELS, small.reshape(5, -1)]).tolist()
    path = tmp_path / "color.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in rows))
    np.testing.assert_array_equal(read_local(path, Reading(image=(3, 4, 5))).images, small)
    assert "line 1 has 61 columns, expected 785" in refusal(path)
