"""Arrays in an npz: what is read, what is refused, and that no pickle ever runs."""

import io
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.data.content import Reading
from ziffern.data.sources.local import AUTOMATIC, read_local
from ziffern.errors import InputError

IMAGES = np.arange(5 * 784).astype(np.uint8).reshape(5, 28, 28)
LABELS = np.array([2, 0, 9, 9, 1])
GOOD = {"x_train": IMAGES[:3], "y_train": LABELS[:3], "x_test": IMAGES[3:], "y_test": LABELS[3:]}


def npz(arrays, save=np.savez):
    raw = io.BytesIO()
    save(raw, **arrays)
    return raw.getvalue()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("npz") / "mnist.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["u1", ">i8", "u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_both_parts_come_back(path, save, dtype, order):
    arrays = {
        key: value.astype(dtype) if key[0] == "y" else np.array(value, order=order) for key, value in GOOD.items()
    }
    path.write_bytes(npz(arrays, save))
    data = read_local(path)
    np.testing.assert_array_equal(data.images, IMAGES[:, None])
    np.testing.assert_array_equal(data.labels, LABELS)
    assert (data.name, data.train_size, data.images.flags.writeable) == ("mnist", 3, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y_train": None}, ["no pair of training images and labels", "(x_test, x_train, y_test)", "np.savez("]),
        ({"images_train": IMAGES}, ["more than one array may be the same (images_train, x_train)"]),
        ({"x_train": IMAGES[:3, :, :27].reshape(3, -1)}, ["x_train", "uint8 (3, 756)", "square"]),
        ({"x_train": np.zeros((3, 28, 28, 2), np.uint8)}, ["(3, 28, 28, 2)", "1, 3 or 4 channels"]),
        ({"x_train": np.zeros((3, 28, 28), complex)}, ["complex128", "expected numbers"]),
        ({"x_train": np.uint8(7)}, ["x_train", "uint8 ()"]),
        ({"x_train": np.full((3, 28, 28), np.nan)}, ["x_train", "NaN", "np.nan_to_num"]),
        ({"y_train": LABELS[:2]}, ["y_train", "2 labels", "3 images"]),
        ({"x_train": IMAGES[:3].transpose(1, 2, 0)}, ["3 labels", "28 images", "first axis"]),
        ({"y_train": np.full((3, 4), 0.25)}, ["y_train", "float64 (3, 4)", "one-hot"]),
        ({"y_train": np.ones((3, 4), bool)}, ["y_train", "bool (3, 4)", "one-hot"]),
        ({"y_train": LABELS[:3] + 0.5}, ["float64", "whole number"]),
        ({"y_train": np.array([b"\xff"] * 3)}, ["y_train", "not text"]),
        ({"y_train": LABELS[:3] - 1}, ["label -1", "correct it"]),
        ({"x_train": np.array([{"a": 1}], object)}, ["x_train", "Python objects", "never loaded"]),
        ({"y_train": LABELS[:3].astype(object)}, ["y_train", "never loaded", ".astype(str)"]),
        ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, ["training part has 0"]),
    ],
)
def test_bad_arrays_are_refused(path, change, words):
    path.write_bytes(npz({key: value for key, value in (GOOD | change).items() if value is not None}))
    with pytest.raises(InputError) as error:
        read_local(path)
    assert str(error.value).isprintable()
    assert all(word in str(error.value) for word in words), error.value


# As people save them

DIGITS = np.arange(30) % 10
PIXELS = np.random.RandomState(0).randint(0, 256, (30, 28, 28)).astype(np.uint8)
FIRST, MIDDLE, LAST = slice(0, 10), slice(10, 20), slice(20, 30)
ONE_HOT = np.eye(10)[DIGITS]


def read(path, reading=AUTOMATIC, **arrays):
    path.write_bytes(npz(arrays))
    return read_local(path, reading)


def notes(data):
    return [str(note) for note in data.notes]


@pytest.mark.parametrize(
    "keys",
    [
        "x_train y_train x_val y_val x_test y_test",
        "X_train Y_train X_valid Y_valid X_TEST Y_TEST",
        "train_images train_labels val_images val_labels test_images test_labels",
        "trainX trainY valX valY testX testY",
        "xtrain ytrain xval yval xtest ytest",
        "train/x train/y val/x val/y test/x test/y",
        "images_training targets_training images_validation targets_validation images_testing targets_testing",
    ],
)
def test_three_parts_are_recognized_by_their_names(path, keys):
    parts = [array[part] for part in (FIRST, MIDDLE, LAST) for array in (PIXELS, DIGITS)]
    data = read(path, **dict(zip(keys.split(), parts, strict=True)))
    np.testing.assert_array_equal(data.images[:, 0], PIXELS)
    assert data.labels.tolist() == DIGITS.tolist()
    assert (data.train_size, data.val_size, data.test_size, data.notes) == (10, 10, 10, ())


@pytest.mark.parametrize("keys", ["x_train y_train", "X y", "x Y", "images labels", "data target", "Images Labels"])
def test_without_a_test_part_all_is_training(path, keys):
    data = read(path, **dict(zip(keys.split(), (PIXELS, DIGITS), strict=True)))
    np.testing.assert_array_equal(data.images[:, 0], PIXELS)
    assert (data.train_size, data.labels.tolist(), data.notes) == (30, DIGITS.tolist(), ())


@pytest.mark.parametrize(
    ("arrays", "sizes"),
    [
        ([PIXELS, DIGITS], (30, 0)),
        ([DIGITS, PIXELS], (30, 0)),
        ([ONE_HOT, PIXELS.reshape(30, 784)], (30, 0)),
        ([PIXELS[:20], DIGITS[:20], PIXELS[LAST], DIGITS[LAST]], (20, 10)),
        ([PIXELS[:20], PIXELS[LAST], DIGITS[:20], DIGITS[LAST]], (20, 10)),
    ],
)
def test_arrays_without_names_are_recognized_by_their_shapes(path, arrays, sizes):
    path.write_bytes(npz({}, lambda raw: np.savez(raw, *arrays)))
    data = read_local(path)
    np.testing.assert_array_equal(data.images[:, 0], PIXELS)
    assert (data.labels.tolist(), data.train_size, data.test_size) == (DIGITS.tolist(), *sizes)
    assert "recognized by their shapes: arr_" in notes(data)[0]


@pytest.mark.parametrize("arrays", [[PIXELS], [PIXELS, DIGITS, DIGITS], [PIXELS, DIGITS[:9]], [PIXELS, np.int64(3)]])
def test_arrays_whose_shapes_decide_nothing_are_refused(path, arrays):
    path.write_bytes(npz({}, lambda raw: np.savez(raw, *arrays)))
    with pytest.raises(InputError, match=r"no pair of training images and labels among its arrays \(arr_0"):
        read_local(path)


@pytest.mark.parametrize(
    "images",
    [
        PIXELS[..., None],
        PIXELS[:, None],
        PIXELS.reshape(30, 784),
        PIXELS.reshape(30, 784, 1),
        PIXELS.astype(np.int64),
        PIXELS.astype(np.uint16),
        PIXELS.astype(np.float16),
        PIXELS * 0.999,
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32),
        np.asfortranarray(PIXELS.astype(">f4")),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_each_shape_and_type_gives_the_same_images(path, images):
    np.testing.assert_array_equal(read(path, x=images, y=DIGITS).images[:, 0], PIXELS)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)])
def test_color_has_its_channels_first_or_last(path, axes):
    color = np.stack([PIXELS, PIXELS // 2, 255 - PIXELS], axis=-1)
    data = read(path, Reading(image=(3, 28, 28)), x=color.transpose(axes), y=DIGITS)
    np.testing.assert_array_equal(data.images, color.transpose(0, 3, 1, 2))


def test_rows_have_the_size_that_is_asked_for(path):
    wide = PIXELS[:, :20, :16]
    data = read(path, Reading(image=(1, 20, 16)), x=wide.reshape(30, -1), y=DIGITS)
    np.testing.assert_array_equal(data.images[:, 0], wide)


@pytest.mark.parametrize(
    ("images", "levels", "note"),
    [
        (PIXELS > 127, (PIXELS > 127) * 255, "x: values from false to true (bool) were scaled"),
        ((PIXELS > 127).astype(np.uint8), (PIXELS > 127) * 255, "x: values from 0 to 1 (uint8) were scaled"),
        (PIXELS // 16 / 1.0, PIXELS // 16 * 17, "x: values from 0.0 to 15.0 (float64) were scaled"),
        (PIXELS / 255, PIXELS, "x: values from 0.0 to 1.0 (float64) were scaled"),
        (PIXELS * 0.999, PIXELS, "x: values with fractions (float64) were rounded"),
        (PIXELS.reshape(30, -1), PIXELS, "x: the rows of 784 values were read as images of 28×28 pixels"),
    ],
)
def test_what_is_assumed_about_values_is_noted(path, images, levels, note):
    data = read(path, x=images, y=DIGITS)
    np.testing.assert_array_equal(data.images[:, 0], levels)
    assert len(data.notes) == 1
    assert notes(data)[0].startswith(note)


def test_a_dark_part_is_scaled_as_the_others_are(path):
    data = read(path, x_train=PIXELS[:20], y_train=DIGITS[:20], x_test=PIXELS[LAST] // 64, y_test=DIGITS[LAST])
    np.testing.assert_array_equal(data.images[20:, 0], PIXELS[LAST] // 64)


@pytest.mark.parametrize(
    "images",
    [PIXELS / 127.5 - 1, (PIXELS - np.float32(33.3)) / np.float32(78.6), PIXELS.astype(np.uint16) * 257],
    ids=["-1 to 1", "standardized", "16 bits"],
)
def test_another_range_is_refused_and_the_fix_works(path, images):
    with pytest.raises(InputError, match=r"expected 0 to 255 or 0 to 1: .* save \(x - low\)") as error:
        read(path, x=images, y=DIGITS)
    low, high = map(float, re.search(r"low = (\S+) and high = (\S+)$", str(error.value)).groups())
    np.testing.assert_allclose(read(path, x=(images - low) / (high - low), y=DIGITS).images[:, 0], PIXELS, atol=1)


@pytest.mark.parametrize(
    "labels",
    [
        DIGITS[:, None].astype(np.uint8),
        DIGITS.astype(float),
        DIGITS.astype(str),
        DIGITS.astype("S")[:, None],
        ONE_HOT,
        ONE_HOT.astype(np.float32),
        ONE_HOT.astype(bool),
        ONE_HOT.astype(np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_each_form_of_labels_gives_the_same_classes(path, labels):
    data = read(path, x=PIXELS, y=labels)
    assert (data.labels.tolist(), data.class_names) == (DIGITS.tolist(), tuple("0123456789"))
    assert notes(data) == (["y: one column per class (one-hot), of 10 classes"] if labels.size == 300 else [])


def test_an_assumption_about_all_parts_is_one_note(path):
    rows = PIXELS.reshape(30, -1) / 255
    data = read(path, x_train=rows[:20], y_train=ONE_HOT[:20], x_test=rows[LAST], y_test=ONE_HOT[LAST])
    assert [note.partition(":")[0] for note in notes(data)] == ["x_train, x_test", "x_train, x_test", "y_train, y_test"]


def test_a_class_without_an_image_is_kept_in_one_hot(path):
    assert len(read(path, x=PIXELS, y=np.eye(12)[DIGITS]).class_names) == 12


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_may_be_words(path, kind):
    words = np.array(["Käse", "Brot"])[np.arange(30) % 2]
    data = read(path, x=PIXELS, y=np.char.encode(words, "utf-8") if kind == "S" else words)
    assert (data.class_names, data.labels[:2].tolist()) == (("Brot", "Käse"), [1, 0])


def test_letters_from_1_to_26_keep_their_numbers(path):
    labels = np.arange(30) % 26 + 1
    data = read(path, x=PIXELS, y=labels)
    assert (data.labels.tolist(), data.class_names[0], len(data.class_names)) == ((labels - 1).tolist(), "1", 26)
    assert "labels run from 1 to 26" in notes(data)[0]


def test_what_is_not_used_is_noted(path):
    data = read(path, x=PIXELS, y=DIGITS, x_test=PIXELS, history=np.ones(3), label_names=np.array(["a"]))
    assert (data.train_size, notes(data)) == (30, ["3 arrays were left out: history, label_names, x_test"])


def test_two_equal_arrays_are_one(path):
    small = PIXELS[:, :8, :8]  # as in scikit-learn's digits
    arrays = {"data": small.reshape(30, 64), "images": small, "target": DIGITS, "target_names": np.arange(10)}
    data = read(path, Reading(image=(1, 8, 8)), **arrays)
    np.testing.assert_array_equal(data.images[:, 0], small)
    assert notes(data) == ["2 arrays were left out: data, target_names"]


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("wrapper", ["", "mnist/"])
def test_a_lone_npz_may_be_in_a_folder_or_zip(tmp_path, form, wrapper):
    files = {f"{wrapper}mnist.npz": npz(GOOD), f"{wrapper}readme.md": b"hello"}
    place = tmp_path / ("data.zip" if form == "zip" else "data")
    if form == "zip":
        with zipfile.ZipFile(place, "w") as target:
            for name, raw in files.items():
                target.writestr(name, raw)
    else:
        (place / wrapper).mkdir(parents=True)
        for name, raw in files.items():
            (place / name).write_bytes(raw)
    data = read_local(place)
    np.testing.assert_array_equal(data.images[:, 0], IMAGES)
    assert notes(data) == ["1 file was left out: readme.md"]


def test_arrays_may_be_files_of_a_folder(tmp_path):
    for name, array in {"X_train": PIXELS, "y_train": DIGITS, "weights": np.ones(3)}.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "readme.md").write_text("hello")
    data = read_local(tmp_path)
    np.testing.assert_array_equal(data.images[:, 0], PIXELS)
    assert notes(data) == ["1 array was left out: weights", "1 file was left out: readme.md"]


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("X_train", "Y_train")])
@pytest.mark.parametrize("wrapper", ["", "mnist"])
def test_arrays_may_be_files_in_folders_of_parts(tmp_path, names, wrapper):
    for part, rows in (("train", slice(20)), ("Test", slice(20, None))):
        (tmp_path / "data" / wrapper / part).mkdir(parents=True)
        for name, array in zip(names, (PIXELS, DIGITS), strict=True):
            file = f"{name.replace('train', part.lower())}.npy"
            np.save(tmp_path / "data" / wrapper / part / file, array[rows])
    data = read_local(tmp_path / "data")
    np.testing.assert_array_equal(data.images[:, 0], PIXELS)
    assert (data.train_size, data.test_size, data.labels.tolist()) == (20, 10, DIGITS.tolist())


def test_an_npz_in_a_zip_is_no_better_packed_than_one_alone(tmp_path):
    inner = npz({"x": np.zeros((200_000, 28, 28), np.uint8), "y": np.zeros(200_000)})
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("noise.bin", np.random.RandomState(0).bytes(2_000_000))  # so that the whole passes
        target.writestr("mnist.npz", inner)
    with pytest.raises(InputError, match=r"mnist\.npz: would unpack to .* \(a decompression bomb\?\)"):
        read_local(tmp_path / "bomb.zip")


def test_two_npz_are_refused(tmp_path):
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).write_bytes(npz(GOOD))
    with pytest.raises(InputError, match=r"2 \.npz files"):
        read_local(tmp_path)
    assert read_local(tmp_path / "a.npz").train_size == 3


def test_an_npz_per_part_is_read(tmp_path):
    for name, start in (("Train.npz", 0), ("valid.npz", 1), ("mnist_test.npz", 3)):
        (tmp_path / name).write_bytes(npz({"X": IMAGES[start : start + 2], "y": np.array([0, 1])}))
    data = read_local(tmp_path)
    assert (data.train_size, data.val_size, data.test_size) == (2, 2, 2)
    np.testing.assert_array_equal(data.images[:, 0], IMAGES[[0, 1, 1, 2, 3, 4]])


def test_arrays_without_images_are_refused(path):
    path.write_bytes(npz({"x_train": IMAGES[:0], "y_train": np.zeros(0, np.int64)}))
    with pytest.raises(InputError, match="no images"):
        read_local(path)


@pytest.mark.parametrize("old", [b"(3, 28, 28)", b"'|u1'", b"\x93NUMPY"])
def test_array_whose_header_lies_is_refused(path, old):
    lies = {b"(3, 28, 28)": b"(9, 99, 99)", b"'|u1'": b"'|z1'", b"\x93NUMPY": b"\x93NUMPX"}
    member = io.BytesIO()
    np.save(member, IMAGES[:3])
    with zipfile.ZipFile(path, "w") as target:
        for key in GOOD:
            target.writestr(f"{key}.npy", member.getvalue().replace(old, lies[old]))
    with pytest.raises(InputError, match=r"mnist\.npz:x_train\.npy: .*save it again"):
        read_local(path)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_bytes_load_or_raise_input_error(path, data):
    raw = bytearray(npz(GOOD))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[place] ^= data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw), len(raw) // 2, 30]))])
    message = ""
    try:
        read_local(path)
    except InputError as error:
        message = str(error)
    assert message.isprintable()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_array_header_loads_or_raises_input_error(data):
    from ziffern.data.formats.arrays import read_array
    from ziffern.data.formats.members import Member

    stream = io.BytesIO()
    np.save(stream, IMAGES[:1])
    raw = bytearray(stream.getvalue())
    for place in data.draw(st.lists(st.integers(0, 127), max_size=4)):
        raw[place] = data.draw(st.sampled_from(b"\0\1\2'(,)-0189<>|uifOSUVMc{}[]:\xff"))
    message = ""
    try:
        read_array(Member("x", len(raw), lambda: bytes(raw)))
    except InputError as error:
        message = str(error)
    assert message.isprintable()
