"""Put digits on rendered paper: cells as a scanner or phone sees them, to train and to calibrate a reader.

Decisions: a stroke's width and darkness vary by writer, blur, shade and noise by page; pieces of the box stay where a
cell is cut out a little too large; every choice is drawn with a seed.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

SIDES = (30, 72)  # pixels of a cell: of 5 mm at 150 dpi to 9 mm at 200 dpi
FINE = 4  # the pen is drawn on a grid this much finer than MNIST's
PENS = (0.8, 2.6)  # width in pixels of MNIST
DARKNESS = (0.2, 0.9)  # of the pen, as a share of the paper's brightness


def paper_cells(digits: Images, seed: int, boxes: float = 0.03, sides: tuple[int, int] = SIDES) -> Iterator[Images]:
    """Yield a square gray cell, dark on light, for each digit (28, 28), light on dark.

    Args:
        digits: (N, 28, 28).
        seed: Of all choices.
        boxes: Share of the cells with pieces of the lines of their box.
        sides: Least and largest size of a cell in pixels.
    """
    rng = np.random.default_rng(seed)
    for digit in digits:
        yield _cell(rng, _pen(rng, digit), boxes, int(rng.integers(sides[0], sides[1] + 1)))


def _pen(rng: np.random.Generator, digit: Images) -> NDArray[np.float32]:
    """Return the digit on the fine grid in 0 to 1, half of them in another stroke width."""
    fine = cv2.resize(digit, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    if rng.random() < 1 / 2:
        mask = (fine > 1 / 2).astype(np.uint8)
        inside, outside = (cv2.distanceTransform(each, cv2.DIST_L2, 5) for each in (mask, 1 - mask))
        width = 4 * (inside[mask > 0].mean() - 1 / 2) if mask.any() else 1.0
        grow = (rng.uniform(*PENS) * FINE - width) / 2
        thinnest = -0.6 * width / 2  # else the stroke breaks
        fine = np.clip(max(grow, thinnest) + 1 / 2 + inside - outside, 0, 1)
    return np.asarray(fine, np.float32)


def _cell(rng: np.random.Generator, pen: NDArray[np.float32], boxes: float, side: int) -> Images:
    size = side / rng.uniform(1.0, 2.0) / pen.shape[0] * 28 / 20  # the digit's height is half to all of the cell's
    angle, shift = rng.normal(0, 3), rng.normal(0, 0.06, 2) * side
    matrix = np.asarray(cv2.getRotationMatrix2D((pen.shape[1] / 2, pen.shape[0] / 2), angle, size), np.float64)
    matrix[:, 2] += side / 2 - np.array(pen.shape[::-1]) / 2 + np.clip(shift, -5, 5)
    smooth = cv2.GaussianBlur(pen, (0, 0), 0.5 / size) if size < 1 else pen
    ink = np.asarray(cv2.warpAffine(smooth, matrix, (side, side), flags=cv2.INTER_LINEAR), np.float64)
    ink = ink * rng.uniform(*DARKNESS) * cv2.resize(rng.uniform(0.75, 1, (4, 4)).astype(np.float32), (side, side))
    if rng.random() < boxes:
        for turns in rng.permutation(4)[: rng.integers(1, 4)]:
            lines = np.zeros_like(ink)
            place, tilt = int(rng.integers(0, 5)), int(rng.integers(-1, 2))
            cv2.line(lines, (0, place), (side, place + tilt), float(rng.uniform(0.3, 0.9)), int(rng.integers(1, 4)))
            ink = np.maximum(ink, np.rot90(lines, turns))
    light = rng.uniform(170, 250) * cv2.resize(rng.uniform(0.85, 1, (2, 2)).astype(np.float32), (side, side))
    page = cv2.GaussianBlur(light * (1 - ink), (0, 0), rng.uniform(0.4, 1.2)) + rng.normal(
        0, rng.uniform(0.5, 6), ink.shape
    )
    gray = np.clip(page, 0, 255).astype(np.uint8)
    if rng.random() < 1 / 2:
        _, data = cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.asarray(gray, np.uint8)
