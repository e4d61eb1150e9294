"""The data set that every source returns.

Decisions: images stay uint8 (a quarter of the memory of float32, and normalizing a batch costs nothing); the training
part comes first, then the validation part and the test part, so that merging is the default and the published division
is two numbers; the fingerprint covers content and order, so that equal fingerprints mean the same images under the same
indices.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import ImageSpec
from ziffern.errors import InputError
from ziffern.text.catalog import Message

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class LabeledImages:
    """Images with labels: first the training part, then the validation part, then the test part.

    Args:
        name: The data set's name in the records of a run.
        images: (N, C, H, W) uint8; handwriting is white (255) on black (0).
        labels: (N,) int64 in 0 ... len(class_names) - 1.
        train_size: How many images the published training part has; N without any other published part.
        class_names: One name per class, in label order.
        note: A warning for the user, such as that the set replaces another one.
        val_size: How many images the published validation part has.
        notes: What was assumed or left out when the files were read.
        prepare: How pictures became images: none, digit or resize (`ziffern.data.preparation`).
        names: The name of each image's file, without its folder; empty if the images are not in files of their own.

    Raises:
        InputError: A shape, type or label is not as described here, or there are no images.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train_size: int
    class_names: tuple[str, ...] = DIGITS
    note: Message | None = None
    val_size: int = 0
    notes: tuple[Message, ...] = ()
    prepare: str = "none"
    names: tuple[str, ...] = ()

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
        if not 0 < self.train_size <= count - self.val_size:
            raise InputError("data.set.train_size", name=self.name, size=self.train_size, images=count)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def test_size(self) -> int:
        """How many images the published test part has; 0 without one."""
        return len(self) - self.train_size - self.val_size

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
        sizes = f"{self.train_size}+{self.val_size}" if self.val_size else f"{self.train_size}"
        digest = hashlib.sha256(f"{(count, *shape)}{sizes}{self.class_names}".encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()[:16]
