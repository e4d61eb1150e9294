"""What is printed on forms of ours so that a page is found again: four ArUco markers and a QR code.

Decisions: the markers' ids tell the corners, so a page may lie in any direction; the QR code names template and page,
so that no option is needed. The form is drawn and the page is registered by these numbers alone.
"""

import re

import numpy as np
from numpy.typing import NDArray

DICTIONARY = "DICT_4X4_50"  # of cv2.aruco
IDS = (0, 1, 2, 3)  # top left, top right, bottom right, bottom left
INSET, SIDE = 10.0, 8.0  # mm: from the page's edges to a marker's center; of a marker with its black border
CODE_SIDE, CODE_TOP, CODE_RIGHT = 16.0, 6.0, 18.0  # mm: of the QR code without its quiet zone; from the page's edges
CODE = re.compile(r"ziffern:([\w-]{1,100}):(\d{1,3})(?::([0-9a-f]{8}))?")


def marker_corners(width: float, height: float) -> NDArray[np.float32]:
    """Return the corners of the four markers of a page in mm: (4, 4, 2), clockwise from the top left, by id."""
    right, bottom = width - INSET, height - INSET
    centers = np.array([(INSET, INSET), (right, INSET), (right, bottom), (INSET, bottom)], np.float32)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32) * (SIDE / 2)
    return centers[:, None] + corners


def code_box(width: float) -> tuple[float, float, float, float]:
    """Return the place of the QR code in mm: left, top, right, bottom."""
    right = width - CODE_RIGHT
    return right - CODE_SIDE, CODE_TOP, right, CODE_TOP + CODE_SIDE


def code_text(template: str, page: int, version: str = "") -> str:
    """Return the content of the QR code; pages are counted from 1."""
    return f"ziffern:{template}:{page}" + (f":{version}" if version else "")


def parse_code(text: str) -> tuple[str, int, str] | None:
    """Return the template's name, the page and the template's version of a QR code; None if it is another one."""
    match = CODE.fullmatch(text)
    return (match[1], int(match[2]), match[3] or "") if match else None
