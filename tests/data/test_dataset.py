"""The description that every source yields: what it refuses, and what its fingerprint tells apart."""

import dataclasses

import numpy as np
import pytest

from ziffern.data.dataset import LabeledImages
from ziffern.errors import InputError
from ziffern.text.catalog import Message

IMAGES = np.arange(6 * 784).astype(np.uint8).reshape(6, 1, 28, 28)
LABELS = np.array([3, 0, 9, 1, 1, 4])
DIGITS = LabeledImages("tiny", IMAGES, LABELS, 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": IMAGES / 255}, ["float64 (6, 1, 28, 28)", "uint8 (N, C, H, W)", "0 to 255"]),
        ({"images": IMAGES.reshape(6, 784)}, ["uint8 (6, 784)", "(N, C, H, W)"]),
        ({"images": IMAGES[:, 0]}, ["(6, 28, 28)"]),
        ({"images": IMAGES[..., None]}, ["(6, 1, 28, 28, 1)"]),
        ({"labels": LABELS[:5]}, ["int64 (5,)", "int64 (6,)", "one label per image"]),
        ({"labels": LABELS[:, None]}, ["int64 (6, 1)", "int64 (6,)"]),
        ({"labels": LABELS.astype(np.int32)}, ["int32 (6,)", "int64"]),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, ["no images found"]),
        ({"labels": LABELS + 1}, ["label 10 ", "0 to 9", "data.num_classes=11"]),
        ({"labels": LABELS - 1}, ["label -1 ", "0 to 9", "correct"]),
        ({"class_names": ("no", "yes")}, ["label 9 ", "0 to 1", "data.num_classes=10"]),
        ({"train_size": 0}, ["training part has 0 of 6"]),
        ({"train_size": 7}, ["training part has 7 of 6"]),
    ],
)
def test_what_is_no_data_set_is_refused(change, words):
    with pytest.raises(InputError) as error:
        dataclasses.replace(DIGITS, **change)
    assert str(error.value).startswith("tiny: ")
    assert str(error.value).isprintable()
    assert all(word in str(error.value) for word in words), error.value


def test_length_and_a_data_set_without_test_part():
    assert len(DIGITS) == 6
    assert dataclasses.replace(DIGITS, train_size=6).train_size == 6


def test_fingerprint_is_that_of_the_content():
    copied = LabeledImages("other name", np.asfortranarray(IMAGES), LABELS.copy(), 4, note=Message("data.split.leak"))
    assert copied.fingerprint == DIGITS.fingerprint
    assert int(DIGITS.fingerprint, 16) < 16**16
    assert len(DIGITS.fingerprint) == 16
    assert DIGITS.fingerprint == "26b348b6869e45c9"  # frozen: runs compare by it


@pytest.mark.parametrize(
    "change",
    [
        {"images": IMAGES[::-1]},
        {"images": np.where(IMAGES == 7, np.uint8(8), IMAGES)},
        {"labels": LABELS[::-1].copy()},
        {"train_size": 5},
        {"class_names": tuple("abcdefghij")},
    ],
    ids=["order", "pixel", "labels", "division", "names"],
)
def test_fingerprint_tells_apart(change):
    assert dataclasses.replace(DIGITS, **change).fingerprint != DIGITS.fingerprint
