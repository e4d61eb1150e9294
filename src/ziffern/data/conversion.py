"""Conversion of images to another number of channels or another size.

Decisions: images are resized by torch's bilinear interpolation with antialiasing, and color becomes gray by Pillow's
weights (ITU-R 601-2); one block at a time, since float32 needs four times the memory. Transparent pixels get the ground
on which the visible ones stand out.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import COLORS, Shape, as_setting
from ziffern.errors import InputError

LUMA = np.array([299, 587, 114], np.float32) / 1000
BLOCK = 1000  # images at once
PIXELS = 2**20  # of a large picture at once
TRANSPARENCY = 4  # channels of a color image with transparency
WHITE, MIDDLE = 255, 127.5  # levels
FILLED = 0.9  # if a larger share of a picture is visible, the visible part has a ground of its own


def converted(images: NDArray[np.uint8], shape: Shape, where: str) -> NDArray[np.uint8]:
    """Return images (N, C, H, W) of any size as (N, *shape); messages name them by `where`.

    Raises:
        InputError: The number of channels changes in another way than gray to color, color to gray, or from color with
            transparency to one of these.
    """
    if images.shape[1] == TRANSPARENCY and shape[0] in (1, COLORS):
        images = np.stack([opaque(image.transpose(1, 2, 0)) for image in images]).transpose(0, 3, 1, 2)
    channels = images.shape[1]
    if channels != shape[0] and {channels, shape[0]} != {1, COLORS}:
        image = as_setting([channels, *shape[1:]])
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


def fitted(images: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return images (N, C, H, W) resized to height and width `size` with their aspect kept.

    The margin of each image has its own ground, the median of its border.
    """
    scale = min(wanted / side for wanted, side in zip(size, images.shape[2:], strict=True))
    height, width = (max(1, round(side * scale)) for side in images.shape[2:])
    result = np.empty((*images.shape[:2], *size), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        if (height, width) != size:
            result[start : start + BLOCK] = np.median(borders(block), -1)[..., None, None].round()
        inner = block if block.shape[2:] == (height, width) else scaled(block, (height, width))
        result[start : start + BLOCK, :, top : top + height, left : left + width] = inner
    return result


def borders(images: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels of images (..., H, W) as (..., n); the corners occur twice."""
    sides = (images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1])
    return np.concatenate(sides, axis=-1)


def opaque(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return colors with transparency (H, W, 4) on a ground, as (H, W, 3).

    The ground is white below dark ink and black below light ink; a picture that is transparent only at its edges or
    corners gets the median of its visible pixels.
    """
    alpha = pixels[..., COLORS]
    if not alpha.any():
        return np.zeros((*pixels.shape[:2], COLORS), np.uint8)
    step = max(1, PIXELS // pixels.shape[1])
    blocks = [slice(start, start + step) for start in range(0, len(pixels), step)]
    if alpha.mean() >= FILLED * WHITE:
        ground = np.median(pixels[alpha > MIDDLE, :COLORS], axis=0).astype(np.float32)
    else:
        ink = sum(float(((pixels[block, :, :COLORS] @ LUMA) * alpha[block]).sum(dtype=np.float64)) for block in blocks)
        ground = np.full(COLORS, 0 if ink > MIDDLE * float(alpha.sum(dtype=np.float64)) else WHITE, np.float32)
    result = np.empty((*pixels.shape[:2], COLORS), np.uint8)
    for block in blocks:
        share = pixels[block, :, COLORS:].astype(np.float32) / WHITE
        result[block] = np.rint(pixels[block, :, :COLORS] * share + ground * (1 - share))
    return result
