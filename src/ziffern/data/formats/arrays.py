"""Read the four arrays of Keras' mnist.npz: x_train, y_train, x_test, y_test.

Decisions: an npz is a ZIP, so it passes the archive's checks first; of each array the header is checked
before its content is touched, and the content is taken as plain bytes: nothing here can run a pickle.
"""

import io
import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import IMAGE_SIZE
from ziffern.data.formats.members import Member, Members
from ziffern.data.parts import Part, check_labels
from ziffern.errors import InputError
from ziffern.text.printable import one_line

KEYS = ("x_train", "y_train", "x_test", "y_test")
SAVE = "save it again with np.savez(path, x_train=…, y_train=…, x_test=…, y_test=…)"


def read_npz(members: Members, num_classes: int, label: str) -> tuple[Part, Part]:
    """Return the training and the test part: x (N, 28, 28) uint8, y (N,) of any integer type.

    Raises:
        InputError: A key is missing, an array holds objects or is damaged, the images are not uint8 or not
            28×28, the counts differ, or a label is out of range.
    """
    for key in KEYS:
        if f"{key}.npy" not in members:
            present = one_line(", ".join(sorted(members)) or "nothing")
            raise InputError(f"{label}: the array {key} is missing, it holds {present}: {SAVE}")
    return _read_part(members, "train", num_classes), _read_part(members, "test", num_classes)


def _read_part(members: Members, part: str, num_classes: int) -> Part:
    x, y = members[f"x_{part}.npy"], members[f"y_{part}.npy"]
    images, labels = read_array(x), read_array(y)
    if images.dtype != np.uint8 or images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
        raise InputError(
            f"{x.label}: is {images.dtype} {images.shape}, expected uint8 (N, 28, 28): "
            "scale to 28×28 and to 0 ... 255, then .astype('uint8')"
        )
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
        raise InputError(
            f"{y.label}: is {labels.dtype} {labels.shape}, expected integers ({len(images)},): "
            "give one class number an image"
        )
    return Part(images, check_labels(labels, num_classes, y.label))


def read_array(member: Member) -> NDArray[Any]:
    """Return the array of numbers or text that an .npy file holds, read-only.

    Raises:
        InputError: It is damaged, or holds objects.
    """
    raw = member.read()
    shape, columns_first, dtype, start = _read_header(raw, member.label)
    if dtype.hasobject:
        raise InputError(f"{member.label}: holds Python objects ({dtype}), only numbers are allowed: {SAVE}")
    size, found = math.prod(shape) * dtype.itemsize, len(raw) - start
    if size != found or dtype.itemsize == 0:
        raise InputError(f"{member.label}: {found:,} bytes follow the header, which declares {size:,}: {SAVE}")
    return np.frombuffer(raw, dtype, offset=start).reshape(shape, order="F" if columns_first else "C")


def _read_header(raw: bytes, label: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether the first axis varies fastest, dtype, and where the content starts."""
    stream = io.BytesIO(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of headers that Python 2 wrote; they are fine
            version = np.lib.format.read_magic(stream)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, columns_first, dtype = read(stream)
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")  # noqa: TRY301
    except Exception as error:  # numpy parses the header as Python text: about any error is possible
        raise InputError(f"{label}: is no NumPy array, or damaged ({one_line(error)}): {SAVE}") from None
    return shape, columns_first, dtype, stream.tell()
