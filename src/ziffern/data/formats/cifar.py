"""Read the Python version of CIFAR-10 and CIFAR-100: batches that were pickled by Python 2, without running a pickle.

Decisions: torchvision unpickles these files, so they are read here; every name in a pickle becomes an object that only
stores its arguments, and only the names of numpy arrays are accepted, so that nothing in a file is called; the
unpickler is the one in Python, since the one in C allocates memory for the largest memo index in the file.
Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import io
import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part
from ziffern.files.untrusted import read_bytes

MAX_BYTES = 2**29  # of a file; the training part of CIFAR-100 has 155 MB
NAMES = {"_reconstruct", "ndarray", "dtype"}  # of numpy, in the pickle of an array
SHAPE = (3, 32, 32)
LABELS = (b"labels", b"fine_labels")


class _Inert:
    """Replaces every class in a pickle: stores arguments and state, and does nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if module.partition(".")[0] != "numpy" or name not in NAMES:
            raise ValueError(f"{module}.{name}: it holds pickled objects, which are never loaded")
        return _Inert


def read_cifar(folder: Path, batches: Sequence[str]) -> Part:
    """Return the images (N, 3, 32, 32) and labels of the batches in `folder`.

    Raises:
        ValueError: A file is damaged, or contains pickled objects; a broken pickle may raise any other error.
        OSError: A file cannot be read.
    """
    images, labels = [], []
    for name in batches:
        batch = _load(folder / name)
        (key,) = [key for key in LABELS if key in batch]
        images.append(_array(batch[b"data"]).reshape(-1, *SHAPE))
        labels += [int(label) for label in batch[key]]
    return Part(np.concatenate(images), np.array(labels, np.int64))


def read_cifar_names(path: Path, key: str) -> tuple[str, ...]:
    """Return the class names in the file `batches.meta` or `meta`; raises as `read_cifar`."""
    return tuple(name.decode() for name in _load(path)[key.encode()])


def _load(path: Path) -> Any:
    return _Unpickler(io.BytesIO(read_bytes(path, MAX_BYTES)), encoding="bytes").load()


def _array(inert: _Inert) -> NDArray[np.uint8]:
    """Return the array of bytes that numpy would build from this state."""
    _, shape, dtype, columns_first, content = inert.state
    if dtype.arguments[0] not in (b"u1", "u1") or len(content) != math.prod(shape):
        raise ValueError("an array that is not of bytes, or of another size")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if columns_first else "C")
