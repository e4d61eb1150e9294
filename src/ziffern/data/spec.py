"""The shape of images, defined once for readers, networks, records and pages.

Decisions: images are uint8 arrays (N, C, H, W) from the reader to the checkpoint, gray ones with one channel, so that
no code distinguishes gray from color; the default shape is MNIST's, as in version 0.1.0, whose configurations have no
shape and whose run folders hold gray images without a channel axis (`with_channels`).
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
    """The shape and classes of a data set; `class_names` has one name per class, in label order."""

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
        raise InputError("data.image.invalid", image=as_setting(image))
    channels, height, width = image
    return channels, height, width


def class_count(num_classes: int | None) -> int:
    """Return the number of classes that a net is built with.

    Raises:
        InputError: It is None, as with `data=local` as long as the data has not been read.
    """
    if num_classes is None:
        raise InputError("models.num_classes")
    return num_classes


def in_words(shape: Sequence[int]) -> str:
    """Return a shape as `3×32×32`."""
    return "×".join(map(str, shape))


def as_setting(shape: Sequence[int]) -> str:
    """Return a shape as the setting `data.image` is typed in a shell, without blanks."""
    return f"[{','.join(map(str, shape))}]"


def with_channels(images: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Return images (N, C, H, W); gray images (N, H, W) get a channel axis."""
    return images[:, None] if images.ndim == 3 else images  # noqa: PLR2004


def displayed(image: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Return an image (C, H, W) or (H, W) for display: gray (H, W), or color (H, W, 3).

    Images with neither one nor three channels are averaged over the channels.
    """
    if image.ndim == 2:  # noqa: PLR2004
        return image
    if len(image) == COLORS:
        return image.transpose(1, 2, 0)
    shown: NDArray[np.uint8] = image[0] if len(image) == 1 else image.mean(0).round().astype("uint8")
    return shown
