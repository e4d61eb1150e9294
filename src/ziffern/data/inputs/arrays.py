"""Read arrays of any layout as images.

Decisions: what a value means follows from the whole array, by the rules for training data; a layout that fits two
readings, such as one of 3×32×32, is taken for what the model's own shape suggests; one picture is returned as an array
of one.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.formats.levels import CHANNELS, COLOR, GRAY, ROWS, image_levels
from ziffern.data.spec import Shape
from ziffern.text.catalog import Message


def plain_array(source: object) -> NDArray[Any]:
    """Return an array, a tensor, a PIL image or nested lists as an array."""
    if hasattr(source, "detach"):  # a tensor, perhaps with a gradient, on a GPU, or of a type that numpy lacks
        tensor: Any = source.detach().cpu()
        source = tensor.float() if tensor.is_floating_point() else tensor
    return np.asarray(source)


def is_one_picture(array: NDArray[Any], shape: Shape) -> bool:
    """Return whether an array is a single picture: (H, W), (H, W, 3 or 4), or a color model's own (C, H, W)."""
    if array.ndim == GRAY:
        is_color = array.shape[2] in CHANNELS[1:] and min(array.shape[:2]) > max(CHANNELS)
        return (shape[0] > 1 and array.shape == shape) or (is_color and array.shape[1:] != shape[1:])
    return array.ndim == ROWS and array.shape[1] != math.prod(shape)


def array_images(array: NDArray[Any], shape: Shape, where: str, name: str) -> tuple[NDArray[np.uint8], list[Message]]:
    """Return an array as images (N, H, W) or (N, C, H, W), and notes on what was assumed.

    Args:
        array: Whole numbers from 0 to 255 or floats from 0 to 1 or 255: (H, W), (N, H, W), (N, H, W, C), (N, C, H, W)
            or, of the model's shape, rows (N, C · H · W).
        shape: Channels, height and width of the model's images.
        where: The source in messages.
        name: The array in it.

    Raises:
        InputError: It has another shape, type or range.
    """
    notes, pixels = [], math.prod(shape)
    if array.ndim in (1, ROWS) and array.shape[-1] == pixels:
        array = array.reshape(-1, *(shape if shape[0] > 1 else shape[1:]))
    elif is_one_picture(array, shape):
        if array.ndim == ROWS and min(array.shape) > 0 and array.shape != shape[1:]:
            notes.append(Message("data.inputs.note.one_picture", name=name, height=len(array), width=array.shape[1]))
        array = array[None]
    is_unclear = shape[0] not in CHANNELS or shape[2] in CHANNELS
    if array.ndim == COLOR and array.shape[1:] == shape and is_unclear and array.dtype == np.uint8:
        return array, notes
    images, more = image_levels({name: array}, shape, where)
    fractions = [note for note in more if note.code == "data.note.scaled" and note.values["high"] == 1]
    return images[name], notes + [note for note in more if note not in fractions]
