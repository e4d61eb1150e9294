"""Turn a drawing, photo or scan of one handwritten digit into an image like those of MNIST.

Decisions: the steps are those of LeCun et al. (1998, "Gradient-based learning applied to document recognition",
section III.A): the ink, with its aspect kept, in a box of 20×20 pixels, anti-aliased, and its center of mass at the
center of 28×28. The brightness of the paper is evened out before thresholding, since no single threshold
fits both ends of a shadow; on a uniform canvas this changes nothing. Gray edges are kept, so that a digit of MNIST is
returned unchanged.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ziffern.errors import InputError

Gray = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIZE, BOX = 28, 20  # pixels of an image of MNIST, and the longest side of its digit
WORKING_SIZE = 512  # more pixels only add the noise of a photo
PAPER_SIZE = 128  # shading is smooth
SMALL_SIZE = 48  # enough to tell paper from ink
NEIGHBORS = np.ones((3, 3), np.bool_)  # all eight
MIN_PAPER = 0.4  # of the brightest paper; anything darker is ink
MIN_CONTRAST = 0.03  # of ink, as a share of the paper's brightness
MIN_SIGNAL = 4.0  # of ink, in standard deviations of the paper's noise
MIN_EXTENT = 0.15  # of the largest part: the bar of a 5 is longer, dust is not
MIN_GRAY = 0.1  # fainter edges do not count for the box
THIN, THICKENED = 1.5, 2.3  # stroke width in the box; in MNIST 1 % are below 1.4, half below 2.5


def as_digit(picture: NDArray[np.uint8], is_dark: bool | None = None) -> NDArray[np.uint8]:
    """Return the digit in a gray picture (H, W) as in MNIST: (28, 28) uint8, white on black.

    The picture may have any size, be dark on light or light on dark, unevenly lit, and have specks. Whether its ink is
    darker than the paper is recognized, unless `is_dark` states it.

    Raises:
        InputError: The picture has no pixels, or nothing is drawn on it.
    """
    if picture.size == 0:
        height, width = picture.shape
        raise InputError("data.drawing.no_pixels", width=width, height=height)
    ink = _find_ink(dark_on_light(reduced(picture, WORKING_SIZE), is_dark))
    rows, columns = (np.flatnonzero((ink > MIN_GRAY).any(axis)) for axis in (1, 0))
    ink = _thicken(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return _center(_fit(ink))


def reduced(picture: NDArray[np.uint8] | Gray, size: int) -> Gray:
    """Return the picture (H, W) float32 in 0 to 255, averaged to at most `size` pixels per side."""
    height, width = picture.shape
    scale = min(1.0, size / max(height, width))
    smaller = max(1, round(width * scale)), max(1, round(height * scale))
    return _resize(picture.astype(np.float32), smaller, Image.Resampling.BOX)


def _resize(picture: Gray, size: tuple[int, int], how: Image.Resampling) -> Gray:
    """Return the picture resized to (width, height), in Pillow's order."""
    return np.asarray(Image.fromarray(picture).resize(size, how), np.float32)


def dark_on_light(gray: Gray, is_dark: bool | None = None) -> Gray:
    """Invert light ink on dark paper: strokes differ from the blurred picture in one direction, shading in both."""
    if is_dark is not None:
        return gray if is_dark else 255 - gray
    small = reduced(gray, SMALL_SIZE)
    excess = small - ndimage.gaussian_filter(small, max(small.shape) / 10, mode="nearest")
    return 255 - gray if (excess**3).sum() > 0 else gray


def _find_ink(gray: Gray) -> Gray:
    """Return how much of each pixel is ink, 0 to 1, without paper, shading and specks."""
    contrast = even(gray)
    if np.ptp(contrast) < MIN_CONTRAST:
        raise InputError("data.drawing.nothing")
    mask = contrast > otsu(contrast)
    paper = contrast[~mask]
    level = np.median(paper)
    noise = 1.4826 * float(np.median(np.abs(paper - level)))
    contrast -= level
    if contrast[mask].mean() < MIN_SIGNAL * noise:
        raise InputError("data.drawing.nothing")
    mask = _digit_parts(mask)
    ink = np.clip(contrast / np.percentile(contrast[mask], 75), 0, 1)
    edges = ndimage.binary_dilation(mask, NEIGHBORS) & (contrast > 2 * noise)
    return np.where(edges, ink, 0).astype(np.float32)


def even(gray: Gray) -> Gray:
    """Return how much darker each pixel is than the paper, as a share of the paper's brightness."""
    return np.asarray(1 - gray / _paper(gray), np.float32)


def _paper(gray: Gray) -> Gray:
    """Return the brightness of the paper, also where ink hides it, by a closing wider than any stroke."""
    small = reduced(gray, PAPER_SIZE)
    smooth = ndimage.gaussian_filter(small, max(small.shape) / PAPER_SIZE)  # else the closing would follow the noise
    width = max(small.shape) // 4 + 1
    padded = np.pad(smooth, width)  # black outside, so that the closing reaches the corners' shade
    closed = ndimage.grey_closing(padded, size=2 * width + 1)[width:-width, width:-width]
    shade = np.maximum(closed, max(1.0, MIN_PAPER * float(closed.max())))
    return _resize(shade, (gray.shape[1], gray.shape[0]), Image.Resampling.BILINEAR)


def otsu(values: Gray) -> float:
    """Return the threshold that best separates two groups (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = values.size - below
    sums = np.cumsum(counts * middles)
    between = below * above * (sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)) ** 2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))  # a plateau where no value lies between the groups
    return float(edges[1:][best].mean())


def _digit_parts(mask: Mask) -> Mask:
    """Drop specks, and parts at the picture's edges (a shadow, the table) if there is a digit inside."""
    parts, _ = ndimage.label(mask, NEIGHBORS)
    places = ndimage.find_objects(parts)
    ends = np.array([[(side.start, side.stop) for side in place] for place in places])  # (parts, 2, 2)
    extents = np.ptp(ends, 2).max(1)
    sides = (ends == np.stack([(0, 0), mask.shape], 1)).sum((1, 2))  # how many of the picture's sides a part touches
    wanted = extents >= MIN_EXTENT * extents.max()
    inner = wanted & (sides <= 1)  # a digit drawn over one edge is still a digit
    if inner.any():
        wanted = inner & (extents >= MIN_EXTENT * extents[inner].max())
    return np.asarray(np.append(False, wanted)[parts], np.bool_)


def _thicken(ink: Gray) -> Gray:
    """Widen the strokes of a thin pen: scaled to 20 pixels they would be fainter than any digit of MNIST."""
    mask = ink > 1 / 2
    size = max(ink.shape)
    width = 4 * (ndimage.distance_transform_edt(mask)[mask].mean() - 1 / 2)  # a stroke's mean depth is width / 4
    if width * BOX >= THIN * size:
        return ink
    grow = (THICKENED * size / BOX - width) / 2 / (1 - THICKENED / BOX)  # the box grows too
    padded = np.pad(ink, int(np.ceil(grow)))
    distance = ndimage.distance_transform_edt(padded <= 1 / 2)
    return np.asarray(np.maximum(padded, np.clip(grow + 1 - distance, 0, 1)), np.float32)


def _fit(ink: Gray) -> Gray:
    """Scale to a longest side of 20 pixels."""
    height, width = ink.shape
    longest = max(height, width)
    size = max(1, round(width * BOX / longest)), max(1, round(height * BOX / longest))
    how = Image.Resampling.BOX if longest > BOX else Image.Resampling.BICUBIC
    return np.asarray(np.clip(_resize(ink, size, how), 0, 1), np.float32)


def _center(ink: Gray) -> NDArray[np.uint8]:
    """Place it in 28×28 pixels, center of mass at (14, 14) as in MNIST, and its brightest pixel at 255."""
    digit = np.zeros((SIZE, SIZE), np.uint8)
    places = zip(ndimage.center_of_mass(ink), ink.shape, strict=True)
    top, left = (min(max(round(SIZE / 2 - mass), 0), SIZE - length) for mass, length in places)
    digit[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(ink * (255 / ink.max()))
    return digit
