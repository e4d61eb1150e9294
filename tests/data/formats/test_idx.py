"""IDX files: what is read, what is refused, and that nothing else can happen."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.data.formats.idx import find_idx, read_idx, read_idx_files, read_idx_pair
from ziffern.data.formats.members import Member
from ziffern.errors import InputError

IMAGES = np.arange(3 * 784, dtype=np.int64).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([2, 0, 9], np.uint8)


def idx(array, *, magic=None, shape=None):
    shape = array.shape if shape is None else shape
    magic = bytes([0, 0, 8, len(shape)]) if magic is None else magic
    return magic + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def member(raw, label="file"):
    return Member(label, len(raw), lambda: raw)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_images_and_labels_come_back(pack):
    part = read_idx_pair(member(pack(idx(IMAGES))), member(pack(idx(LABELS))), 10)
    np.testing.assert_array_equal(part.images, IMAGES)
    assert part.labels.tolist() == [2, 0, 9]
    assert part.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", ["starts with 0x", "0x00000803"]),
        (b"<html>not found</html>", ["0x3c68746d", "download"]),
        (idx(LABELS), ["0x00000801", "0x00000803"]),
        (idx(IMAGES, magic=b"\0\0\x0d\x03"), ["0x00000d03"]),  # float32
        (idx(IMAGES)[:9], ["header has 9 bytes", "16"]),
        (idx(IMAGES)[:-1], ["2,351 follow", "declares 2,352"]),
        (idx(IMAGES) + b"x", ["declares 2,352", "more follow", "download"]),
        (idx(IMAGES, shape=(2**32 - 1, 28, 28)), ["4,294,967,295 items", "10,000,000"]),
        (idx(IMAGES, shape=(9, 2**32 - 1, 2**32 - 1)), ["2,352 follow", "declares 166,"]),
        (gzip.compress(idx(IMAGES))[:-9], ["gzip", "damaged"]),
        (gzip.compress(idx(IMAGES))[:-8] + b"\0" * 8, ["gzip", "CRC"]),
        (gzip.compress(idx(IMAGES) + b"x"), ["declares 2,352", "more follow"]),
        (gzip.compress(idx(IMAGES, shape=(10**7, 2**16, 2**16))), ["would unpack", "4,294,967,296"]),
        (gzip.compress(idx(IMAGES, shape=(10**6, 28, 28))), ["bomb", "100 times"]),
    ],
)
def test_bad_file_is_refused(raw, words):
    with pytest.raises(InputError) as error:
        read_idx(raw, "digits.gz", 3)
    assert str(error.value).startswith("digits.gz: ")
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


def test_gzip_bomb_is_not_unpacked():
    bomb = gzip.compress(idx(IMAGES) + bytes(50 * 10**6))
    with pytest.raises(InputError, match="declares 2,352 bytes, but more follow"):
        read_idx(bomb, "bomb", 3)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (IMAGES[:2], LABELS, ["3 labels for 2 images"]),
        (IMAGES, LABELS + np.uint8(1), ["label 10", "0 to 9", "num_classes=11"]),
    ],
)
def test_bad_pair_is_refused(images, labels, words):
    with pytest.raises(InputError) as error:
        read_idx_pair(member(idx(images)), member(idx(labels)), 10)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("folder", ["", "raw/", "MNIST/raw/"])
@pytest.mark.parametrize("style", ["{}-idx{}-ubyte", "{}.idx{}-ubyte", "{}-idx{}-ubyte.gz"])
@pytest.mark.parametrize("test", ["t10k", "test"])
def test_usual_names_are_found(folder, style, test):
    names = [style.format(f"{p}-{k}", n) for p in ("train", test) for k, n in (("images", 3), ("labels", 1))]
    members = {folder + name: member(b"", name) for name in names}
    found = find_idx(members | {"readme.txt": member(b"")})
    roles = ["train_images", "train_labels", "test_images", "test_labels"]
    assert [found[role].label for role in roles] == names


def test_plain_file_wins_over_its_gzip():
    names = ["train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"]
    assert find_idx({name: member(b"", name) for name in names})["train_images"].label == names[1]


def test_missing_file_is_named():
    files = {"train-images-idx3-ubyte": member(idx(IMAGES)), "train-labels-idx1-ubyte": member(idx(LABELS))}
    assert len(read_idx_files(files, 10, None, "here")[0]) == 1
    with pytest.raises(InputError, match="here: the IDX file of the test labels is missing"):
        read_idx_files(files | {"test-images-idx3-ubyte": member(idx(IMAGES))}, 10, None, "here")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data(), st.booleans())
def test_any_bytes_load_or_raise_input_error(data, packed):
    raw = bytearray(gzip.compress(idx(IMAGES), mtime=0) if packed else idx(IMAGES))
    for place in data.draw(st.lists(st.integers(0, min(40, len(raw) - 1)), max_size=3)):
        raw[place] ^= data.draw(st.integers(0, 255))
    raw = bytes(raw[: data.draw(st.integers(0, len(raw)))]) + data.draw(st.binary(max_size=9))
    message = ""
    try:
        read_idx(raw, "fuzz", 3)
    except InputError as error:
        message = str(error)
    assert message.isprintable()
