"""Pages in picture files: PNG, JPEG, TIFF with any number of pages, HEIC, and what else Pillow decodes safely.

Decisions: one page is decoded at a time; its size is checked in the header first; of formats other than TIFF only the
first frame is a page; transparency lies over white paper.
"""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ziffern.data.formats.decoding import FORMATS, pixels_of
from ziffern.errors import InputError
from ziffern.reading.page import MAX_PAGES, MAX_PIXELS, WORKING_PIXELS, Page, PageProblem, Results, page_of
from ziffern.text.printable import reason

GRAY_MODES = ("1", "L", "I;16", "I;16L", "I;16B", "I;16N", "I", "F")
HEIC = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1", b"ftypheim", b"ftypheis")
WHITE = 255


def picture_pages(file: BinaryIO, source: str) -> Results:
    """Yield the pages of an open picture file, or why one cannot be read.

    Raises:
        Exception: The file is no picture, or its header is damaged; the decoders have many errors.
    """
    with Image.open(file, formats=FORMATS) as picture:
        for number in range(1, MAX_PAGES + 2 if picture.format == "TIFF" else 2):
            try:
                picture.seek(number - 1)
                if number > MAX_PAGES:
                    yield PageProblem(
                        source, number, InputError("reading.pages.too_many", path=source, limit=MAX_PAGES)
                    )
                else:
                    yield picture_page(picture, source, number)
            except EOFError:
                return
            except InputError as error:
                yield PageProblem(source, number, error)
            except Exception as error:
                yield PageProblem(
                    source, number, InputError("reading.pages.damaged", path=source, reason=reason(error))
                )
                if picture.tell() != number - 1:  # the way to the next page is damaged
                    return


def heic_pages(file: BinaryIO, source: str) -> Results:
    """Yield the page of an open HEIC file.

    Raises:
        InputError: `pi_heif` is not installed, or the picture is too large.
        Exception: The file is damaged.
    """
    try:
        import pi_heif
    except ImportError:
        raise InputError("reading.pages.no_heic", path=source) from None
    picture = pi_heif.open_heif(file)  # the main one
    check_size(picture.size, source)
    yield picture_page(picture.to_pillow(), source, 1)


def picture_page(picture: Image.Image, source: str, number: int) -> Page:
    """Return an open picture as a page.

    Raises:
        InputError: It has too many pixels, or its levels have no scale.
        Exception: It is damaged.
    """
    check_size(picture.size, source)
    dpi, width = picture.info.get("dpi"), picture.width
    if picture.width * picture.height > WORKING_PIXELS:
        picture.draft(None, (picture.width // 2, picture.height // 2))  # of a JPEG; saves memory
        dpi = tuple(value * picture.width / width for value in dpi) if dpi else None
    is_gray = picture.mode in GRAY_MODES and not picture.has_transparency_data
    channels = 1 if is_gray else 4 if picture.has_transparency_data else 3
    pixels = pixels_of(picture, channels, source)
    return page_of(pixels if is_gray else _on_white(pixels.transpose(1, 2, 0)), source, number, dpi)


def check_size(size: tuple[int, int], source: str) -> None:
    """Check that a page may be decoded.

    Raises:
        InputError: It has more than MAX_PIXELS, or none.
    """
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError("reading.pages.pixels", path=source, width=width, height=height, limit=MAX_PIXELS)


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels (H, W, 3 or 4) without transparency, (H, W, 3)."""
    if pixels.shape[2] == 3:  # noqa: PLR2004
        return np.ascontiguousarray(pixels)
    result = np.ascontiguousarray(pixels[..., :3])
    for row, opacity in zip(result, pixels[..., 3:].astype(np.uint16), strict=True):  # all at once takes more memory
        row[:] = (row * opacity + WHITE * (WHITE - opacity) + WHITE // 2) // WHITE
    return result
