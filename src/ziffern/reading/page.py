"""One page as it was scanned or photographed, before anything is known of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.errors import InputError

MAX_PAGES = 2000  # per file
MAX_PIXELS = 2**26  # of a page, as it is in the file
WORKING_PIXELS = 2**24  # larger pages are scaled down: A4 at 400 dpi is 15.5 million
MIN_DPI, MAX_DPI, MAX_SIDE = 72, 600, 24  # plausible; inches: phones write 72 dpi for photos that would be a meter high
COLORED = 24  # levels between the color channels of a pixel; JPEG makes a few of gray
STEP = 4  # every so many pixels are looked at for color


@dataclass(frozen=True, eq=False)
class Page:
    """One page: `gray` (H, W), `color` (H, W, 3) RGB or None without any; upright as the camera recorded it.

    `source` is the file as it was named, in an archive `scans.zip/17.pdf`; `number` is the page in it, from 1; `dpi` is
    None where the file does not tell, or not plausibly.
    """

    source: str
    number: int
    gray: NDArray[np.uint8]
    color: NDArray[np.uint8] | None
    dpi: float | None


class PageProblem(NamedTuple):
    """Why a page, or the rest of a file from this page on, cannot be read."""

    source: str
    number: int
    error: InputError


Results = Iterator[Page | PageProblem]


def page_of(pixels: NDArray[np.uint8], source: str, number: int, dpi: Any = None) -> Page:
    """Return the page of gray (H, W) or RGB (H, W, 3) pixels, scaled down where it is very large.

    Args:
        pixels: The page, upright.
        source: The file.
        number: The page in the file, from 1.
        dpi: Pixels per inch as the file tells, across and down; where these differ, as in a fax, pixels become square.
    """
    import cv2

    height, width = pixels.shape[:2]
    across, down = _plausible(dpi, width, height)
    stretch = (max(across, down) / across, max(across, down) / down) if across and down else (1.0, 1.0)
    scale = min(1.0, (WORKING_PIXELS / (width * height * stretch[0] * stretch[1])) ** 0.5)
    size = (max(1, round(width * stretch[0] * scale)), max(1, round(height * stretch[1] * scale)))
    if size != (width, height):
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    is_colored = pixels.ndim > 2 and bool((np.ptp(pixels[::STEP, ::STEP], axis=2) > COLORED).any())  # noqa: PLR2004
    gray = pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)  # noqa: PLR2004
    return Page(source, number, gray, pixels if is_colored else None, max(across, down) * scale or None)


def _plausible(dpi: Any, width: int, height: int) -> tuple[float, float]:
    try:
        across, down = (float(value) for value in (dpi if isinstance(dpi, tuple) else (dpi, dpi)))
    except (TypeError, ValueError, ZeroDivisionError):  # a TIFF may have fractions of zero
        return 0.0, 0.0
    is_likely = min(across, down) >= MIN_DPI and max(across, down) <= MAX_DPI
    return (across, down) if is_likely and max(width / across, height / down) <= MAX_SIDE else (0.0, 0.0)
