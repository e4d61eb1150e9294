"""Turn images into those that a model was trained on.

Decisions: an image never depends on its neighbors, so that a picture has one answer, alone or among others; an image of
the model's height and width stays as it is; all others are cut out or resized, as the training images were
(`ziffern.data.preparation`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ziffern.data.conversion import converted, fitted
from ziffern.data.drawing import SIZE, as_digit
from ziffern.data.polarity import inverted_if_light
from ziffern.data.spec import Shape, with_channels


@dataclass(frozen=True)
class Wanted:
    """The images that a model needs.

    Args:
        shape: Channels, height and width.
        prepare: `digit` cuts a mark out of a picture of another size, light on dark; otherwise it is resized, with its
            aspect kept.
        dark_ground: Whether a gray image that is dark on light is inverted.
    """

    shape: Shape
    prepare: str
    dark_ground: bool

    def prepared(self, images: NDArray[np.uint8], where: str = "") -> NDArray[np.uint8]:
        """Return images (N, H, W) or (N, C, H, W) as (N, *shape); messages name them by `where`.

        Raises:
            InputError: Nothing is drawn on a picture, or the channels cannot be converted.
        """
        images = with_channels(images)
        if images.shape[1] != self.shape[0]:
            images = converted(images, (self.shape[0], *images.shape[2:]), where)
        if self.is_cut_out(images.shape):
            images = np.stack([as_digit(image[0]) for image in images])[:, None]
            return images if self.shape[1:] == (SIZE, SIZE) else fitted(images, self.shape[1:])
        images = images if images.shape[2:] == self.shape[1:] else fitted(images, self.shape[1:])
        return inverted_if_light(images) if self.dark_ground else images

    def is_cut_out(self, shape: tuple[int, ...]) -> bool:
        """Return whether pictures of this shape (..., H, W) are cut out."""
        return self.prepare == "digit" and shape[-2:] != self.shape[1:]


def prepared_picture(pixels: NDArray[np.uint8], shape: Shape, prepare: str, dark_ground: bool) -> NDArray[np.uint8]:
    """Return one picture (H, W) or (C, H, W) uint8 as an image of `shape`; see `Wanted`.

    Raises:
        InputError: Nothing is drawn on the picture, or its channels cannot be converted.
    """
    image: NDArray[np.uint8] = Wanted(shape, prepare, dark_ground).prepared(pixels[None])[0]
    return image
