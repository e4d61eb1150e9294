"""Which tables of a folder are which part, and which are left out."""

import gzip

import numpy as np
import pytest
from tests.support.data_files import IDX, PICTURES, write

from ziffern.data.content import Reading
from ziffern.data.formats.folders import folder_members
from ziffern.data.formats.tables import find_tables, read_tables
from ziffern.data.sources.local import read_local
from ziffern.errors import InputError

HEADER = "label,p0,p1,p2,p3"
ROWS = ["0,10,20,30,40", "1,50,60,70,80", "1,90,100,110,120"]
TRAIN, VAL, TEST = ("\n".join([HEADER, row]).encode() for row in ROWS)
UNLABELED = b"p0,p1,p2,p3\n1,2,3,4\n5,6,7,8"
WITH_ID = b"id,p0,p1,p2,p3\n0,1,2,3,4\n1,5,6,7,8"
SUBMISSION = b"ImageId,Label\n1,0\n2,0"
ACCEPTED = Reading(image=(1, 2, 2))


def read(files, path, reading=ACCEPTED):
    return read_tables(folder_members(write(files, path)), reading, "digits")


@pytest.mark.parametrize(
    "files",
    [
        {"mnist_train.csv": TRAIN, "mnist_val.csv": VAL, "mnist_test.csv": TEST},
        {"Train.CSV": TRAIN, "valid.csv": VAL, "test.tsv": TEST.replace(b",", b"\t")},
        {"train/a.csv": TRAIN, "validation/a.csv": VAL, "Testing/b.csv": TEST},
        {"my-training-digits.csv": TRAIN, "my-validation-digits.csv": VAL, "my-testing-digits.csv": TEST},
        {"train.csv.gz": gzip.compress(TRAIN), "val.csv": VAL, "test.csv": TEST, "sample_submission.csv": SUBMISSION},
        {"digits.csv": TRAIN, "digits_val.csv": VAL, "digits_test.csv": TEST},
    ],
)
@pytest.mark.parametrize("wrapper", ["", "digits/"])
@pytest.mark.parametrize("name", ["set", "set.zip"])
def test_parts_follow_from_names(tmp_path, files, name, wrapper):
    path = write({wrapper + key: raw for key, raw in files.items()}, tmp_path / name)
    data = read_local(path, ACCEPTED)
    assert data.images[:, 0, 0, 0].tolist() == [10, 50, 90]
    assert (data.train_size, data.val_size, data.test_size) == (1, 1, 1)
    assert data.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("file", ["digits.csv", "mnist_test.csv", "data.CSV.gz", "digits.tsv", "digits.txt"])
def test_a_lone_table_may_have_any_name(tmp_path, file):
    raw = "\n".join([HEADER, *ROWS]).encode()
    raw = gzip.compress(raw) if file.endswith("gz") else raw
    (tmp_path / file).write_bytes(raw)
    data = read_local(tmp_path / file, ACCEPTED)
    assert (len(data), data.train_size, data.name) == (3, 3, file.partition(".")[0])
    if not file.endswith("txt"):
        for name in ("set", "set.zip"):
            assert len(read_local(write({file: raw, "readme.txt": b"hi"}, tmp_path / name), ACCEPTED)) == 3


@pytest.mark.parametrize(
    ("file", "raw", "note"),
    [
        ("test.csv", UNLABELED, "digits/test.csv was left out: it has no labels (2 rows)"),
        ("test.csv", WITH_ID, "digits/test.csv was left out: it has no labels (2 rows)"),
        ("test.csv", WITH_ID[2:], "digits/test.csv was left out: it has no labels (2 rows)"),
        ("test.csv", WITH_ID.replace(b"id", b"nr"), "digits/test.csv was left out: it has no labels (2 rows)"),
        ("test.csv", b"9,2,3,4\n5,6,7,8", "digits/test.csv was left out: it has no labels (2 rows)"),
        ("sample_submission.csv", SUBMISSION, "digits/sample_submission.csv was left out: it is not a table of images"),
        ("test_labels.csv", SUBMISSION, "digits/test_labels.csv was left out: it is not a table of images (2 rows)"),
        ("names.csv", b"number,name\n0,zero", "digits/names.csv was left out: it is not a table of images (1 row)"),
    ],
)
@pytest.mark.parametrize("setting", [None, "label", 0])
def test_what_is_left_out_is_reported(tmp_path, file, raw, note, setting):
    content = read({"train.csv": TRAIN, file: raw}, tmp_path / "digits", Reading(image=(1, 2, 2), label_column=setting))
    assert list(content.parts) == ["train"]
    assert any(note in str(entry) for entry in content.notes)


def test_a_table_whose_name_shows_no_part_is_the_training_part_with_a_note(tmp_path):
    content = read({"digits.csv": TRAIN, "digits_test.csv": TEST}, tmp_path / "set")
    assert list(content.parts) == ["train", "test"]
    assert "digits.csv is the training part, since no other table is" in str(content.notes[0])
    content = read({"test.csv": TRAIN, "sample_submission.csv": SUBMISSION}, tmp_path / "other")
    assert [note.code for note in content.notes] == ["data.note.no_images", "data.note.training_table"]


def test_the_test_part_without_header_has_its_label_where_the_training_part_has_it(tmp_path):
    rows = np.random.RandomState(0).randint(0, 256, (50, 4))
    train = np.column_stack([rows, np.arange(50) % 5])
    files = {
        name: "\n".join(",".join(map(str, row)) for row in table.tolist()).encode()
        for name, table in (("train.csv", train), ("test.csv", train[2:3]))
    }
    assert read(files, tmp_path / "set").parts["test"].labels.tolist() == [2]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"train.csv": TRAIN, "mnist_train.csv": TRAIN},
            ["both train.csv and mnist_train.csv", "part train", "remove"],
        ),
        ({"train.csv": TRAIN, "a_test.csv": TEST, "b_test.csv": TEST}, ["a_test.csv and b_test.csv", "part test"]),
        ({"train.csv": TRAIN, "more.csv": TEST}, ["train.csv and more.csv", "digits_test.csv"]),
        ({"a.csv": TRAIN, "b.csv": TEST}, ["a.csv and b.csv", "digits_test.csv"]),
        ({"val.csv": VAL, "test.csv": TEST}, ["val.csv, test.csv", "name one train.csv"]),
        ({"train.csv": UNLABELED, "test.csv": TEST}, ["train.csv: no column for labels", "column named label"]),
        ({"train.csv": TRAIN, "test.csv": b"label" + b",1" * 700}, ["test.csv: line 1 has 701 columns"]),
        ({"train.csv": TRAIN, "test.csv": TEST[5:].replace(b"\n1", b"\n7")}, ["column 0 has no name", "'label'"]),
        ({"sample_submission.csv": SUBMISSION}, ["sample_submission.csv: line 1 has 2 columns, expected 5"]),
        ({"train.csv": TRAIN, "test.csv": TEST.replace(b"90", b"900")}, ["test.csv: line 2, column p0 is 900"]),
    ],
)
def test_an_unclear_part_is_refused(tmp_path, files, words):
    with pytest.raises(InputError) as error:
        read(files, tmp_path / "set")
    assert all(word in str(error.value) for word in words), str(error.value)


def test_fixes_of_an_unclear_part_work(tmp_path):
    assert list(read({"a.csv": TRAIN, "digits_test.csv": TEST}, tmp_path / "renamed").parts) == ["train", "test"]
    assert list(read({"train.csv": VAL, "test.csv": TEST}, tmp_path / "named").parts) == ["train", "test"]


def test_a_table_beside_other_data_counts_only_if_it_has_images(tmp_path):
    names = b"file,label\na.png,0"
    for files in (PICTURES, IDX):
        for table in ("labels.csv", "train.csv", "train/labels.csv"):
            assert find_tables(folder_members(write(files | {table: names}, tmp_path / str(len(files)) / table))) == []
    assert len(read_local(write(IDX | {"labels.csv": names}, tmp_path / "idx"))) == 5
    with pytest.raises(InputError, match=r"2 data sets \(train.csv, \*-ubyte\)"):
        read_local(write(IDX | {"train.csv": TRAIN}, tmp_path / "both"))
    assert len(read_local(write({"names.csv": names, "set/a.csv": TRAIN}, tmp_path / "deep"), ACCEPTED)) == 1
