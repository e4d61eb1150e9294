"""Decode a picture file to levels from 0 to 255, whatever its mode.

Decisions: a picture's size is read from its header before its pixels are decoded, as a guard against decompression
bombs; 8-bit gray is returned as it is in the file, and deeper levels are scaled, never clipped, those of 12 bits in 16
by 4,095; the rotation that a camera recorded (EXIF) is applied; of several frames or pages the first one is used; a
large JPEG is decoded at an eighth to a half of its size where the result is still larger than needed.
"""

import io
import math
import re
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from ziffern.data.conversion import opaque
from ziffern.data.formats.members import FREE_BYTES, MAX_RATIO, Member
from ziffern.errors import InputError
from ziffern.text.printable import reason

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP")  # JPEG includes MPO, the photos of many phones
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by the number of channels
MAX_FILE = 2**26  # bytes of a picture file
MAX_PIXELS = 2**27  # of a picture
LEVELS, TWELVE_BITS, DEEP = 255, 4095, 65535  # the largest level of 8, 12 and 16 bits
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


class Picture(NamedTuple):
    """Pixels (H, W) or (C, H, W) uint8, whether the file has further frames or pages, and whether 12 of 16 bits."""

    pixels: NDArray[np.uint8]
    has_more: bool
    has_12_bits: bool = False


def decode(member: Member, channels: int, enough: int | None = None, max_pixels: int | None = None) -> Picture:
    """Return the picture in a file.

    Args:
        member: The file.
        channels: 1 for gray (H, W), 3 for color, 4 for color and transparency (C, H, W).
        enough: How many pixels the longer side needs at most; None decodes the full size.
        max_pixels: Height times width, at most; None is MAX_PIXELS.

    Raises:
        InputError: The file is too large, not a picture, or damaged, or its levels have no scale.
    """
    if member.size > MAX_FILE:
        raise InputError("data.picture.too_large", path=member.label, size=member.size, limit=MAX_FILE)
    raw = member.read()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns about odd headers; the checks here suffice
            with Image.open(io.BytesIO(raw), formats=FORMATS) as picture:
                _check_size(picture, len(raw), member.label, max_pixels or MAX_PIXELS)
                is_deep_color = picture.format != "PPM" and ";16" in str(picture.tile) and picture.mode[0] != "I"
                has_more = picture.format != "MPO" and bool(getattr(picture, "is_animated", False))
                if enough is not None and picture.mode in ("L", "RGB", "YCbCr"):
                    smaller = (math.ceil(side * enough / max(picture.size)) for side in picture.size)
                    picture.draft("L" if channels == 1 else None, (next(smaller), next(smaller)))
                has_12_bits = picture.format != "PPM" and _has_12_bits(picture)
                pixels = pixels_of(picture, channels, member.label)
                if is_deep_color and 0 < pixels.max(initial=0) <= TWELVE_BITS >> 8:
                    pixels, has_12_bits = pixels * np.uint8(LEVELS // (TWELVE_BITS >> 8)), True  # PIL kept 8 of 16 bits
                return Picture(pixels, has_more, has_12_bits)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("data.picture.none", path=member.label, known=FORMATS) from None
    except Exception as error:  # each of PIL's decoders has errors of its own for broken data
        raise InputError("data.picture.damaged", path=member.label, reason=reason(error)) from None


def pictures_start(head: bytes) -> bool:
    """Return whether a file with these first bytes is a picture in one of FORMATS."""
    return head.startswith(MAGIC) or bool(re.match(rb"P[1-7]\s", head))


def pixels_of(picture: Image.Image, channels: int, label: str) -> NDArray[np.uint8]:
    """Return the pixels of an open picture, upright, as `decode`; messages name it by `label`."""
    is_full_range = picture.format == "PPM"
    whole = _with_ink(picture)
    ImageOps.exif_transpose(whole, in_place=True)  # otherwise every picture is copied
    return _levels(whole, channels, is_full_range, label)


def _check_size(picture: Image.Image, packed: int, label: str, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise InputError("data.picture.pixels", path=label, width=width, height=height, limit=max_pixels)
    size = width * height * len(MODES[4])
    if size > FREE_BYTES and size > MAX_RATIO * packed:
        values = {"width": width, "height": height, "size": packed}
        raise InputError("data.picture.bomb", path=label, **values)


def _with_ink(picture: Image.Image) -> Image.Image:
    """Return the picture; the inks of a CMYK JPEG are inverted unless Adobe wrote it, as PIL assumes."""
    if picture.mode != "CMYK" or picture.format not in ("JPEG", "MPO") or "adobe" in picture.info:
        return picture
    inks = ImageChops.invert(picture)
    inks.info = picture.info  # the rotation
    return inks


def _levels(picture: Image.Image, channels: int, is_full_range: bool, label: str) -> NDArray[np.uint8]:
    """Return the pixels as (H, W), or (C, H, W) in color."""
    mode = MODES[channels]
    if picture.mode in DEEP_MODES:
        picture = Image.fromarray(_shallow(np.asarray(picture), is_full_range, label))
    elif picture.mode == "LAB":
        raise InputError("data.picture.mode", path=label, mode=picture.mode)
    elif picture.has_transparency_data and mode != "RGBA":
        picture = Image.fromarray(opaque(np.asarray(picture.convert("RGBA"))))
    pixels = np.array(picture if picture.mode == mode else picture.convert(mode))  # (H, W) or (H, W, C)
    return pixels if channels == 1 else pixels.transpose(2, 0, 1)


def _has_12_bits(picture: Image.Image) -> bool:
    """Return whether 16 bits hold levels of 12 bits, which would be nearly black."""
    return picture.mode.startswith("I;16") and 0 < int(np.asarray(picture).max(initial=0)) <= TWELVE_BITS


def _shallow(levels: NDArray[np.generic], is_full_range: bool, label: str) -> NDArray[np.uint8]:
    """Return levels of 16 or 32 bits, or floats from 0 to 1 or to 255, as 8 bits.

    Where 32 bits hold no level above 255, they are taken for 8 bits, and 16 bits without one above 4,095 for 12 bits;
    with `is_full_range`, white is always 65,535.
    """
    low, high = float(levels.min(initial=0)), float(levels.max(initial=0))
    is_deep = levels.dtype.itemsize == 2 or is_full_range  # noqa: PLR2004
    if not (low >= 0 and high <= DEEP):  # NaN is neither
        raise InputError("data.picture.levels", path=label, low=f"{low:.6g}", high=f"{high:.6g}")
    white = DEEP if is_deep or high > LEVELS else 1 if levels.dtype.kind == "f" and high <= 1 else LEVELS
    if is_deep and not is_full_range and 0 < high <= TWELVE_BITS:
        white = TWELVE_BITS
    result = np.empty(levels.shape, np.uint8)
    for row, values in zip(result, levels, strict=True):  # float64 needs eight times the memory
        row[:] = np.rint(values.astype(np.float64) * (LEVELS / white))
    return result
