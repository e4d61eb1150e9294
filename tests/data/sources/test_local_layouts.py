"""Folders and settings that could be read in two ways: which reading is chosen, and that it is reported."""

import numpy as np
import pytest
from tests.support.data_files import IMAGES, picture, write

from ziffern.data.content import Reading
from ziffern.data.sources.local import read_local
from ziffern.errors import InputError


def folders(tmp_path, *names, image=IMAGES[0]):
    return write({f"{name}/{n}.png": picture(image) for name in names for n in range(2)}, tmp_path / "data")


def codes(data):
    return [note.code.removeprefix("data.note.") for note in data.notes]


def sizes(data):
    return data.train_size, data.val_size, data.test_size


@pytest.mark.parametrize(("others", "name"), [(("bus", "car"), "train"), (("control",), "test"), (("a",), "val")])
def test_a_class_may_be_named_as_a_part(tmp_path, others, name):
    data = read_local(folders(tmp_path, *others, name))
    assert data.class_names == tuple(sorted((*others, name)))
    assert codes(data) == ["part_as_class"]


@pytest.mark.parametrize("classes", [("cats", "dogs"), ("0", "1")])
def test_unlabeled_pictures_beside_classes_are_left_out(tmp_path, classes):
    data = read_local(folders(tmp_path, *classes, "test"))
    assert (data.class_names, sizes(data)) == (classes, (4, 0, 0))
    assert codes(data) == ["unlabeled_folder"]  # once
    assert "its 2 pictures are in no class folder" in str(data.notes[0])
    parts = read_local(folders(tmp_path / "fix", *(f"train/{name}" for name in ("cats", "dogs", "test"))))
    assert parts.class_names == ("cats", "dogs", "test")


def test_parts_beside_class_folders_are_used(tmp_path):
    data = read_local(folders(tmp_path, "cats", "dogs", "Test/cats", "Test/dogs", "valid/dogs"))
    assert (data.class_names, sizes(data)) == (("cats", "dogs"), (4, 2, 4))
    assert "beside_parts" in codes(data)


def test_two_folders_of_one_part_lose_no_picture(tmp_path):
    data = read_local(folders(tmp_path, "train/0", "train/1", "training/0", "training/1", "test/0"))
    assert (sizes(data), codes(data)) == ((8, 0, 2), [])


def test_folders_of_the_same_number_are_reported(tmp_path):
    data = read_local(folders(tmp_path, "0", "1", "01"))
    assert data.labels.tolist().count(1) == 4
    assert codes(data) == ["same_number"]


def test_label_column_is_refused_for_pictures(tmp_path):
    with pytest.raises(InputError, match="label_column"):
        read_local(folders(tmp_path, "0", "1"), Reading(label_column=0))


def test_label_column_is_refused_for_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", X=IMAGES[:4], y=np.arange(4))
    with pytest.raises(InputError, match="label_column"):
        read_local(tmp_path / "a.npz", Reading(label_column="y"))


def test_a_cut_out_that_keeps_no_ground_is_reported(tmp_path):
    photo = np.full((90, 70), 230, np.uint8)
    photo[20:70, 30:38] = 20
    path = folders(tmp_path, "0", "1", image=photo)
    assert codes(read_local(path, Reading(polarity="keep"))) == ["cut_out", "cut_polarity"]
    kept = read_local(path, Reading(prepare="resize", polarity="keep"))
    assert np.median(kept.images) == 230


def test_colors_are_inverted_only_where_that_is_set(tmp_path):
    light = np.full((28, 28, 3), (200, 220, 240), np.uint8)
    path = folders(tmp_path, "0", "1", image=light)
    color = (3, 28, 28)
    assert read_local(path, Reading(image=color)).images[0, :, 0, 0].tolist() == [200, 220, 240]
    dark = read_local(path, Reading(image=color, polarity="dark_on_light"))
    assert dark.images[0, :, 0, 0].tolist() == [55, 35, 15]
    assert codes(read_local(path, Reading(image=color, polarity="mixed"))) == ["color_polarity"]


@pytest.mark.parametrize("name", ["a.npz", "a.csv"])
def test_transposed_images_that_are_not_square_keep_every_pixel(tmp_path, name):
    images, labels = np.random.RandomState(0).randint(0, 256, (20, 28, 20)).astype(np.uint8), np.arange(20) % 5
    flat = images.swapaxes(1, 2).reshape(20, -1)
    if name == "a.npz":
        np.savez(tmp_path / name, X=images.swapaxes(1, 2), y=labels)
    else:
        np.savetxt(tmp_path / name, np.column_stack([labels, flat]), "%d", ",", header="label,...", comments="# ")
    data = read_local(tmp_path / name, Reading(image=(1, 28, 20), transpose=True, label_column=None))
    np.testing.assert_array_equal(data.images[:, 0], images)


@pytest.mark.parametrize(("name", "turned"), [("emnist-letters", True), ("myEMNIST", True), ("somemnist", False)])
def test_a_name_that_turns_images_is_a_word_of_its_own(tmp_path, name, turned):
    images = np.random.RandomState(0).randint(0, 256, (6, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / f"{name}.npz", X=images, y=np.array(list("abcabc")))
    data = read_local(tmp_path / f"{name}.npz")
    np.testing.assert_array_equal(data.images[:, 0], images.swapaxes(1, 2) if turned else images)


def test_long_lines_and_words_like_numbers(tmp_path):
    path = tmp_path / "long.csv"
    path.write_bytes(b"label,a,b,c,d\n0,1,2,3,4\n1," + b"1," * 2**20)
    with pytest.raises(InputError, match=r"line 3 has more than 2,097,152 bytes"):
        read_local(path)
    path.write_text("label,a,b,c,d\n" + "1_0,1,2,3,4\n2_0,1,2,3,99\n" * 3)
    assert read_local(path).class_names == ("1_0", "2_0")


def test_an_empty_part_is_reported(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=IMAGES[:4], y_train=np.arange(4), x_test=IMAGES[:0], y_test=np.arange(0))
    data = read_local(tmp_path / "a.npz")
    assert (sizes(data), codes(data)) == ((4, 0, 0), ["empty_part"])
