"""Even out the paper's brightness, and recognize whether ink is darker than the paper.

Decisions: the paper is what a closing wider than any stroke leaves, since no single threshold fits both ends of a
shadow; on a uniform canvas this changes nothing.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Gray = NDArray[np.float32]

SIZE, BOX = 28, 20  # pixels of an image of MNIST, and the longest side of its digit
PAPER_SIZE = 128  # shading is smooth
SMALL_SIZE = 48  # enough to tell paper from ink
NEIGHBORS = np.ones((3, 3), np.bool_)  # all eight
BINS = 256
FRAME = 0.1  # of the sides: may be covered by the lines of a box
MIN_PAPER = 0.4  # of the brightest paper; anything darker is ink
MIN_CONTRAST = 0.03  # of ink, as a share of the paper's brightness


def reduced(picture: NDArray[np.uint8] | Gray, size: int) -> Gray:
    """Return the picture (H, W) float32 in 0 to 255, averaged to at most `size` pixels per side."""
    height, width = picture.shape
    scale = min(1.0, size / max(height, width))
    return _averaged(picture.astype(np.float32), max(1, round(height * scale)), max(1, round(width * scale)))


def _averaged(picture: Gray, height: int, width: int) -> Gray:
    """Return the picture with a smaller size, or the same: means of whole pixels as by Pillow's BOX filter."""
    import cv2

    if picture.shape == (height, width):
        return picture
    (top, bottom), (left, right) = _windows(picture.shape[0], height), _windows(picture.shape[1], width)
    sums = cv2.integral(picture)  # (H + 1, W + 1) float64
    rows = sums[bottom] - sums[top]
    counts = (bottom - top)[:, None] * (right - left)
    return np.asarray((rows[:, right] - rows[:, left]) / counts, np.float32)


@lru_cache(1024)
def _windows(length: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first pixel of `length`, and the first one after it, of which each of `size` is the mean in Pillow."""
    identity = Image.fromarray(np.eye(length, dtype=np.float32))
    is_in = np.asarray(identity.resize((length, size), Image.Resampling.BOX)) > 0
    first = is_in.argmax(1)
    return first, first + is_in.sum(1)


def enlarged(picture: Gray, height: int, width: int) -> Gray:
    """Return the picture with a larger size, or the same, by bilinear interpolation."""
    import cv2

    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def quantile(values: Gray, share: float) -> float:
    """Return what `np.quantile` does for a share below 1, several times faster."""
    place = share * (values.size - 1)
    low = int(place)
    pair = np.partition(values, (low, min(low + 1, values.size - 1)), None)[low : low + 2].tolist()
    return float(pair[0] + (pair[-1] - pair[0]) * (place - low))


def dark_on_light(gray: Gray, is_dark: bool | None = None) -> Gray:
    """Invert light ink on dark paper: strokes differ from the blurred picture in one direction, shading in both."""
    if is_dark is not None:
        return gray if is_dark else 255 - gray
    small = reduced(gray, SMALL_SIZE)
    top, left = (round(FRAME * side) for side in small.shape)  # the lines of a box would be taken for the paper
    inner = small[top : len(small) - top, left : small.shape[1] - left]
    excess = inner - blurred(inner, max(small.shape) / 10, is_mirrored=False)
    return 255 - gray if (excess**3).sum() > 0 else gray


def even(gray: Gray) -> Gray:
    """Return how much darker each pixel is than the paper, as a share of the paper's brightness."""
    return np.asarray(1 - gray / _paper(gray), np.float32)


def _paper(gray: Gray) -> Gray:
    """Return the brightness of the paper, also where ink hides it, by a closing wider than any stroke."""
    import cv2

    small = reduced(gray, PAPER_SIZE)
    smooth = blurred(small, max(small.shape) / PAPER_SIZE)  # else the closing would follow the noise
    width = max(small.shape) // 4 + 1
    borders = (width,) * 4
    padded = cv2.copyMakeBorder(smooth, *borders, cv2.BORDER_CONSTANT)  # black, so that the corners' shade is reached
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)[width:-width, width:-width]
    shade = np.maximum(closed, max(1.0, MIN_PAPER * float(closed.max())))
    return enlarged(shade, *gray.shape)


def blurred(picture: Gray, deviation: float, is_mirrored: bool = True) -> Gray:
    """Return the picture blurred by a Gaussian of four standard deviations, mirrored or constant beyond its edges."""
    import cv2

    size, edge = 2 * int(4 * deviation + 0.5) + 1, cv2.BORDER_REFLECT if is_mirrored else cv2.BORDER_REPLICATE
    return np.asarray(cv2.GaussianBlur(picture, (size, size), deviation, borderType=edge), np.float32)


def otsu(values: Gray) -> float:
    """Return the threshold that best separates two groups (Otsu 1979)."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low
    places = np.minimum((values - np.float32(low)) * np.float32(BINS / (high - low)), BINS - 1).astype(np.intp)
    counts, edges = np.bincount(places.ravel(), minlength=BINS), np.linspace(low, high, BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = values.size - below
    sums = np.cumsum(counts * middles)
    between = below * above * (sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)) ** 2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))  # a plateau where no value lies between the groups
    return float(edges[1:][best].mean())


def fit(ink: Gray) -> Gray:
    """Scale to a longest side of 20 pixels."""
    longest = max(ink.shape)
    height, width = (max(1, round(side * BOX / longest)) for side in ink.shape)
    return np.clip(_averaged(ink, height, width) if longest > BOX else bicubic(ink, height, width), 0, 1)


def bicubic(ink: Gray, height: int, width: int) -> Gray:
    """Return the ink with a larger size, by Pillow's kernel, which is softer than OpenCV's."""
    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC), np.float32)
