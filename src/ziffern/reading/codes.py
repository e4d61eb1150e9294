"""A template in a QR code, so that a printed form is read on any machine without options.

Decisions: digits alone, which QR codes store most densely; the template's JSON is compressed with a dictionary of what
templates usually contain, so an exam of 20 tasks has 53 modules per side. The content of a code is foreign: its
size is limited, it is checked like the template in a file, and it cannot name files.
"""

import re
import zlib
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from ziffern.errors import InputError
from ziffern.reading.layout import Template
from ziffern.reading.template import MAX_BYTES, parse_template
from ziffern.text.printable import reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC = "9472"  # the first digits
MAX_PACKED = 315  # bytes: a version 11 code with 61 modules per side, 3.2 pixels per module at 200 dpi
MAX_CORNER = 4000  # pixels
USUAL = (
    b'"values":["register":{"frame":["crop":["label":"string":["check":"luhn"isbnean"iban"mod11"pattern":"\\\\d{"date":'
    b'"DD.MM.YYYY"]},"sums":{"total":["boxes":["ticks":["yes","no"],"choose":"1"},"group_gap":"groups":["2","2","4"],'
    b'"down":"yes","length":["unique":"true"},{"name":"form","page":"a4","register":"markers","fields":{"size":["7","9"'
    b'],"gap":"2","required":"false"},"range":["0","100"]},"0","20"]},"name":{"at":["30","40"],"cells":"3"'
)


def encode(template: Template) -> str:
    """Return the content of the QR code with a template; empty if it needs other files or is too large."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 15, zdict=USUAL)
    packed = pack.compress(template.source.encode()) + pack.flush()
    is_small = template.source and len(packed) <= MAX_PACKED
    return f"{MAGIC}{int.from_bytes(packed, 'big')}" if is_small else ""


@lru_cache(maxsize=64)  # so that the pages of a form share its template, and what is known by its rules
def decode(text: str) -> Template | None:
    """Return the template in the content of a QR code; None if it holds something else.

    Raises:
        InputError: The template in it is damaged or has mistakes.
    """
    if not re.fullmatch(f"{MAGIC}[1-9][0-9]{{20,{3 * MAX_PACKED}}}", text):
        return None
    number = int(text[len(MAGIC) :])
    try:
        unpack = zlib.decompressobj(15, USUAL)
        source = unpack.decompress(number.to_bytes((number.bit_length() + 7) // 8, "big"), MAX_BYTES).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise InputError("reading.code.damaged", problem=reason(error)) from error
    template, problems = parse_template(source if unpack.eof else "", None)
    if template is None:
        raise InputError("reading.code.damaged", problem=problems[0])
    return template


def find_template(gray: "NDArray[np.uint8]") -> Template | None:
    """Return the template in the second QR code of a page (H, W), however it lies; None without one.

    Takes about a second where there is none, so it is called once per form, not once per page.

    Raises:
        InputError: The template in it is damaged or has mistakes.
    """
    import cv2

    height, width = (round(0.45 * side) for side in gray.shape)
    corners = (gray[-height:, :width], gray[:height, -width:], gray[:height, :width], gray[-height:, -width:])
    for scale, corner in product((1, 2, 3), corners):
        size = (corner.shape[1] * scale, corner.shape[0] * scale)
        if max(size) > MAX_CORNER:
            continue
        try:
            _, texts, *_ = cv2.QRCodeDetectorAruco().detectAndDecodeMulti(cv2.resize(corner, size))
        except cv2.error:  # of some damaged codes
            continue
        for text in texts:
            if template := decode(text):
                return template
    return None
