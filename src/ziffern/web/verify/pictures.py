"""The pictures of the page: decoded with limits and encoded anew, so that no byte of the folder reaches a browser."""

import io
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ziffern.reading.folder import load_picture
from ziffern.reading.result import Box, FieldReading
from ziffern.reading.verified import cut

KEPT = 12  # decoded pages
AROUND = 0.6, 0.8  # of the page's width, and of the cut-out's width: what is shown around a field
MAX_WIDTH, MAX_CROP = 1100, 1400  # pixels
MARK = (10, 95, 180)


class Pictures:
    """The pictures of a batch folder.

    Raises:
        InputError: From each method: a file is missing, damaged or too large.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()  # so that a page that two fields need is decoded once
        self._load = lru_cache(KEPT)(lambda name: load_picture(folder, name))
        self._folder = folder

    def crop(self, image: str, field: FieldReading) -> bytes:
        """Return the picture of a field as PNG."""
        if field.crop:
            return _encoded(_shrunk(load_picture(self._folder, field.crop), MAX_CROP), "PNG")
        left, top, right, bottom = field.box
        margin = (bottom - top) / 6
        box = (left, max(0.0, top - margin), right, min(1.0, bottom + margin))
        return _encoded(_shrunk(cut(self._page(image), box), MAX_CROP), "PNG")

    def context(self, image: str, box: Box) -> bytes:
        """Return the part of a page around a field, with its box marked, as JPEG."""
        pixels = self._page(image)
        height, width = pixels.shape[:2]
        left, right = sorted((box[0] * width, box[2] * width))
        top, bottom = sorted((box[1] * height, box[3] * height))
        shown_width = min(width, max(AROUND[0] * width, 1.3 * (right - left)))
        shown_height = min(height, max(AROUND[1] * shown_width, 1.6 * (bottom - top)))
        x = min(max(0.0, (left + right - shown_width) / 2), width - shown_width)
        y = min(max(0.0, (top + bottom - shown_height) / 2), height - shown_height)
        part = (x / width, y / height, (x + shown_width) / width, (y + shown_height) / height)
        picture = Image.fromarray(cut(pixels, part))
        line = max(2, round(shown_width / 250))
        outline = (left - x - 2 * line, top - y - 2 * line, right - x + 2 * line, bottom - y + 2 * line)
        ImageDraw.Draw(picture).rectangle(outline, outline=MARK, width=line)
        return _encoded(_shrunk(np.asarray(picture), MAX_WIDTH), "JPEG")

    def page(self, image: str) -> bytes:
        """Return a whole page as JPEG."""
        return _encoded(self._page(image), "JPEG")

    def _page(self, image: str) -> NDArray[np.uint8]:
        with self._lock:
            return self._load(image)


def _shrunk(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels)
    if picture.width > width:
        picture = picture.resize((width, max(1, round(picture.height * width / picture.width))), reducing_gap=2.0)
    return np.asarray(picture)


def _encoded(pixels: NDArray[np.uint8], form: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form, **({"quality": 85} if form == "JPEG" else {"compress_level": 1}))
    return content.getvalue()
