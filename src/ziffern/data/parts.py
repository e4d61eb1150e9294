"""A part of a data set, training or test, as the readers return it, and how two parts become a data set.

Decisions: labels are checked against num_classes here, where the file that holds them still has a name; the shape is
checked here too, once for all readers: images of another shape are converted where the user chose one (`data.image`),
which a note tells, and refused where not; joining copies, so that the result is writable even where a part is a view of
the file's bytes.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.data.conversion import converted
from ziffern.data.dataset import LabelledImages
from ziffern.data.spec import MNIST_SHAPE, Shape, in_words, with_channels
from ziffern.errors import InputError
from ziffern.text.catalog import Message

MAX_CLASSES = 1000  # a larger label is a mistake in the file, not one more class


class Part(NamedTuple):
    """Images (N, C, H, W) or gray (N, H, W), uint8, their labels (N,) int64, and how many were converted already."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    converted: int = 0


def join(
    name: str, train: Part, test: Part | None, class_names: tuple[str, ...], image: Shape | None = None
) -> LabelledImages:
    """Return the data set: the training part, then the test part if there is one.

    Args:
        name: Of the data set.
        train: Training part.
        test: Test part.
        class_names: One per class.
        image: The shape that images are converted to; None refuses any other than MNIST's.

    Raises:
        InputError: There is no training image, or the images have another shape.
    """
    parts = [train] if test is None else [train, test]
    arrays, count = [], 0
    for part in parts:
        images = with_channels(part.images)
        count += part.converted
        if images.shape[1:] != (image or MNIST_SHAPE):
            if image is None:
                found, given = in_words(images.shape[1:]), str(list(images.shape[1:]))
                raise InputError(
                    "data.image.mismatch", name=name, found=found, image=given, wanted=in_words(MNIST_SHAPE)
                )
            images, count = converted(images, image, name), count + len(images)
        arrays.append(images)
    return LabelledImages(
        name=name,
        images=np.concatenate(arrays),  # (N, C, H, W)
        labels=np.concatenate([part.labels for part in parts]),  # (N,)
        train_size=len(train.labels),
        class_names=class_names,
        note=Message("data.note.converted", count=count, shape=in_words(image)) if image and count else None,
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
        fix = label_fix(int(worst))
        raise InputError("data.label.range", where=where, label=int(wrong[0]), limit=num_classes - 1, fix=fix)
    return labels.astype(np.int64)


def label_fix(label: int) -> Message:
    """Return what to do about a label that is out of range."""
    if 0 <= label < MAX_CLASSES:
        return Message("data.label.more_classes", classes=label + 1)
    return Message("data.label.correct")
