"""Arrays of a run folder (predictions.npz, data.npz): their declaration, their checks, and the classes that hold them.

Decisions: an npz file is a ZIP, so the checks of an untrusted ZIP come first; sizes are read from its directory and
from each array's header before anything is unpacked; no array holds objects, so nothing is unpickled; types, shapes and
ranges are declared in two tables, and one function checks both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.outcome import Outcome
from ziffern.data.classes import MAX_CLASSES, MAX_NAME
from ziffern.data.formats.arrays import read_array
from ziffern.data.formats.members import open_zip_file
from ziffern.errors import InputError
from ziffern.text.printable import one_line

if TYPE_CHECKING:
    import pandas as pd

    from ziffern.data.dataset import LabeledImages
    from ziffern.data.split import Split
    from ziffern.models.normalization import Normalize

MAX_NUMBER = 1e15  # absolute value of any number in a run folder
MAX_UNPACKED = 2**30  # bytes of all arrays together
EXAMPLES = 5  # images that the report shows before and after normalization
IMAGE = ("channels", "height", "width")


@dataclass(frozen=True)
class Array:
    """The declaration of an array."""

    kind: str  # integer, float, number (either), uint8 or text
    shape: tuple[str | int, ...]  # per axis, a number, or a name of `SIZES`: the same length in all arrays of a file
    description: str
    low: float = -MAX_NUMBER  # the smallest value allowed
    high: float | str = MAX_NUMBER  # the largest; or a name of `SIZES`, whose length all values must be below


KINDS = {"integer": "iu", "float": "f", "number": "iuf", "uint8": "u", "text": "U"}  # of a NumPy data type
SIZES: dict[str, tuple[int, float]] = {  # minimum and maximum length
    "N": (1, float("inf")),  # test images
    "C": (1, MAX_CLASSES),  # classes
    "M": (0, float("inf")),  # misclassified images that are kept
    "E": (0, float("inf")),  # examples
    **dict.fromkeys(IMAGE, (1, float("inf"))),
}
PREDICTIONS = {
    "index": Array("integer", ("N",), "original index of each test image"),
    "probability": Array("float", ("N", "C"), "of each class, by the best checkpoint", 0, 1.001),
    "target": Array("integer", ("N",), "true class", 0, "C"),
    "mistake": Array("integer", ("M",), "positions of misclassified images, the most confident first", 0, "N"),
    "mistake_image": Array("uint8", ("M", *IMAGE), "these images"),
    "mistake_name": Array("text", ("M",), "names of their files; empty for images that are not in files of their own"),
}
DATA = {
    "class_names": Array("text", ("C",), f"name of each class, of at most {MAX_NAME} characters"),
    "counts": Array("integer", (3, "C"), "images of each class in train, val and test", 0),
    "example_label": Array("integer", ("E",), "class of each example", 0, "C"),
    "example_image": Array("uint8", ("E", *IMAGE), "training images"),
    "mean": Array("number", ("channels",), "subtracted from the levels of each channel by normalization"),
    "std": Array("number", ("channels",), "by which the result is divided", 1e-6),
}


@dataclass(frozen=True)
class Predictions:
    """predictions.npz: the predictions of a run's best checkpoint on the test part."""

    index: NDArray[np.int64]  # (N,) original index
    target: NDArray[np.int64]  # (N,)
    probability: NDArray[np.float32]  # (N, C)
    mistake: NDArray[np.int64]  # (M,) positions of misclassified images, 0 to N - 1
    mistake_image: NDArray[np.uint8]  # (M, channels, height, width)
    mistake_name: NDArray[np.str_]  # (M,) names of their files, or empty

    @cached_property
    def outcome(self) -> Outcome:
        """The scores computed from them."""
        return Outcome(self.target, self.probability)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per test image: index, target, predicted, confidence, and whether the answer is right."""
        import pandas as pd

        outcome = self.outcome
        values = {"index": self.index, "target": self.target, "predicted": outcome.predicted}
        return pd.DataFrame(values | {"confidence": outcome.confidence, "is_correct": outcome.hit})


@dataclass(frozen=True)
class Material:
    """data.npz: a summary of the data that a run was trained on."""

    class_names: tuple[str, ...]  # C
    counts: NDArray[np.int64]  # (3, C) images of each class in train, val and test
    example_label: NDArray[np.int64]  # (E,)
    example_image: NDArray[np.uint8]  # (E, channels, height, width)
    mean: NDArray[np.float64]  # (channels,) of the normalization, in levels from 0 to 255
    std: NDArray[np.float64]  # (channels,)

    @classmethod
    def of(cls, dataset: "LabeledImages", parts: "Split", normalize: "Normalize") -> "Material":
        """Return the counts of a data set's parts, and one training image of each of the first few classes."""
        labels, names = dataset.labels, dataset.class_names
        counts = [np.bincount(labels[part], minlength=len(names)) for part in parts.indices]
        _, first = np.unique(labels[parts.train], return_index=True)
        examples = parts.train[np.sort(first)[:EXAMPLES]]
        images = dataset.images[examples]
        return cls(names, np.array(counts, np.int64), labels[examples], images, *normalize.statistics())


def read_arrays(file: BinaryIO, path: Path, table: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a table that an open npz file contains, unchecked.

    Raises:
        InputError: It is damaged, or it would unpack to more than 1 GiB or to far more than its size.
    """
    with open_zip_file(file, one_line(path), MAX_UNPACKED) as members:
        return {name: read_array(members[f"{name}.npy"]).copy() for name in table if f"{name}.npy" in members}


def check_arrays(arrays: Mapping[str, NDArray[Any]], table: Mapping[str, Array]) -> None:
    """Check that every array of a table is present and has the declared type, shape and range.

    Raises:
        InputError: One is missing or differs.
    """
    sizes: dict[str, int] = {}
    for name, declared in table.items():
        if name not in arrays:
            raise InputError("records.array.missing", name=name)
        array = arrays[name]
        is_kind = array.dtype.kind in KINDS[declared.kind] and (declared.kind != "uint8" or array.dtype == "u1")
        if not is_kind or array.ndim != len(declared.shape):
            raise _wrong(name, array, declared)
        for length, size in zip(array.shape, declared.shape, strict=True):
            if isinstance(size, str):
                minimum, maximum = SIZES[size]
                if length > maximum:
                    raise InputError("records.array.too_many", name=name, count=length, limit=int(maximum))
                if length < minimum:
                    raise _wrong(name, array, declared)
            if length != (sizes.setdefault(size, length) if isinstance(size, str) else size):
                raise _wrong(name, array, declared)
        if declared.kind == "text":
            longest = max(map(len, array.tolist()), default=0)
            if longest > MAX_NAME:
                raise InputError("records.array.long_name", name=name, count=longest, limit=MAX_NAME)
        elif array.size:
            limit = sizes[declared.high] - 1 if isinstance(declared.high, str) else declared.high
            low, high = array.min(), array.max()
            if not (low >= declared.low and high <= limit):  # so that NaN is refused
                raise InputError("records.array.out_of_range", name=name, values=[f"{low:g}", f"{high:g}"])


def _wrong(name: str, array: NDArray[Any], declared: Array) -> InputError:
    actual, expected = f"{array.dtype} {array.shape}", f"{declared.kind} ({', '.join(map(str, declared.shape))})"
    return InputError("records.array.wrong", name=name, actual=actual, expected=expected)
