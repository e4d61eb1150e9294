"""Transposed digits are turned upright, and nothing else is."""

from dataclasses import replace

import numpy as np
import pytest

from ziffern.data.content import Part, Reading
from ziffern.data.embedded import embedded_digits
from ziffern.data.orientation import is_transposed, upright
from ziffern.data.sources.local import read_local

IMAGES, LABELS = (array[::10] for array in embedded_digits())  # 50 per class
TURNED = IMAGES.swapaxes(2, 3)
NAMES = tuple("0123456789")
DRAWN = np.random.RandomState(0)


def parts(images, labels=LABELS, where=""):
    return {"train": Part(np.ascontiguousarray(images), labels, where)}


def answer(images, labels=LABELS, names=NAMES):
    return is_transposed(parts(images, labels), names)


def of_classes(*classes):
    """Return transposed images of these digits, their labels from 0, and the class names."""
    chosen = np.isin(LABELS, classes)
    return TURNED[chosen], np.searchsorted(classes, LABELS[chosen]), tuple(map(str, classes))


def test_digits_show_their_orientation():
    assert answer(IMAGES) is False
    assert answer(TURNED) is True


@pytest.mark.parametrize(
    "change",
    [
        lambda images: np.roll(images, (2, -2), (2, 3)),
        lambda images: np.clip(images + DRAWN.normal(0, 40, images.shape), 0, 255).astype(np.uint8),
        lambda images: np.repeat(images, 3, axis=1),
        lambda images: np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2))),
        lambda images: ((images > 127) * 255).astype(np.uint8),
    ],
    ids=["shifted", "noisy", "color", "32×32", "black and white"],
)
def test_they_show_it_in_other_pictures_too(change):
    assert answer(change(IMAGES)) is False
    assert answer(change(TURNED)) is True


@pytest.mark.parametrize("per_class", [2, 3, 5])
def test_few_images_are_never_turned_the_wrong_way(per_class):
    right = 0
    for seed in range(10):
        drawn = np.random.RandomState(seed).rand(len(LABELS))
        few = np.concatenate([np.flatnonzero(d == LABELS)[drawn[d == LABELS].argsort()[:per_class]] for d in range(10)])
        assert answer(IMAGES[few], LABELS[few]) is not True
        assert answer(TURNED[few], LABELS[few]) is not False
        right += answer(TURNED[few], LABELS[few]) is True
    assert right >= 5


def test_one_image_per_class_decides_nothing():
    first = np.unique(LABELS, return_index=True)[1]
    assert answer(TURNED[first], LABELS[first]) is None


@pytest.mark.parametrize("classes", [(0, 1), (0, 1, 8), (1, 7), (3, 8)])
def test_few_classes_decide_nothing(classes):
    assert answer(*of_classes(*classes)) is None


def test_some_classes_are_enough():
    assert answer(*of_classes(2, 3, 4, 5)) is True


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_other_orientations_are_left_alone(turns, mirrored):
    images = np.rot90(TURNED if mirrored else IMAGES, turns, axes=(2, 3))
    assert answer(images) is None


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (TURNED, DRAWN.permutation(LABELS)),
        (TURNED, (LABELS + 1) % 10),
        (255 - TURNED, LABELS),
        (DRAWN.randint(0, 256, IMAGES.shape).astype(np.uint8), LABELS),
        (np.zeros_like(IMAGES), LABELS),
        (np.stack([DRAWN.randint(0, 256, (1, 28, 28)) for _ in range(10)]).astype(np.uint8)[LABELS], LABELS),
    ],
    ids=["mixed labels", "shifted labels", "inverted", "noise", "black", "ten other pictures"],
)
def test_what_are_no_digits_is_left_alone(images, labels):
    assert answer(images, labels) is None


def test_a_turn_is_noted_and_covers_all_parts():
    first, last = slice(None, None, 2), slice(1, None, 2)
    split = {"train": Part(TURNED[first], LABELS[first]), "test": Part(TURNED[last], LABELS[last])}
    turned, notes = upright(split, NAMES, None, "digits.npz")
    np.testing.assert_array_equal(turned["train"].images, IMAGES[first])
    np.testing.assert_array_equal(turned["test"].images, IMAGES[last])
    assert [note.code for note in notes] == ["data.note.transposed_digits"]
    assert "data.transpose=false" in str(notes[0])


@pytest.mark.parametrize(("setting", "images"), [(True, IMAGES), (False, TURNED)])
def test_the_setting_is_honored_exactly(setting, images):
    turned, notes = upright(parts(images), NAMES, setting, "emnist.npz")
    np.testing.assert_array_equal(turned["train"].images, images.swapaxes(2, 3) if setting else images)
    assert [note.code for note in notes] == (["data.note.transposed_setting"] if setting else [])


@pytest.mark.parametrize(
    ("label", "where", "is_turned"),
    [
        ("data/EMNIST/letters.npz", "", True),
        ("data", "data/emnist-letters-train-labels-idx1-ubyte", True),
        ("data/mnist.npz", "", False),
        ("emnist-project/of/my/own/letters", "", False),
    ],
)
def test_letters_are_turned_by_their_names(label, where, is_turned):
    letters = tuple("abcdefghij")
    turned, notes = upright(parts(IMAGES, where=where), letters, None, label)
    np.testing.assert_array_equal(turned["train"].images, TURNED if is_turned else IMAGES)
    assert [note.code for note in notes] == (["data.note.transposed_name"] if is_turned else [])


def test_upright_digits_are_left_alone_whatever_their_name():
    turned, notes = upright(parts(IMAGES), NAMES, None, "emnist.npz")
    assert turned["train"].images is not TURNED
    np.testing.assert_array_equal(turned["train"].images, IMAGES)
    assert notes == []


@pytest.mark.parametrize("image", [(1, 28, 24), (1, 20, 30)])
@pytest.mark.parametrize("transpose", [True, None])
def test_images_that_are_not_square_are_turned_and_resized_once(tmp_path, image, transpose):
    for name, images in (("turned", TURNED), ("upright", IMAGES)):
        np.savez(tmp_path / f"{name}.npz", x_train=images, y_train=LABELS)
    reading = Reading(image=image, prepare="resize")
    turned = read_local(tmp_path / "turned.npz", replace(reading, transpose=transpose))
    plain = read_local(tmp_path / "upright.npz", reading)
    assert np.abs(turned.images.astype(int) - plain.images).max() <= 1  # rounding
    assert "data.note.converted" not in [note.code for note in turned.notes]
