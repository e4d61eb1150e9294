"""The training or test part of a data set, and how both become one data set.

Decisions: labels are checked against num_classes here, where the name of their file is still at hand; the shape is
checked here too, once for all readers: images of another shape are converted if the user chose a shape (`data.image`),
which the data set's note reports, and refused otherwise; joining copies, so that the result is writable even where a
part is a view of the file's bytes.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.data.conversion import converted
from ziffern.data.dataset import LabeledImages
from ziffern.data.spec import MNIST_SHAPE, Shape, in_words, with_channels
from ziffern.errors import InputError
from ziffern.text.catalog import Message

MAX_CLASSES = 1000  # a larger label is an error in the file, not another class
Content = tuple["Part", "Part | None", tuple[str, ...]]  # training part, test part, class names


class Part(NamedTuple):
    """Images (N, C, H, W) or gray (N, H, W), uint8, their labels (N,) int64, and how many were converted already."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    converted: int = 0


def join(
    name: str, train: Part, test: Part | None, class_names: tuple[str, ...], image: Shape | None = None
) -> LabeledImages:
    """Return the data set: the training part, then the test part if there is one.

    Args:
        name: Name of the data set.
        train: Training part.
        test: Test part.
        class_names: One per class, in label order.
        image: The shape that images are converted to; None refuses any other than MNIST's.

    Raises:
        InputError: There is no training image, or the images have another shape.
    """
    parts = [train] if test is None else [train, test]
    arrays, count = [], sum(part.converted for part in parts)
    for images in (with_channels(part.images) for part in parts):
        shape = images.shape[1:]
        if image is None and shape != MNIST_SHAPE:
            values = {"shape": in_words(shape), "image": str(list(shape)), "wanted": in_words(MNIST_SHAPE)}
            raise InputError("data.image.mismatch", name=name, **values)
        if image is None or shape == image:
            arrays.append(images)
        else:
            arrays.append(converted(images, image, name))
            count += len(images)
    return LabeledImages(
        name=name,
        images=np.concatenate(arrays),  # (N, C, H, W)
        labels=np.concatenate([part.labels for part in parts]),  # (N,)
        train_size=len(train.labels),
        class_names=class_names,
        note=Message("data.note.converted", count=count, shape=in_words(image)) if image and count else None,
    )


def numbered(num_classes: int) -> tuple[str, ...]:
    """Return label numbers as class names: "0", "1", ..."""
    return tuple(str(label) for label in range(num_classes))


def check_labels(labels: NDArray[Any], num_classes: int, where: str) -> NDArray[np.int64]:
    """Return integer labels of any width and shape as int64.

    Raises:
        InputError: A label is not in 0 ... num_classes - 1.
    """
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        worst = wrong.max() if wrong.min() >= 0 else wrong.min()
        values = {"label": int(wrong[0]), "limit": num_classes - 1, "fix": label_fix(int(worst))}
        raise InputError("data.label.range", where=where, **values)
    return labels.astype(np.int64)


def label_fix(label: int) -> Message:
    """Return the fix for a label that is out of range."""
    if 0 <= label < MAX_CLASSES:
        return Message("data.label.more_classes", classes=label + 1)
    return Message("data.label.correct")
