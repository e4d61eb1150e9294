"""Images as pictures inside a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return a gray image (H, W) as a PNG within a URI."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def as_seen(image: NDArray[np.uint8], mean: float, std: float) -> NDArray[np.uint8]:
    """Return a normalized image as gray levels: medium gray is 0, white (or black) the value furthest from it.

    Where no value is below 0, black is 0.
    """
    if mean <= 0:
        return image
    low, high = -mean / std, (255 - mean) / std
    values = (image.astype(np.float64) - mean) / std / max(abs(low), abs(high))
    return (127.5 + values * 127.5).round().astype(np.uint8)
