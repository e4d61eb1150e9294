"""A part of a data set, training or test, as the readers hand it on, and the joining of the two.

Decisions: labels are checked against num_classes here, where the file that holds them still has a name;
joining copies, so that the result is writable even where a part is a view of the file's bytes.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import LabelledImages
from ziffern.errors import InputError

MAX_CLASSES = 1000  # a label beyond is a mistake in the file, not a class more


class Part(NamedTuple):
    """Images (N, 28, 28) uint8 and their labels (N,) int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def join(name: str, train: Part, test: Part | None, class_names: tuple[str, ...]) -> LabelledImages:
    """Return the data set: the training part, then the test part if there is one.

    Raises:
        InputError: There is no training image.
    """
    parts = [train] if test is None else [train, test]
    return LabelledImages(
        name=name,
        images=np.concatenate([part.images for part in parts]),  # (N, 28, 28)
        labels=np.concatenate([part.labels for part in parts]),  # (N,)
        train_size=len(train.labels),
        class_names=class_names,
    )


def numbered(num_classes: int) -> tuple[str, ...]:
    """Return the class names of labels that are their own names: "0", "1", ..."""
    return tuple(str(label) for label in range(num_classes))


def check_labels(labels: NDArray[Any], num_classes: int, where: str) -> NDArray[np.int64]:
    """Return integer labels of any width and shape as int64.

    Raises:
        InputError: A label is not in 0 ... num_classes - 1.
    """
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        worst = wrong.max() if wrong.min() >= 0 else wrong.min()
        raise InputError(f"{where}: label {wrong[0]} is out of range 0 to {num_classes - 1}: {label_fix(worst)}")
    return labels.astype(np.int64)


def label_fix(label: int) -> str:
    """Return what to do about a label that is out of range."""
    return "correct it" + (f", or set data.num_classes={int(label) + 1}" if 0 <= label < MAX_CLASSES else "")
