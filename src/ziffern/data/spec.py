"""The shape of images, in one place: readers, networks, records and pages all take it from here.

Decisions: images are uint8 arrays (N, C, H, W) from the reader to the checkpoint, gray ones with one channel, so that
nothing needs to know whether there is color; a shape that is not given is MNIST's, as in version 0.1.0, whose
configurations name none and whose run folders hold gray images without an axis of channels (`with_channels`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ziffern.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape = tuple[int, int, int]  # channels, height, width
MNIST_SHAPE = (1, 28, 28)
COLORS = 3  # channels of a color image


@dataclass(frozen=True)
class ImageSpec:
    """What all images of a data set have in common; `class_names` has one name per class, in label order."""

    channels: int
    height: int
    width: int
    class_names: tuple[str, ...]

    @property
    def shape(self) -> Shape:
        """Channels, height and width."""
        return self.channels, self.height, self.width

    @property
    def num_classes(self) -> int:
        """The number of classes, C."""
        return len(self.class_names)


def image_shape(image: Sequence[int] | None) -> Shape:
    """Return the setting `data.image` as a tuple; MNIST's shape where it is not given.

    Raises:
        InputError: It is not three whole numbers of at least 1.
    """
    if image is None:
        return MNIST_SHAPE
    if len(image) != len(MNIST_SHAPE) or not all(type(size) is int and size >= 1 for size in image):
        raise InputError("data.image.invalid", image=str(list(image)))
    channels, height, width = image
    return channels, height, width


def in_words(shape: Sequence[int]) -> str:
    """Return a shape as `3×32×32`."""
    return "×".join(map(str, shape))


def with_channels(images: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Return images (N, C, H, W), also of gray images (N, H, W)."""
    return images[:, None] if images.ndim == 3 else images  # noqa: PLR2004


def displayed(image: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Return an image (C, H, W) or (H, W) as pictures have it: gray (H, W), or color (H, W, 3).

    Of another number of channels than one or three, the mean is shown.
    """
    if image.ndim == 2:  # noqa: PLR2004
        return image
    if len(image) == COLORS:
        return image.transpose(1, 2, 0)
    shown: NDArray[np.uint8] = image[0] if len(image) == 1 else image.mean(0).round().astype("uint8")
    return shown
