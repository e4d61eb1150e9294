"""Images that are no digits, for a model that has a class of its own for them.

Decisions: half are letters of all fonts on the machine, since a letter in a digit's place is what forms have; a quarter
are digits that were crossed out or written over; the rest are the pieces, pairs and noise of
`ziffern.data.negatives`. Each is cut out as a digit on paper is.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ziffern.data.conversion import WHITE
from ziffern.data.cutout import digit_image
from ziffern.data.ground import SIZE
from ziffern.data.negatives import LETTERS, letter, make_negatives
from ziffern.data.printed import font_files

Images = NDArray[np.uint8]

FINE = 4  # a crossed out digit is drawn on a grid this much finer
MIDDLE = FINE * SIZE / 2
LINES, CORNERS = (2, 5), (4, 9)  # least, and one more than most: lines of a cross, corners of a zigzag
WIDTHS = (5, 12)  # of their strokes, on the fine grid
BELOW = 5000  # digits suffice to make pieces and pairs


def other_images(digits: Images, labels: NDArray[np.int64], count: int, seed: int) -> Images:
    """Return about `count` images (M, 28, 28), light on dark, that are no digits.

    Args:
        digits: (N, 28, 28), light on dark, N > 1, of at least two classes.
        labels: (N,).
        count: Images in all.
        seed: Of all choices.
    """
    from PIL import ImageFont

    rng, fonts = np.random.default_rng(seed), font_files()
    pictures = []
    for _ in range(count // 2):
        font = ImageFont.truetype(fonts[int(rng.integers(len(fonts)))], 40)
        pictures.append(letter(rng, font, str(rng.choice(list(LETTERS)))))
    pictures += [_spoiled(rng, digits, labels) for _ in range(count // 4)]
    inks = (np.asarray(picture, np.float32) / np.float32(WHITE) for picture in pictures)
    cut = np.array([digit_image(ink) for ink in inks]).reshape(-1, SIZE, SIZE)
    made = make_negatives(digits[:BELOW, None], count // 4, seed)[:, 0]
    return np.concatenate([cut[cut.any((1, 2))], made])


def _spoiled(rng: np.random.Generator, digits: Images, labels: NDArray[np.int64]) -> Images:
    """Return a digit that is crossed out by lines or a zigzag, or has another digit over it."""
    place = int(rng.integers(len(digits)))
    picture = _enlarged(digits[place])
    kind, width = rng.integers(3), int(rng.integers(*WIDTHS))
    if kind == 0:
        for _ in range(rng.integers(*LINES)):
            angle, middle = rng.uniform(0, np.pi), MIDDLE + rng.normal(0, 10, 2)
            half = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(35, 55)
            ends = np.rint([middle - half, middle + half]).astype(int)
            cv2.line(picture, ends[0].tolist(), ends[1].tolist(), WHITE, width)
    elif kind == 1:
        corners = int(rng.integers(*CORNERS))
        x = np.linspace(15, 97, corners) + rng.normal(0, 4, corners)
        y = np.where(np.arange(corners) % 2, 25, 87) + rng.normal(0, 8, corners)
        cv2.polylines(picture, [np.stack([x, y], 1).astype(np.int32)], isClosed=False, color=WHITE, thickness=width)
    else:
        other = int(rng.choice(np.flatnonzero(labels != labels[place])))
        picture = np.maximum(picture, np.roll(_enlarged(digits[other]), rng.integers(-8, 9, 2), (0, 1)))
    return picture


def _enlarged(digit: Images) -> Images:
    return np.asarray(cv2.resize(digit, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC), np.uint8)
