"""IDX files: what is read, what is refused, and that nothing else can happen."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.data.content import Reading
from ziffern.data.formats.idx import read_idx, read_idx_pair
from ziffern.data.formats.members import Member
from ziffern.data.sources.local import read_local
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
    part = read_idx_pair(member(pack(idx(IMAGES))), member(pack(idx(LABELS))))
    np.testing.assert_array_equal(part.images, IMAGES)
    assert part.labels.tolist() == [2, 0, 9]


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


def test_files_of_different_lengths_are_refused():
    with pytest.raises(InputError, match=r"file: 3 labels for 2 images, .* use two files of the same data set"):
        read_idx_pair(member(idx(IMAGES[:2])), member(idx(LABELS)))


# Names, as MNIST, EMNIST, Kaggle and 7-Zip write them


def files(pattern="{part}-{kind}-idx{axes}-ubyte", parts=("train", "t10k"), pack=bytes, shift=0):
    """IDX files by path; the images of each part differ, so that parts cannot be confused."""
    raw = {}
    for place, part in enumerate(parts):
        for kind, axes, array in (("images", 3, IMAGES + np.uint8(place + shift)), ("labels", 1, LABELS)):
            raw[pattern.format(part=part, kind=kind, axes=axes)] = pack(idx(array))
    return raw


def lay(raw, folder):
    for path, content in raw.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def refusal(folder):
    with pytest.raises(InputError) as error:
        read_local(folder)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("wrapper", ["", "raw/", "MNIST/raw/", "some folder/MNIST/raw/"])
@pytest.mark.parametrize("test", ["t10k", "test"])
@pytest.mark.parametrize(
    "pattern",
    [
        "{part}-{kind}-idx{axes}-ubyte",
        "{part}-{kind}.idx{axes}-ubyte",
        "{part}-{kind}-idx{axes}-ubyte.gz",
        "{part}-{kind}-idx{axes}-ubyte/{part}-{kind}.idx{axes}-ubyte",
        "{part}-{kind}.idx{axes}-ubyte/{part}-{kind}-idx{axes}-ubyte",
        "{part}/{part}-{kind}-idx{axes}-ubyte",
        "{part}/{kind}-idx{axes}-ubyte",
        "emnist-balanced-{part}-{kind}-idx{axes}-ubyte",
        "My_{part}_{kind}.idx{axes}",
    ],
)
def test_usual_names_are_recognized(tmp_path, wrapper, test, pattern):
    pack = gzip.compress if pattern.endswith(".gz") else bytes
    data = read_local(lay(files(wrapper + pattern, ("train", test), pack), tmp_path), Reading(transpose=False))
    np.testing.assert_array_equal(data.images[:, 0], np.concatenate([IMAGES, IMAGES + np.uint8(1)]))
    assert (data.train_size, data.val_size, data.notes) == (3, 0, ())


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_a_validation_part_validates(tmp_path, val):
    data = read_local(lay(files(parts=("train", val, "test")), tmp_path))
    np.testing.assert_array_equal(data.images[3:6, 0], IMAGES + np.uint8(1))
    assert (data.train_size, data.val_size, data.test_size) == (3, 3, 3)


def test_without_a_test_part_all_is_training(tmp_path):
    assert read_local(lay(files(parts=("train",)), tmp_path)).train_size == 3


def test_a_plain_file_is_preferred_and_the_other_is_noted(tmp_path):
    lay(files("{part}-{kind}-idx{axes}-ubyte.gz", pack=gzip.compress, shift=9), tmp_path)
    lay(files() | {"readme.md": b""}, tmp_path)
    data = read_local(tmp_path)
    np.testing.assert_array_equal(data.images[:3, 0], IMAGES)
    assert [str(note) for note in data.notes] == ["5 files were left out, such as readme.md"]


def test_a_file_beside_its_unpacked_folder_is_read_once(tmp_path):
    nested = "{part}-{kind}-idx{axes}-ubyte/{part}-{kind}-idx{axes}-ubyte"
    lay(files(nested, shift=9) | files("{part}-{kind}.idx{axes}-ubyte"), tmp_path)  # as on Kaggle
    data = read_local(tmp_path)
    np.testing.assert_array_equal(data.images[:3, 0], IMAGES)
    assert len(data.notes) == 1


def test_two_data_sets_are_refused_and_the_fix_works(tmp_path):
    for name in ("digits", "letters"):
        lay(files(f"emnist-{name}-" + "{part}-{kind}-idx{axes}-ubyte"), tmp_path)
    message = refusal(tmp_path)
    assert "IDX files of 2 data sets (with emnist-digits-t" in message
    assert "move the files of one to a folder of their own" in message
    (tmp_path / "one").mkdir()
    for path in tmp_path.glob("emnist-letters-*"):
        path.rename(tmp_path / "one" / path.name)
    assert read_local(tmp_path / "one").train_size == 3


def test_a_missing_file_is_named(tmp_path):
    lay(files(parts=("train",)) | {"test-images-idx3-ubyte": idx(IMAGES)}, tmp_path)
    assert refusal(tmp_path).startswith(f"{tmp_path}: the IDX file of the test labels is missing")
    lay({"test-labels-idx1-ubyte": idx(LABELS)}, tmp_path)
    assert read_local(tmp_path).test_size == 3


def test_letters_from_1_to_26_keep_their_numbers(tmp_path):
    labels = np.arange(1, 27, dtype=np.uint8)
    images = np.resize(IMAGES, (26, 28, 28))
    lay({"train-images-idx3-ubyte": idx(images), "train-labels-idx1-ubyte": idx(labels)}, tmp_path)
    data = read_local(tmp_path)
    assert (data.labels.tolist(), data.class_names[0], len(data.class_names)) == (list(range(26)), "1", 26)
    assert "labels run from 1 to 26" in str(data.notes[0])


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
