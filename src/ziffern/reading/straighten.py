"""Straighten found boxes, and cut them out without their lines.

Decisions: a page that is only rotated stays a page; rows in perspective or on curved paper are warped box by box
through their own corners and stacked; the lines of a box are removed where nothing crosses them, so that a stroke stays
whole.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ziffern.reading.boxes import Gray, Points, sides

PixelBox = tuple[int, int, int, int]  # left, top, right, bottom

MAX_SKEW = 0.07  # of a box's height: corners of a box that is only rotated
MIN_ANGLE = 0.05  # degrees
MARGIN = 0.4  # around a warped row or grid, as a share of a box
PADDING = 0.25  # around a cut-out, as a share of its height: for strokes that leave the box
BAND = 0.14  # of the height: a line is this close to the edge of its box
MAX_LINE = 0.12  # of the height
HALF = 0.5  # of the ink of a component, of the length of a line
MIN_CONTRAST = 12.0  # gray levels between ink and paper


def rotated_page(gray: Gray, rows: list[list[Points]]) -> tuple[Gray, list[list[PixelBox]]] | None:
    """Return the page with these boxes (4, 2) upright; None if a rotation does not suffice."""
    quads = np.array([quad for row in rows for quad in row], np.float32)
    _, along, down = sides(quads)
    angle = float(np.median(np.degrees(np.arctan2(along[:, 1], along[:, 0]))))
    page, matrix = rotated(gray, angle)
    quads = cv2.transform(quads, matrix)
    upright = np.stack([_bounds(quad) for quad in quads])  # (N, 4)
    ideal = upright[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    skew = np.abs(ideal - quads).max((1, 2)) / np.linalg.norm(down, axis=1)
    if np.percentile(skew, 90) > MAX_SKEW:
        return None
    boxes = iter([_pixels(bounds) for bounds in upright])
    return page, [[next(boxes) for _ in row] for row in rows]


def rotated(gray: Gray, angle: float) -> tuple[Gray, NDArray[np.float64]]:
    """Return the picture turned by an angle in degrees and enlarged to hold all of it, and the matrix (2, 3)."""
    height, width = gray.shape
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1), np.float64)
    if abs(angle) < MIN_ANGLE:
        return gray, np.eye(2, 3)
    corners = np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)]) @ matrix.T
    matrix[:, 2] -= corners.min(0)
    size = np.ceil(np.ptp(corners, 0)).astype(int)
    shape = int(size[0]), int(size[1])
    return cv2.warpAffine(gray, matrix, shape, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), matrix


def warped_grid(gray: Gray, corners: Points) -> tuple[Gray, list[list[PixelBox]]]:
    """Return a grid with these crossings (rows + 1, columns + 1, 2) in a picture of its own, and its boxes."""
    wide = float(np.median(np.linalg.norm(np.diff(corners, axis=1), axis=2)))
    tall = float(np.median(np.linalg.norm(np.diff(corners, axis=0), axis=2)))
    zoom = max(1.0, 40 / min(wide, tall))
    ys, xs = (
        np.asarray(length * zoom * (np.arange(count) + MARGIN), np.float64)
        for length, count in zip((tall, wide), corners.shape, strict=False)
    )
    picture = _warp(gray, corners, xs, ys)
    cells = [[(xs[i], ys[j], xs[i + 1], ys[j + 1]) for i in range(len(xs) - 1)] for j in range(len(ys) - 1)]
    return picture, [[_pixels(np.array(cell)) for cell in row] for row in cells]


def warped_rows(gray: Gray, rows: list[list[Points]]) -> tuple[Gray, list[list[PixelBox]]]:
    """Return rows of boxes (4, 2), each straightened by its own corners, one below the other."""
    strips, places, top = [], [], 0
    for row in rows:
        knots = np.array([[quad[[0, 3]], quad[[1, 2]]] for quad in row]).reshape(-1, 2, 2)  # left and right of each box
        steps = np.linalg.norm(np.diff(knots, axis=0), axis=2).mean(1)
        tall = float(np.median(np.linalg.norm(knots[:, 1] - knots[:, 0], axis=1)))
        zoom = max(1.0, 40 / tall)
        xs = zoom * (MARGIN * tall + np.concatenate([[0.0], np.cumsum(np.maximum(steps, 0.5))]))
        ys = np.asarray(zoom * tall * (MARGIN + np.arange(2)), np.float64)
        strips.append(_warp(gray, knots.transpose(1, 0, 2), xs, ys))
        edges = [np.array([xs[2 * i], ys[0] + top, xs[2 * i + 1], ys[1] + top]) for i in range(len(row))]
        places.append([_pixels(edge) for edge in edges])
        top += len(strips[-1])
    return stacked(strips), places


def stacked(strips: list[Gray]) -> Gray:
    """Return pictures one below the other, with paper beside the narrow ones."""
    width = max(strip.shape[1] for strip in strips)
    paper = int(np.median(strips[0]))
    filled = [cv2.copyMakeBorder(s, 0, 0, 0, width - s.shape[1], cv2.BORDER_CONSTANT, value=paper) for s in strips]
    return np.concatenate(filled)


def _warp(gray: Gray, corners: Points, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> Gray:
    """Return the picture in which corner (row, column) lies at (xs[column], ys[row]), with a margin on all sides."""
    weights = []
    for places in (ys, xs):
        first, last = places[1] - places[0], places[-1] - places[-2]
        knots = np.concatenate([[places[0] - first], places, [places[-1] + last]])
        at = np.interp(np.arange(round(places[-1] + min(places[0], last))), knots, np.arange(len(knots)))
        weights.append(np.maximum(0, 1 - np.abs(at[:, None] - np.arange(len(knots)))))
    wide = np.concatenate([2 * corners[:1] - corners[1:2], corners, 2 * corners[-1:] - corners[-2:-1]])
    wide = np.concatenate([2 * wide[:, :1] - wide[:, 1:2], wide, 2 * wide[:, -1:] - wide[:, -2:-1]], 1)
    maps = [(weights[0] @ wide[..., axis] @ weights[1].T).astype(np.float32) for axis in (0, 1)]
    picture = cv2.remap(gray, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picture, np.uint8)


def _bounds(quad: Points) -> Points:
    """Return left, top, right, bottom: the mean of each side."""
    (left, _), (right, _) = quad[[0, 3]].mean(0), quad[[1, 2]].mean(0)
    (_, top), (_, bottom) = quad[:2].mean(0), quad[2:].mean(0)
    return np.array([left, top, right, bottom], np.float32)


def _pixels(bounds: NDArray[np.floating]) -> PixelBox:
    left, top, right, bottom = (round(float(value)) for value in bounds)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def cut_out(gray: Gray, box: PixelBox, *, is_boxed: bool = True) -> Gray:
    """Return a box of a straightened dark-on-light picture with a margin, without its lines and its neighbors' ink."""
    left, top, right, bottom = box
    height = bottom - top
    pad = round(PADDING * height) if is_boxed else round(0.08 * height)
    x, y = max(left - pad, 0), max(top - pad, 0)
    crop = gray[y : bottom + pad, x : right + pad]
    inner = left - x, top - y, right - x, bottom - y
    paper = cv2.morphologyEx(cv2.medianBlur(crop, 3), cv2.MORPH_CLOSE, np.ones((2 * (height // 3) + 1,) * 2, np.uint8))
    depth = cv2.subtract(paper, crop)
    level, _ = cv2.threshold(depth, 0, 255, cv2.THRESH_OTSU)
    ink = (depth > max(0.7 * level, MIN_CONTRAST)).astype(np.uint8)
    gone = np.zeros_like(ink)
    if is_boxed:
        for is_row in (True, False):
            view, drop = (ink, gone) if is_row else (ink.T, gone.T)
            start, stop = (inner[0], inner[2]) if is_row else (inner[1], inner[3])
            chunks = np.array_split(
                np.arange(view.shape[1])[max(start - pad, 0) : stop + pad], max(1, (stop - start) // height)
            )
            for index, edge in enumerate(inner[1::2] if is_row else inner[::2]):
                turn = slice(None, None, -1 if index else 1)  # so that the inside lies below the edge
                at = len(view) - 1 - edge if index else edge
                for part in (slice(chunk[0], chunk[-1] + 1) for chunk in chunks):
                    _mark_line(view[turn, part], drop[turn, part], at, height)
    kept = ink & (1 - gone)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(kept, connectivity=8)
    inside = labels[inner[1] : inner[3], inner[0] : inner[2]]
    share = np.bincount(inside.ravel(), minlength=len(stats)) / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    share[0] = 1
    gone |= (share < HALF)[labels].astype(np.uint8)
    kept &= (share >= HALF)[labels].astype(np.uint8)
    inside = np.zeros_like(ink)
    inside[inner[1] : inner[3], inner[0] : inner[2]] = 1
    paper = _smooth_paper(crop, inside & (1 - cv2.dilate(ink, np.ones((3, 3), np.uint8))), height / 5)
    ours = cv2.dilate(kept, np.ones((3, 3), np.uint8)) * (1 - gone)
    theirs = cv2.dilate(gone, np.ones((3, 3), np.uint8)) | (1 - inside)
    clean = np.where(theirs & (1 - ours), paper, np.where(inside, crop, np.maximum(paper - depth, 0))).astype(np.uint8)
    rows, columns = (np.flatnonzero((kept | inside).any(axis)) for axis in (1, 0))  # no more margin than strokes need
    return clean[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _smooth_paper(crop: Gray, is_paper: Gray, reach: float) -> NDArray[np.float32]:
    """Return the paper of a box, which may be shaded, continued below the ink and into the margin."""
    weight = is_paper.astype(np.float32) + 1e-4 * float(is_paper.mean())
    size = (round(4.9 * reach) | 1,) * 2  # of the stack blur that is nearest to this deviation, and much faster
    return np.asarray(cv2.stackBlur(weight * crop, size) / np.maximum(cv2.stackBlur(weight, size), 1e-12), np.float32)


def _mark_line(ink: Gray, gone: Gray, edge: int, height: int) -> None:
    """Mark in `gone` the line near row `edge`, above the inside of a box, except where a stroke crosses it."""
    reach = max(2, round(BAND * height))
    first, last = max(edge - reach, 0), min(edge + reach + 1, len(ink))
    filled = ink[first:last].mean(1)
    if not len(filled) or filled.max() < HALF:
        return
    drawn = filled >= max(0.5 * filled.max(), 0.35)
    middle = upper = lower = int(filled.argmax())
    while upper and drawn[upper - 1]:
        upper -= 1
    while lower + 1 < len(drawn) and drawn[lower + 1]:
        lower += 1
    if lower - max(upper, middle - reach // 2, edge - first - 1) > max(MAX_LINE * height, 3):  # a thick line is outside
        return
    upper, lower = max(first + upper - 1, 0), min(first + lower + 2, len(ink))  # with its blurred edges
    above, below = ink[max(upper - 2, 0) : upper].any(0), ink[lower : lower + 2].any(0)
    crossing = np.convolve(above & below, np.ones(3), "same") > 0
    if upper <= first or crossing.mean() > HALF:  # something thicker lies outside
        crossing[:] = False
    gone[upper:lower, ~crossing] = ink[upper:lower, ~crossing]
