"""Turn a drawing, photo or scan of one handwritten digit into an image like those of MNIST.

Decisions: the steps are those of LeCun et al. (1998, "Gradient-based learning applied to document recognition",
section III.A): the ink, with its aspect kept, in a box of 20×20 pixels, anti-aliased, and its center of mass at the
center of 28×28 (`ziffern.data.cutout`). Gray edges are kept, so that a digit of MNIST is returned unchanged.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ziffern.data.ground import BOX, SIZE, reduced
from ziffern.errors import InputError

__all__ = ["BOX", "SIZE", "WORKING_SIZE", "as_digit"]

WORKING_SIZE = 512  # more pixels only add the noise of a photo
TINY = 24  # pixels: below, a stroke is hardly wider than one


def as_digit(picture: NDArray[np.uint8], is_dark: bool | None = None) -> NDArray[np.uint8]:
    """Return the digit in a gray picture (H, W) as in MNIST: (28, 28) uint8, white on black.

    The picture may have any size, be dark on light or light on dark, unevenly lit, and have specks. Whether its ink is
    darker than the paper is recognized, unless `is_dark` states it.

    Raises:
        InputError: The picture has no pixels, or nothing is drawn on it.
    """
    if picture.size == 0:
        height, width = picture.shape
        raise InputError("data.drawing.no_pixels", width=width, height=height)
    from ziffern.data.cutout import digit_image, ink_of

    whole = np.rint(reduced(picture, WORKING_SIZE)).astype(np.uint8)
    if max(whole.shape) < TINY:
        size = (2 * whole.shape[1], 2 * whole.shape[0])
        whole = np.asarray(Image.fromarray(whole).resize(size, Image.Resampling.BICUBIC))
    digit = digit_image(ink_of(whole, is_dark=is_dark))
    if not digit.any():
        raise InputError("data.drawing.nothing")
    return digit
