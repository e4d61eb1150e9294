"""The pictures of the page: decoded with limits and encoded anew, so that no byte of the folder reaches a browser."""

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from ziffern.reading.folder import load_picture
from ziffern.reading.result import Box, FieldReading

KEPT = 12  # decoded pages
AROUND = 0.6, 0.8  # of the page's width, and of the cut-out's width: what is shown around a field
LEFT = 0.6  # of that lies left of the field's center, since labels do
MAX_WIDTH = 1400  # pixels
MARK = (10, 95, 180)


class Pictures:
    """The pictures of a batch folder.

    Raises:
        InputError: From each method: a file is missing, damaged or too large.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._page = lru_cache(KEPT)(self._load)

    def crop(self, image: str, field: FieldReading) -> bytes:
        """Return the picture of a field as PNG."""
        if field.crop:
            return _encoded(self._load(field.crop), "PNG", compress_level=1)
        left, top, right, bottom = _pixels(self._page(image), field.box)
        margin = (bottom - top) / 6
        part = self._page(image).crop((int(left), int(top - margin), int(right) + 1, int(bottom + margin) + 1))
        return _encoded(part, "PNG", compress_level=1)

    def context(self, image: str, box: Box) -> bytes:
        """Return the part of a page around a field, with its box marked, as JPEG."""
        page = self._page(image)
        left, top, right, bottom = _pixels(page, box)
        width = min(page.width, max(AROUND[0] * page.width, 1.3 * (right - left)))
        height = min(page.height, max(AROUND[1] * width, 1.6 * (bottom - top)))
        x = int(min(max(0, (left + right) / 2 - LEFT * width), page.width - width))
        y = int(min(max(0, (top + bottom - height) / 2), page.height - height))
        part = page.crop((x, y, x + max(1, int(width)), y + max(1, int(height))))
        line = max(2, round(width / 250))
        outline = (left - x - 2 * line, top - y - 2 * line, right - x + 2 * line, bottom - y + 2 * line)
        ImageDraw.Draw(part).rectangle(outline, outline=MARK, width=line)
        return _encoded(part, "JPEG", quality=85)

    def _load(self, name: str) -> Image.Image:
        return Image.fromarray(load_picture(self._folder, name))

    def page(self, image: str) -> bytes:
        """Return a whole page as JPEG."""
        return _encoded(self._page(image), "JPEG", MAX_WIDTH * 2, quality=85)


def _pixels(page: Image.Image, box: Box) -> tuple[float, float, float, float]:
    left, right = sorted((box[0] * page.width, box[2] * page.width))
    top, bottom = sorted((box[1] * page.height, box[3] * page.height))
    return left, top, right, bottom


def _encoded(picture: Image.Image, form: str, max_width: int = MAX_WIDTH, **how: Any) -> bytes:
    content = io.BytesIO()
    if picture.width > max_width:
        picture = picture.copy()  # since the page is kept
        picture.thumbnail((max_width, picture.height), reducing_gap=2.0)
    picture.save(content, form, **how)
    return content.getvalue()
