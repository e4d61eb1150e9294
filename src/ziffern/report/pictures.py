"""Images as pictures inside a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import displayed


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return an image (C, H, W), or a gray one (H, W), as a data URI of a PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(displayed(image)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def as_seen(image: NDArray[np.uint8], mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a normalized image (C, H, W) as uint8: 0 becomes medium gray, the value furthest from 0 white or black.

    If the mean is 0, the image is returned unchanged. `mean` and `std` are (C,).
    """
    if mean.max() <= 0:
        return image
    mean, std = mean[:, None, None], std[:, None, None]
    low, high = (-mean / std).min(), ((255 - mean) / std).max()
    values = (image.astype(np.float64) - mean) / std / max(abs(low), abs(high))
    shown: NDArray[np.uint8] = (127.5 + values * 127.5).round().astype(np.uint8)
    return shown
