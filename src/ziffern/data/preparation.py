"""Turn pictures of any size into images of one shape."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part, Reading
from ziffern.data.conversion import scaled
from ziffern.data.spec import Shape, with_channels
from ziffern.text.catalog import Message


def prepared(parts: Mapping[str, Part], reading: Reading, label: str) -> tuple[dict[str, Part], list[Message]]:
    """Return the parts with images (N, C, H, W) of the shape that is wanted, and what was done to them."""
    return {name: part._replace(images=_resized(part, reading.shape)) for name, part in parts.items()}, []


def _resized(part: Part, shape: Shape) -> NDArray[np.uint8]:
    images = part.images
    if isinstance(images, np.ndarray):
        return with_channels(images)
    result = np.empty((len(images), *shape), np.uint8)
    for place, picture in enumerate(images):
        whole = picture.reshape(shape[0], *picture.shape[-2:])
        result[place] = scaled(whole[None], shape[1:])[0] if whole.shape != shape else whole
    return result
