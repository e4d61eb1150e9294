"""Conversion of images to another number of channels or another size.

Decisions: images are resized by torch's bilinear interpolation with antialiasing, and color becomes gray by Pillow's
weights (ITU-R 601-2); one block at a time, since float32 needs four times the memory.
"""

import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import COLORS, Shape
from ziffern.errors import InputError

LUMA = np.array([299, 587, 114], np.float32) / 1000
BLOCK = 1000  # images at once


def converted(images: NDArray[np.uint8], shape: Shape, where: str) -> NDArray[np.uint8]:
    """Return images (N, C, H, W) of any size as (N, *shape); messages name them by `where`.

    Raises:
        InputError: The number of channels changes in another way than gray to color or color to gray.
    """
    channels = images.shape[1]
    if channels != shape[0] and {channels, shape[0]} != {1, COLORS}:
        image = str([channels, *shape[1:]])
        raise InputError("data.image.channels", where=where, channels=channels, wanted=shape[0], image=image)
    result = np.empty((len(images), *shape), np.uint8)
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        if channels == COLORS and shape[0] == 1:
            block = np.einsum("nchw,c->nhw", block, LUMA)[:, None].round().astype(np.uint8)
        if block.shape[2:] != shape[1:]:
            block = scaled(block, shape[1:])
        result[start : start + BLOCK] = block  # gray is repeated for each color
    return result


def scaled(images: NDArray[np.uint8], size: tuple[int, int], margin: int = 0) -> NDArray[np.uint8]:
    """Return images (N, C, H, W) resized to height and width `size`, including a black margin in pixels."""
    import torch
    from torch.nn.functional import interpolate, pad

    inner = (size[0] - 2 * margin, size[1] - 2 * margin)
    larger = interpolate(torch.tensor(images).float(), size=inner, mode="bilinear", antialias=True)
    framed: NDArray[np.uint8] = pad(larger, [margin] * 4).round().to(torch.uint8).numpy()
    return framed
