"""Folders of pictures: which files are images of which class, and in which order."""

import io

import numpy as np
import pytest
from PIL import Image

from ziffern.data.content import Reading
from ziffern.data.formats.members import Member
from ziffern.data.formats.pictures import has_pictures, read_pictures
from ziffern.errors import InputError

IMAGES = np.arange(4 * 784).astype(np.uint8).reshape(4, 28, 28)


def encode(pixels):
    raw = io.BytesIO()
    Image.fromarray(pixels).save(raw, "PNG")
    return raw.getvalue()


DIGIT = encode(IMAGES[0])


def members(*paths, raw=DIGIT, **more):
    files = dict.fromkeys(paths, raw) | more
    return {path: Member(f"set/{path}", len(content), lambda c=content: c) for path, content in files.items()}


def read(*paths, **more):
    return read_pictures(members(*paths, **more), Reading(), "set")


def test_labels_are_the_folders_names_and_the_order_is_by_path() -> None:
    files = {
        "train/7/b.png": IMAGES[1],
        "train/10/a.png": IMAGES[0],
        "test/3/d.png": IMAGES[3],
        "train/7/a.png": IMAGES[2],
    }
    content = read(**{path: encode(image) for path, image in files.items()})
    assert content.parts["train"].labels.tolist() == ["10", "7", "7"]
    np.testing.assert_array_equal(np.stack(list(content.parts["train"].images)), IMAGES[[0, 2, 1]])
    np.testing.assert_array_equal(content.parts["test"].images[0], IMAGES[3])
    assert (set(content.classes), content.notes) == ({"10", "7", "3"}, ())


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "TEST"), ("trn", "dev", "testing")])
def test_parts_are_recognized_by_their_names(names) -> None:
    content = read(*(f"{name}/{label}/a.png" for name in names for label in "01"))
    assert list(content.parts) == ["train", "val", "test"]
    assert [len(part.images) for part in content.parts.values()] == [2, 2, 2]


def test_class_folders_without_parts_are_the_training_part() -> None:
    content = read("eins/a.png", "zwei/b.png", "zwei/a.png")
    assert {name: part.labels.tolist() for name, part in content.parts.items()} == {"train": ["eins", "zwei", "zwei"]}


def test_a_folder_around_the_classes_of_a_part_is_skipped() -> None:
    assert read("train/images/0/a.png", "train/images/1/a.png").parts["train"].labels.tolist() == ["0", "1"]


def test_folders_below_a_class_belong_to_it() -> None:
    assert read("train/0/writer/a.png", "train/1/a.png").parts["train"].labels.tolist() == ["0", "1"]


def test_other_files_are_left_out_and_counted() -> None:
    (note,) = read("train/0/a.png", "train/1/a.png", "train/1/about.txt", "readme.md").notes
    assert (note.code, note.values) == ("data.note.left_out", {"count": 2, "example": "readme.md"})


def test_pictures_are_decoded_when_they_are_taken() -> None:
    content = read("train/0/a.png", **{"train/1/b.png": b"no picture"})
    assert content.parts["train"].images[0].shape == (28, 28)
    with pytest.raises(InputError) as error:
        content.parts["train"].images[1]
    assert error.value.code == "data.picture.none"
    assert str(error.value).startswith("set/train/1/b.png: ")


def test_a_file_that_is_too_large_is_refused_before_it_is_read() -> None:
    huge = Member("set/huge.png", 2**26 + 1, lambda: pytest.fail("it was read"))
    part = read_pictures({"0/a.png": huge, "1/a.png": huge}, Reading(), "set").parts["train"]
    with pytest.raises(InputError) as error:
        part.images[0]
    assert error.value.code == "data.picture.too_large"


def test_an_archive_in_a_class_folder_is_refused() -> None:
    with pytest.raises(InputError) as error:
        read("train/0/a.zip", "train/0/a.png")
    assert (error.value.code, error.value.message.values["path"]) == ("data.archive.nested", "set/train/0/a.zip")


def test_two_channels_are_refused() -> None:
    with pytest.raises(InputError) as error:
        read_pictures(members("0/a.png", "1/a.png"), Reading(image=(2, 28, 28)), "set")
    assert error.value.code == "data.picture.channels"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [(("0/a.png", "1/a.png"), True), (("0/a.png",), True), (("eins/a.png",), False), (("a",), False)],
)
def test_pictures_are_recognized(paths, expected: bool) -> None:
    assert has_pictures(members(*paths)) is expected
