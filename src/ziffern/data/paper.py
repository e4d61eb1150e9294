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
LOOPS = (0.3, 0.8)  # to which share of its size a loop shrinks
REACH = 3.0  # of a loop's radius: what is farther away stays where it is
MAX_HOLE = 0.2  # of the digit's box: a larger one is that of a 0
OPEN = 0.5  # of the depth of a loop that shrank stays open


def paper_cells(
    digits: Images, seed: int, boxes: float = 0.03, sides: tuple[int, int] = SIDES, loops: float = 0.0
) -> Iterator[Images]:
    """Yield a square gray cell, dark on light, for each digit (28, 28), light on dark.

    Args:
        digits: (N, 28, 28).
        seed: Of all choices.
        boxes: Share of the cells with pieces of the lines of their box.
        sides: Least and largest size of a cell in pixels.
        loops: Share of the digits whose largest loop, if there is one, becomes smaller: MNIST has few small ones.
    """
    rng = np.random.default_rng(seed)
    for digit in digits:
        yield _cell(rng, _pen(rng, digit, loops), boxes, int(rng.integers(sides[0], sides[1] + 1)))


def _pen(rng: np.random.Generator, digit: Images, loops: float) -> NDArray[np.float32]:
    """Return the digit on the fine grid in 0 to 1, half of them in another stroke width."""
    fine = cv2.resize(digit, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    depth = 0.0
    if loops and rng.random() < loops:
        fine, depth = _with_small_loop(fine, rng.uniform(*LOOPS))
    if depth or rng.random() < 1 / 2:
        mask = (fine > 1 / 2).astype(np.uint8)
        inside, outside = (cv2.distanceTransform(each, cv2.DIST_L2, 5) for each in (mask, 1 - mask))
        width = 4 * (inside[mask > 0].mean() - 1 / 2) if mask.any() else 1.0
        grow = (rng.uniform(*PENS) * FINE - width) / 2
        thinnest = -0.6 * width / 2  # else the stroke breaks
        if depth:
            grow = min(grow, (1 - OPEN) * depth)
        fine = np.clip(max(grow, thinnest) + 1 / 2 + inside - outside, 0, 1)
    return np.asarray(fine, np.float32)


def _with_small_loop(fine: NDArray[np.float32], size: float) -> tuple[NDArray[np.float32], float]:
    """Return the digit with its largest loop shrunk to a share of its size, and the depth of that; 0.0 without one."""
    count, labels, stats, centers = cv2.connectedComponentsWithStats((fine <= 1 / 2).astype(np.uint8), connectivity=4)
    holes = [part for part in range(1, count) if part != labels[0, 0]]
    if not holes:
        return fine, 0.0
    hole = max(holes, key=lambda part: stats[part, 4])
    rows, columns = (np.flatnonzero((fine > 1 / 2).any(axis)) for axis in (1, 0))
    if stats[hole, 4] > MAX_HOLE * np.ptp(rows) * np.ptp(columns):
        return fine, 0.0
    reach = REACH * (np.sqrt(stats[hole, 4] / np.pi) + FINE)
    y, x = (
        np.arange(side, dtype=np.float32) - middle for side, middle in zip(fine.shape, centers[hole][::-1], strict=True)
    )
    far = np.minimum(np.hypot(y[:, None], x) / np.float32(reach), 1)
    scale = (1 + (1 / size - 1) * (1 - far) ** 2).astype(np.float32)  # monotonic for a size above 1 / 4
    at_x, at_y = (x * scale + centers[hole][0], y[:, None] * scale + centers[hole][1])
    small = cv2.remap(fine, at_x.astype(np.float32), at_y.astype(np.float32), cv2.INTER_LINEAR)
    inside = cv2.distanceTransform((small <= 1 / 2).astype(np.uint8), cv2.DIST_L2, 5)
    near = np.hypot(y[:, None], x) < reach * size / 2
    return small, float(inside[near].max(initial=0))


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
