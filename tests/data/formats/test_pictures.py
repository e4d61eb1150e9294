"""Folders of pictures: how classes are numbered, what counts as a digit, and errors that name the file."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ziffern.data.formats.members import Member
from ziffern.data.formats.pictures import read_pictures
from ziffern.errors import InputError

IMAGES = np.arange(4 * 784).astype(np.uint8).reshape(4, 28, 28)


def encode(pixels, form="PNG", mode=None):
    raw = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(raw, form)
    return raw.getvalue()


DIGIT = encode(IMAGES[0])


def members(*paths, raw=DIGIT, **more):
    files = dict.fromkeys(paths, raw) | more
    return {path: Member(f"set/{path}", len(content), lambda c=content: c) for path, content in files.items()}


def refusal(found, num_classes=10):
    with pytest.raises(InputError) as error:
        read_pictures(found, num_classes)
    assert str(error.value).isprintable()
    return str(error.value)


def test_integer_names_are_labels_and_order_is_by_path():
    files = {
        "train/7/b.png": IMAGES[1],
        "train/10/a.png": IMAGES[0],
        "test/3/d.png": IMAGES[3],
        "train/7/a.png": IMAGES[2],
    }
    (train, test), names = read_pictures(members(**{k: encode(v) for k, v in files.items()}), 12)
    assert train.labels.tolist() == [10, 7, 7]
    np.testing.assert_array_equal(train.images, IMAGES[[0, 2, 1], None])
    np.testing.assert_array_equal(test.images, IMAGES[[3], None])
    assert (test.labels.tolist(), names) == ([3], tuple(str(i) for i in range(12)))


def test_words_are_sorted_and_numbered_over_both_parts():
    (train, test), names = read_pictures(members("train/zwei/a.png", "train/eins/a.png", "test/null/a.png"), 3)
    assert names == ("eins", "null", "zwei")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 2], [1])


def test_without_test_folder_there_is_no_test_part():
    assert len(read_pictures(members("train/0/a.png"), 10)[0]) == 1


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "TIFF", "PPM", "JPEG"])
def test_every_format_is_read(form):
    flat = np.full((28, 28), 77, np.uint8)  # JPEG keeps it
    (train,), _ = read_pictures(members("train/0/a", raw=encode(flat, form)), 10)
    np.testing.assert_array_equal(train.images[0, 0], flat)


def test_black_and_white_becomes_0_and_255():
    (train,), _ = read_pictures(members("train/0/a", raw=encode(IMAGES[0], mode="1")), 10)
    assert set(np.unique(train.images)) == {0, 255}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (encode(IMAGES[0][:20]), ["28×20", "28×28", "resize"]),
        (encode(IMAGES[0], mode="RGB"), ["mode RGB", "mode L"]),
        (encode(np.dstack([IMAGES[0], IMAGES[1], IMAGES[2]]), "GIF"), ["mode P", "mode L"]),
        (encode(IMAGES[0], "WEBP", mode="RGB"), ["mode RGB"]),
        (encode(np.zeros((28, 28), np.uint16)), ["mode I;16"]),
        (encode(IMAGES[0], "PCX"), ["not a picture", "PNG"]),
        (b"label,pixel0", ["not a picture"]),
        (b"", ["not a picture"]),
        (DIGIT[:30], ["damaged"]),
        (DIGIT[: len(DIGIT) // 2], ["damaged"]),
        (
            encode(np.zeros((1, 1), np.uint8)).replace(b"\0\0\0\1\0\0\0\1", b"\0\0\xff\xff\0\0\xff\xff"),
            ["damaged"],
        ),
        (DIGIT + bytes(2**20), ["1,048,576", "scale"]),
    ],
)
def test_bad_picture_is_named(raw, words):
    message = refusal(members("train/3/b.png", raw=raw))
    assert message.startswith("set/train/3/b.png: ")
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["train/a.png"], ["set/train/a.png", "train/<class>/<file>"]),
        (["train/0/0/a.png"], ["set/train/0/0/a.png", "move it"]),
        (["train/0/a.zip"], ["set/train/0/a.zip", "archive"]),
        (["train/0/a.png", "train/misc/a.png"], ["set/train/misc", "'0'", "'misc'"]),
        (["train/0/a.png", "test/10/a.png"], ["set/test/10", "label 10", "0 to 9", "data.num_classes=11"]),
        (["train/-1/a.png"], ["set/train/-1", "label -1", "correct it"]),
        (
            [f"train/{name}/a.png" for name in "abcdefghijk"],
            ["11 class folders", "10", "data.num_classes=11"],
        ),
    ],
)
def test_bad_folders_are_named(paths, words):
    message = refusal(members(*paths))
    assert all(word in message for word in words), message


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_bytes_load_or_raise_input_error(data):
    form = data.draw(st.sampled_from(["PNG", "BMP", "GIF", "TIFF", "PPM", "JPEG", "WEBP"]))
    raw = bytearray(encode(IMAGES[0], form))
    for place in data.draw(st.lists(st.integers(0, min(99, len(raw) - 1)), max_size=4)):
        raw[place] ^= data.draw(st.integers(0, 255))
    raw = bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw), len(raw) // 2, 30]))])
    message = ""
    try:
        read_pictures(members("train/0/a.png", raw=raw), 10)
    except InputError as error:
        message = str(error)
    assert message.isprintable()
