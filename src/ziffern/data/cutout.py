"""Find the ink of a digit in a cell, and make of it an image like those of MNIST.

Decisions: two thresholds relative to the pen (hysteresis) keep the whole of a faint stroke without the paper's noise;
pieces of boxes and of neighbors are recognized by their place, so that nothing is lost because it is small; a known
empty form is subtracted, and strokes are closed again where they cross its print; strokes of a thin pen are widened on
a grid six times as fine, with every hole kept open.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ziffern.data import ground
from ziffern.data.box_lines import box_pieces, bridged, depths, grown
from ziffern.data.ground import BOX, MIN_CONTRAST, SIZE, blurred, dark_on_light, even, fit, otsu, quantile, reduced

Gray = NDArray[np.float32]
Mask = NDArray[np.uint8]  # 0 or 1

MIN_SIGNAL = 4.0  # of ink, in standard deviations of the paper's noise
PEN = 0.6  # quantile of the ink: the pen's usual darkness
LOW, HIGH = 0.10, 0.35  # of the pen's darkness: kept where it is connected to the high level
LOW_NOISE, HIGH_NOISE = 2.0, 4.0  # the least levels, in standard deviations of the noise
MIN_EXTENT = 0.15  # of the largest part: the bar of a 5 is longer, dust is not
MAIN = 0.4  # of the largest part's length: parts inside that are as long are the digit, not those at the border
MAX_DOT, NEAR = 0.25, 0.1  # of the largest part: a decimal point's length, and how far a piece of a broken stroke lies
MAX_BLOT = 0.42  # of the largest part's length: strokes are thinner
MAX_PARTS, MIN_SHARE = 6, 0.35  # more parts, none of which has this share of the ink, are noise
FIELD = 1.8  # width by height from which on there are several digits
MIN_SIZE = 0.1  # of the picture's shorter side: the largest part is longer
FAR, FAINT_MASS = 2.5 / BOX, 0.35  # a neighbor: distance, as a share of the digit's height, and share of its mass
MAX_SHIFT = 2.5 / 60  # of the sides: between the empty form and the page
PRINTED = 0.4  # of the print's darkness: its outline
MIN_GRAY = 0.1  # fainter edges do not count for the box
FINE = 6  # pixels of the fine grid per pixel of MNIST
THIN, WIDENED = 1.4, 2.0  # stroke width in the box of 20; in MNIST half are below 2.5
OPEN = 0.3  # of a hole's depth stays open
EVEN = 2 / BOX  # of the digit's height: the reach over which darkness is evened out
EVEN_SIZE = 64  # pixels: darkness is smooth
INK = 0.5  # of the pen's darkness, at the outline of a stroke
PASSES = 4
MIN_NOISE = 0.008  # of the paper's brightness: what JPEG leaves
SAMPLED, RIDGE = 30, 1e-3  # points per side that a shade is fitted to, and a penalty that keeps it solvable
SHADE = 3.0  # standard deviations of noise: paper
NOISY = 0.1  # of the pen's darkness: from here on noise is smoothed
SIDE = 60  # pixels of a cell at 200 dpi, where one pixel of smoothing does no harm
DARK, SMUDGE = 0.75, 0.4  # quantile of a part's darkness, and its share of the digit's
UNEVEN = 0.8  # of the pen's darkness: fainter strokes are made darker


def ink_of(gray: NDArray[np.uint8], blank: NDArray[np.uint8] | None = None, is_dark: bool | None = None) -> Gray:
    """Return the ink of a cell or field, (h, w) in 0 to 1, without paper, box lines and specks; zeros if it is empty.

    Args:
        gray: (h, w), dark on light or light on dark.
        blank: The same region of the empty form, registered within MAX_SHIFT; its print is removed.
        is_dark: Whether the ink is darker than the paper; None recognizes it.
    """
    nothing = np.zeros(gray.shape, np.float32)
    if min(gray.shape) <= 1:
        return nothing
    contrast = even(dark_on_light(gray.astype(np.float32), is_dark if blank is None else True))
    if blank is not None:
        contrast = _without_print(contrast, even(blank.astype(np.float32)))
    pieces = np.zeros(gray.shape, np.uint8)
    for _ in range(PASSES):  # a dark line hides the paper's noise and the pen's darkness
        if pieces.all() or np.ptp(contrast[pieces == 0]) < MIN_CONTRAST:
            return nothing
        contrast, noise, pen = _leveled(contrast, pieces)
        if pen < max(MIN_SIGNAL * noise, MIN_CONTRAST):
            return nothing
        low, high = max(LOW * pen, LOW_NOISE * noise), max(HIGH * pen, HIGH_NOISE * noise)
        mask = _hysteresis(np.where(pieces, 0, contrast), low, high)
        found = box_pieces(mask, mask & (contrast > max(INK * pen, high)), bool(pieces.any()))
        if not found.any():
            break
        rest = mask & ~found
        pieces |= grown(found) & ~rest
        mask = rest
    mask = _digit_parts(mask)
    if not mask.any():
        return nothing
    mask = _without_smudges(mask, contrast)
    edges = grown(mask) & ~pieces
    return _evened(np.where(edges & (contrast > LOW_NOISE * noise), contrast, 0).astype(np.float32), mask)


def _leveled(contrast: Gray, pieces: Mask) -> tuple[Gray, float, float]:
    """Return the contrast above the paper, less what shade is left, the paper's noise, and the pen's usual darkness."""
    for smooths in (True, False):
        values = contrast[pieces == 0]
        threshold = otsu(values)
        paper = values[values <= threshold]
        level = quantile(paper, 0.5)
        noise = 1.4826 * quantile(np.abs(paper - np.float32(level)), 0.5)
        noise = max(noise, MIN_NOISE) if noise > MIN_NOISE / 10 else 0.0  # else it is rendered or cut out already
        pen = quantile(values[values > threshold], PEN) - level
        if not smooths or not noise:
            break
        contrast = contrast - _shade(contrast, (pieces == 0) & (np.abs(contrast - level) < SHADE * noise))
        contrast = np.where(pieces, np.float32(level), contrast)  # else the blur spreads a dark line
        if noise > NOISY * pen:
            deviation = float(np.clip(min(contrast.shape) / SIDE, 0.5, 2))
            contrast = blurred(contrast, deviation)
    return contrast - np.float32(level), noise, pen


def _shade(contrast: Gray, paper: NDArray[np.bool_]) -> Gray:
    """Return the polynomial of second degree that fits the paper best."""
    terms = _terms(contrast.shape)
    step = max(1, min(contrast.shape) // SAMPLED)
    chosen = paper[::step, ::step]
    known, values = terms[::step, ::step][chosen], contrast[::step, ::step][chosen]
    weights = np.linalg.solve(known.T @ known + RIDGE * np.eye(len(terms.T), dtype=np.float32), known.T @ values)
    return np.asarray(terms @ weights, np.float32)


@lru_cache(16)
def _terms(shape: tuple[int, int]) -> Gray:
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in shape)
    y = y[:, None]
    columns = np.broadcast_arrays(np.ones(shape, np.float32), x, y, x**2, y**2, x * y)
    return np.ascontiguousarray(np.stack(columns, -1))  # (h, w, 6)


def _hysteresis(contrast: Gray, low: float, high: float) -> Mask:
    """Return the pixels above the low level that are connected to one above the high level."""
    mask = (contrast > low).astype(np.uint8)
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    keep = np.zeros(count, np.uint8)
    keep[labels[contrast > high]] = 1
    keep[0] = 0
    return np.asarray(keep[labels], np.uint8)


def _evened(contrast: Gray, mask: Mask) -> Gray:
    """Return the ink in 0 to 1, as dark at the faint end of a stroke as at its start."""
    pen = quantile(contrast[mask > 0], 0.75)
    rows = np.flatnonzero(mask.any(1))
    reach = EVEN * max(rows[-1] - rows[0] + 1, 1)
    width = 2 * round(reach / 2) + 1
    top = cv2.dilate(np.minimum(contrast, pen), np.ones((width, width), np.uint8))
    weight = (top > 0).astype(np.float32)
    small = [reduced(each, EVEN_SIZE) for each in (top * weight, weight)]
    deviation = max(reach * max(small[0].shape) / max(mask.shape), 0.5)
    total, count = (ground.enlarged(blurred(each, deviation), *mask.shape) for each in small)
    local = np.where(mask > 0, total / np.maximum(count, 1e-6), pen)
    return np.asarray(np.clip(contrast / np.clip(local / UNEVEN, 0.3 * pen, pen), 0, 1), np.float32)


def _without_print(contrast: Gray, printed: Gray) -> Gray:
    """Return the contrast without the ink of the empty form, except where a stroke crosses it."""
    if np.ptp(printed) < MIN_CONTRAST:
        return contrast
    shift = max(1, round(MAX_SHIFT * min(contrast.shape)))
    padded = cv2.copyMakeBorder(printed, shift, shift, shift, shift, cv2.BORDER_REPLICATE)
    match = cv2.matchTemplate(padded, contrast, cv2.TM_CCORR)
    top, left = np.unravel_index(int(match.argmax()), match.shape)
    aligned = padded[top : top + contrast.shape[0], left : left + contrast.shape[1]]
    outline = max(PRINTED / 2 * quantile(printed, 0.995), MIN_CONTRAST)
    gaps = grown((aligned > outline).astype(np.uint8))
    values = contrast[gaps == 0] if not gaps.all() else contrast
    level = quantile(values, 0.5)
    noise = 1.4826 * quantile(np.abs(values - np.float32(level)), 0.5)
    signal = max(HIGH * (quantile(values, 0.99) - level), HIGH_NOISE * noise, MIN_CONTRAST)
    rest = np.where(gaps, np.float32(level), contrast)
    crossed = bridged((rest > level + signal).astype(np.uint8), gaps, 2 * shift + 5)
    return np.where(crossed, contrast, rest)


def _digit_parts(mask: Mask) -> Mask:
    """Return the parts of the digit: no specks, no dots beside it, and nothing small at the border and far away."""
    height, width = mask.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count == 1:
        return mask
    left, top, wide, high, area = stats[1:].T
    extents = np.maximum(wide, high)
    inner = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    if not inner.any() or extents[inner].max() < MAIN * extents.max():
        inner[:] = True
    largest = extents[inner].max()
    is_blot = depths(mask, cv2.BORDER_CONSTANT).max() > MAX_BLOT * extents.max()
    is_noise = count > MAX_PARTS and area.max() < MIN_SHARE * area.sum()
    if largest < MIN_SIZE * min(height, width) or is_blot or (is_noise and width < FIELD * height):
        return np.zeros_like(mask)
    keep = extents >= MIN_EXTENT * largest
    is_dot = (extents < MAX_DOT * largest) & (2 * np.minimum(wide, high) >= extents)
    is_strange = ~inner & (width < FIELD * height) & (area < FAINT_MASS * area[inner & keep].sum())
    suspects = keep & (is_dot | is_strange)
    if suspects.any() and (keep & ~suspects).any():
        digit = np.append(False, keep & ~suspects)[labels].astype(np.uint8)
        away = cv2.distanceTransform(1 - digit, cv2.DIST_L2, cv2.DIST_MASK_5)
        for part in np.flatnonzero(suspects):
            limit = (FAR if is_strange[part] else NEAR) * largest
            keep[part] = away[labels == part + 1].min() <= limit
    return np.asarray(np.append(False, keep)[labels], np.uint8)


def _without_smudges(mask: Mask, contrast: Gray) -> Mask:
    """Return the parts that are not much fainter than the digit: no rubbed-out writing, and no print of the back."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    if count == 2:  # noqa: PLR2004  # one part
        return mask
    pen = quantile(contrast[mask > 0], DARK)
    dark = [part > 0 and quantile(contrast[labels == part], DARK) >= SMUDGE * pen for part in range(count)]
    return np.asarray(np.array(dark)[labels], np.uint8)


def digit_image(ink: Gray) -> NDArray[np.uint8]:
    """Return the ink (h, w) in 0 to 1 of one digit as in MNIST: (28, 28) uint8, white on black; zeros without ink."""
    rows, columns = (np.flatnonzero((ink > MIN_GRAY).any(axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros((SIZE, SIZE), np.uint8)
    if ink.max() <= INK:  # a faint part of a string
        ink = ink / ink.max()
    return _center(fit(_widened(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])))


def _widened(ink: Gray) -> Gray:
    """Return thin strokes at least WIDENED wide: scaled to 20 pixels they would be fainter than any digit of MNIST."""
    scale = max(1, FINE * BOX / max(ink.shape))
    shape = [max(1, round(side * scale)) for side in ink.shape]
    fine = ink if scale == 1 else ground.bicubic(ink, *shape)
    mask = (fine > INK).astype(np.uint8)
    if not mask.any():
        return ink
    pixel = max(shape) / BOX  # of MNIST
    depth = float(depths(mask, cv2.BORDER_CONSTANT)[mask > 0].mean())
    width = 4 * (depth - 0.5) / pixel  # a stroke's mean depth is a quarter of its width
    if width >= THIN:
        return ink
    grow = (WIDENED - width) * pixel / 2 / (1 - WIDENED / BOX)  # the box grows too
    mask = cv2.copyMakeBorder(mask, *(int(np.ceil(grow)) + 1,) * 4, cv2.BORDER_CONSTANT)
    away = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    count, holes = cv2.connectedComponents(1 - mask, connectivity=4)
    limits = np.full(count, grow, np.float32)
    for hole in range(1, count):
        if hole != holes[0, 0]:
            limits[hole] = min(grow, OPEN * float(away[holes == hole].max()))
    return np.asarray(np.clip(limits[holes] + 1 - away, 0, 1), np.float32)


def _center(ink: Gray) -> NDArray[np.uint8]:
    """Place it in 28×28 pixels, center of mass at (14, 14) as in MNIST, and its brightest pixel at 255."""
    digit = np.zeros((SIZE, SIZE), np.uint8)
    total = max(float(ink.sum()), 1e-6)
    sums = ink.sum(1) @ np.arange(ink.shape[0]), ink.sum(0) @ np.arange(ink.shape[1])
    top, left = (
        min(max(round(SIZE / 2 - float(part) / total), 0), SIZE - length)
        for part, length in zip(sums, ink.shape, strict=True)
    )
    digit[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(ink * (255 / max(float(ink.max()), 1e-6)))
    return digit
