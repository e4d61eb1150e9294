"""The data set that every source returns, and how it is joined from its training and test part.

Decisions: images stay uint8 (a quarter of the memory of float32, and normalizing a batch costs nothing); the training
part comes first and the test part after it, so that merging is the default and the published division is one number;
the fingerprint covers content and order, so that equal fingerprints mean the same images under the same indices.
Labels are checked against num_classes while the name of their file is still at hand; the shape is checked once for all
readers: images of another shape are converted if the user chose a shape (`data.image`), which the data set's note
reports, and refused otherwise; joining copies, so that the result is writable even where a part is a view of the file's
bytes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.data.conversion import converted
from ziffern.data.spec import MNIST_SHAPE, ImageSpec, Shape, in_words, with_channels
from ziffern.errors import InputError
from ziffern.text.catalog import Message

DIGITS = tuple("0123456789")
MAX_CLASSES = 1000  # a larger label is an error in the file, not another class


@dataclass(frozen=True)
class LabeledImages:
    """Images with labels, training part first.

    Args:
        name: The data set's name in the records of a run.
        images: (N, C, H, W) uint8; handwriting is white (255) on black (0).
        labels: (N,) int64 in 0 ... len(class_names) - 1.
        train_size: How many of the first images are the published training part; N without a published test part.
        class_names: One name per class, in label order.
        note: A notice for the user, such as that the set replaces another one.

    Raises:
        InputError: A shape, type or label is not as described here, or there are no images.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train_size: int
    class_names: tuple[str, ...] = DIGITS
    note: Message | None = None

    def __post_init__(self) -> None:
        shape, count = self.images.shape, len(self.images)
        if self.images.dtype != np.uint8 or len(shape) != 4:  # noqa: PLR2004
            raise InputError("data.set.images", name=self.name, dtype=self.images.dtype, shape=str(shape))
        if self.labels.dtype != np.int64 or self.labels.shape != (count,):
            values = {"dtype": self.labels.dtype, "shape": str(self.labels.shape), "images": count}
            raise InputError("data.set.labels", name=self.name, **values)
        if count == 0:
            raise InputError("data.set.empty", name=self.name)
        low, high, limit = int(self.labels.min()), int(self.labels.max()), len(self.class_names) - 1
        if low < 0 or high > limit:
            wrong = low if low < 0 else high
            raise InputError("data.set.label", name=self.name, label=wrong, limit=limit, classes=max(high + 1, 2))
        if not 0 < self.train_size <= count:
            raise InputError("data.set.train_size", name=self.name, size=self.train_size, images=count)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def spec(self) -> ImageSpec:
        """The shape and the classes of the images."""
        channels, height, width = self.images.shape[1:]
        return ImageSpec(channels, height, width, self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of a SHA-256 of content and order of images, labels and division."""
        count, *shape = self.images.shape
        shape = shape[1:] if shape[0] == 1 else shape  # version 0.1.0 had no channel axis for gray
        digest = hashlib.sha256(f"{(count, *shape)}{self.train_size}{self.class_names}".encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()[:16]


class Part(NamedTuple):
    """Images (N, C, H, W) or gray (N, H, W), uint8, their labels (N,) int64, and how many were converted already."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    converted: int = 0


Content = tuple[Sequence[Part], tuple[str, ...]]  # the training part and, if there is one, the test part; class names


def join(name: str, parts: Sequence[Part], class_names: tuple[str, ...], image: Shape | None = None) -> LabeledImages:
    """Return the data set of one part, the training part, or of two.

    Images are converted to the shape `image`; None refuses any other than MNIST's.

    Raises:
        InputError: There is no training image, or the images have another shape.
    """
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
        train_size=len(parts[0].labels),
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
