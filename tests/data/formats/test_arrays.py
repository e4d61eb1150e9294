"""Keras' mnist.npz: what is read, what is refused, and that no pickle ever runs."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.data.sources.local import read_local
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
        ({"y_test": None}, ["y_test is missing", "x_train.npy"]),
        ({"x_train": IMAGES[:3] / 255}, ["x_train", "float64 (3, 28, 28)", "uint8 (N, H, W)"]),
        ({"x_train": IMAGES[:3].reshape(3, 784)}, ["(3, 784)", "(N, H, W)"]),
        ({"x_test": IMAGES[3:, :20]}, ["mnist: images are 1×20×28", "expected 1×28×28", "data.image=[1, 20, 28]"]),
        ({"x_train": np.uint8(7)}, ["x_train", "uint8 ()"]),
        ({"y_train": LABELS[:2]}, ["y_train", "(2,)", "(3,)"]),
        ({"y_train": LABELS[:3, None]}, ["(3, 1)"]),
        ({"y_train": LABELS[:3] / 1}, ["float64", "integers"]),
        ({"y_train": LABELS[:3] + 1}, ["y_train", "label 10", "0 to 9", "data.num_classes=11"]),
        ({"y_train": LABELS[:3] - 1}, ["label -1", "correct it"]),
        ({"x_train": np.array([{"a": 1}], object)}, ["x_train", "objects", "only numbers"]),
        ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, ["training part has 0"]),
    ],
)
def test_bad_arrays_are_refused(path, change, words):
    path.write_bytes(npz({key: value for key, value in (GOOD | change).items() if value is not None}))
    with pytest.raises(InputError) as error:
        read_local(path)
    assert str(error.value).isprintable()
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("old", [b"(3, 28, 28)", b"'|u1'", b"\x93NUMPY"])
def test_array_whose_header_lies_is_refused(path, old):
    import zipfile

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
