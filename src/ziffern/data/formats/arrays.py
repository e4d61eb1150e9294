"""Read the four arrays of Keras' mnist.npz: x_train, y_train, x_test, y_test.

Decisions: an npz is a ZIP, so it passes the checks of an archive first; the header of each array is checked before
its content is read, and the content is used as plain bytes, so no pickle can run. Color images have their channels last
(N, H, W, C), as in Keras, or first (N, C, H, W).
"""

import io
import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Content, Part, Reading
from ziffern.data.formats.members import Member, Members
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import reason

KEYS = ("x_train", "y_train", "x_test", "y_test")
CHANNELS = (1, 3, 4)  # gray, color, color with transparency
SAVE = Message("data.array.save")


def read_npz(members: Members, _reading: Reading, label: str) -> Content:
    """Return both parts: x (N, H, W), (N, H, W, C) or (N, C, H, W) uint8, y (N,) of any integer type.

    Raises:
        InputError: A key is missing, an array contains objects or is damaged, the images are not uint8 of such a shape,
            the counts differ, or a label is out of range.
    """
    for key in KEYS:
        if f"{key}.npy" not in members:
            present: object = sorted(members) or Message("data.array.nothing")
            raise InputError("data.array.missing", path=label, key=key, present=present, save=SAVE)
    return Content({part: _read_part(members, part) for part in ("train", "test")})


def _read_part(members: Members, part: str) -> Part:
    x, y = members[f"x_{part}.npy"], members[f"y_{part}.npy"]
    images, labels = read_array(x), read_array(y)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise InputError("data.array.images", path=x.label, dtype=images.dtype, shape=str(images.shape))
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
        values = {"dtype": labels.dtype, "shape": str(labels.shape), "images": len(images)}
        raise InputError("data.array.labels", path=y.label, **values)
    if images.ndim == 4 and images.shape[3] in CHANNELS:  # noqa: PLR2004
        images = images.transpose(0, 3, 1, 2)
    return Part(images, labels, y.label)


def read_array(member: Member) -> NDArray[Any]:
    """Return the array of numbers or text in an .npy file, read-only.

    Raises:
        InputError: It is damaged, or contains objects.
    """
    raw = member.read()
    stream = io.BytesIO(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns about headers written by Python 2, which are fine
            version = np.lib.format.read_magic(stream)
            headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, columns_first, dtype = headers[version](stream)
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")  # noqa: TRY301
    except Exception as error:  # numpy parses the header as Python text: almost any error is possible
        raise InputError("data.array.damaged", path=member.label, reason=reason(error), save=SAVE) from None
    if dtype.hasobject:
        raise InputError("data.array.objects", path=member.label, dtype=dtype, save=SAVE)
    declared, start = math.prod(shape) * dtype.itemsize, stream.tell()
    if declared != len(raw) - start or dtype.itemsize == 0:
        raise InputError("data.array.size", path=member.label, size=len(raw) - start, declared=declared, save=SAVE)
    return np.frombuffer(raw, dtype, offset=start).reshape(shape, order="F" if columns_first else "C")
