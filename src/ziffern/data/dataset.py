"""One description of a data set, which every source yields and everything else builds on.

Decisions: images stay uint8 (a quarter of the memory of float32, and normalising a batch costs nothing);
the training part comes first and the test part after it, so that "merge" is the default state and the
published division is one number; the fingerprint covers content and order, so that two runs are known
to have seen the same digits under the same indices.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ziffern.errors import InputError

IMAGE_SIZE = 28


@dataclass(frozen=True)
class LabelledImages:
    """Grey images with labels, training part first.

    Args:
        name: The data set's name as the run records it.
        images: (N, 28, 28) uint8, white (255) on black (0).
        labels: (N,) int64 in 0 ... len(class_names) - 1.
        train_size: How many of the first images are the published training part; N where no test part
            is published.
        class_names: One name a class, in label order.
        note: What people must know of it, such as that it stands in for something else.

    Raises:
        InputError: A shape, type or label is not as said above, or there is no image at all.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train_size: int
    class_names: tuple[str, ...] = tuple("0123456789")
    note: str = ""

    def __post_init__(self) -> None:
        shape, count = self.images.shape, len(self.images)
        if self.images.dtype != np.uint8 or shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
            raise InputError(
                f"{self.name}: images are {self.images.dtype} {shape}, expected uint8 (N, 28, 28): "
                "scale them to 28×28 grey levels from 0 to 255"
            )
        if self.labels.dtype != np.int64 or self.labels.shape != (count,):
            raise InputError(
                f"{self.name}: labels are {self.labels.dtype} {self.labels.shape}, expected int64 ({count},): "
                "give exactly one label an image"
            )
        if count == 0:
            raise InputError(f"{self.name}: no images found, at least one a split is needed")
        low, high, limit = int(self.labels.min()), int(self.labels.max()), len(self.class_names) - 1
        if low < 0 or high > limit:
            wrong = low if low < 0 else high
            raise InputError(
                f"{self.name}: label {wrong} is out of range 0 to {limit}: "
                f"correct the labels, or set data.num_classes={max(high + 1, 2)} for more classes"
            )
        if not 0 < self.train_size <= count:
            raise InputError(f"{self.name}: the training part has {self.train_size} of {count} images")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def index(self) -> NDArray[np.int64]:
        """The original index of each image, (N,): its place in the merged set, training part first."""
        return np.arange(len(self), dtype=np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of a SHA-256 over content and order of images, labels and division."""
        digest = hashlib.sha256(f"{self.images.shape}{self.train_size}{self.class_names}".encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()[:16]
