"""Find the printed lines of a box in the picture of a cell, and shadows at its border.

Decisions: lines are known by their place along the border and by their straightness, so that a stroke that touches the
border stays; strokes are closed again where they cross a line that is taken away.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.float32]
Mask = NDArray[np.uint8]  # 0 or 1

BAND = 0.17  # of the shorter side: a piece of a box lies this close to the border it touches
RING = 0.1  # of the shorter side: or this close to any border; a 0 that fills the picture is not
IN_BAND = 0.85  # of its pixels
FREE_LINE, FREE_THIN = 0.6, 0.05  # of the shorter side: length and thickness of a line that does not touch the border
MIN_LINED = 30  # pixels: in smaller pictures an upright stroke may be as straight as a line
THROUGH, THICKEST = 0.95, 7  # share of its pixels that a line from border to border has, and its thickness in pixels
ZONE, NEAR = 0.25, 0.2  # of the sides: a line lies this close to the border; one without corners, this close
CORNER = 0.08  # of the shorter side
FRAME = 0.7  # of the sides: the size of a whole box
MAX_LINE, MIN_RUN = 0.1, 0.85  # of the sides: thickness of a box's line, and its length
MAX_DEPTH = 0.16  # of the shorter side: a shadow at the border is deeper than half a stroke
HALO = 1  # pixels of blur around a printed line
SQUARE = np.ones((3, 3), np.uint8)


def box_pieces(mask: Mask, dark: Mask, has_box: bool) -> Mask:
    """Return the pixels of lines along the picture's border, of frames, and of shadows at the border."""
    height, width = mask.shape
    short = min(height, width)
    pieces = _long_lines(mask, dark)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask & (1 - pieces), connectivity=8)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    for part in range(1, count):
        left, top, wide, high, area = stats[part]
        from_sides = (rows, columns, height - 1 - rows, width - 1 - columns)
        touched = (top == 0, left == 0, top + high == height, left + wide == width)
        if has_box and min(wide, high) <= MAX_LINE * short:  # what is left of a line beside the border
            touched = (wide > high, high >= wide, wide > high, high >= wide)
        own = labels == part
        if any(touched):
            sides = [side < BAND * short for side, is_touched in zip(from_sides, touched, strict=True) if is_touched]
            sides += [side < RING * short for side in from_sides]
            near = np.any(np.broadcast_arrays(*sides), 0)
            is_line = (own & near).sum() >= IN_BAND * area and _fills_corners(own, round(CORNER * short))
            if is_line or _depth_at_border(dark & own) > MAX_DEPTH * short:
                pieces |= own
        elif max(wide, high) >= FREE_LINE * short and area <= FREE_THIN * short * max(wide, high):
            near = [side for side, runs in zip(from_sides, (wide > high, high > wide) * 2, strict=True) if runs]
            if np.any([(own & (side >= BAND * short)).sum() == 0 for side in near]):
                pieces |= own
        elif min(wide / width, high / height) >= FRAME:
            edge = max(2, round(BAND * min(wide, high) / 2))
            if own[top + edge : top + high - edge, left + edge : left + wide - edge].sum() <= (1 - IN_BAND) * area:
                pieces |= own
    return pieces


def _fills_corners(mask: Mask, size: int) -> bool:
    """Return whether the mask reaches each corner between borders that it touches; a 0 that fills a cell does not."""
    touched = [mask[0].any(), mask[:, -1].any(), mask[-1].any(), mask[:, 0].any()]  # clockwise, as the corners
    size = max(2, size)
    corners = (mask[:size, -size:], mask[-size:, -size:], mask[-size:, :size], mask[:size, :size])
    return all(corner.any() for place, corner in enumerate(corners) if touched[place] and touched[(place + 1) % 4])


def _depth_at_border(mask: Mask) -> float:
    """Return half the width of the widest stroke at the picture's border, which is no end of one."""
    far = depths(mask, cv2.BORDER_REPLICATE)
    return float(max(far[[0, -1]].max(), far[:, [0, -1]].max()))


def depths(mask: Mask, border: int) -> Gray:
    """Return how deep each pixel lies in its stroke; with BORDER_REPLICATE, the picture's border is no end of one."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, border)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1], np.float32)


def _long_lines(mask: Mask, dark: Mask) -> Mask:
    """Return straight lines near the border that leave the picture or form a frame, without strokes that cross."""
    lines = _through_lines(mask)
    if min(mask.shape) >= MIN_LINED:
        lines |= _frame_lines(dark)
    if not lines.any():
        return lines
    thickness = max(2, round(MAX_LINE * min(mask.shape)))
    lines = grown(lines, HALO) & mask
    return lines & ~bridged(dark & ~lines, lines, 2 * (thickness + HALO) + 1)


def _through_lines(mask: Mask) -> Mask:
    """Return lines from border to border, which may lean by a pixel; not the bar of a digit that fills the picture."""
    lines = np.zeros((4, *mask.shape), np.uint8)
    for turns in range(4):  # the lines along the first rows
        rows = np.rot90(mask, turns)
        filled = rows.sum(1, dtype=np.intp)
        if (filled[:-2] + filled[1:-1] + filled[2:]).max(initial=0) < THROUGH * rows.shape[1]:
            continue  # no three rows have as many pixels as a line; a dotted one is none
        full = grown(np.ascontiguousarray(rows)).mean(1) >= THROUGH  # may lean by a pixel
        places = np.flatnonzero(full[: round(NEAR * len(rows))])
        if len(places) and np.ptp(places) < max(MAX_LINE * len(rows), THICKEST) + 2:  # grown on both sides
            np.rot90(lines[turns], turns)[places] = rows[places]
    rest = mask & ~grown(lines.max(0), HALO)
    for turns in range(4):
        if not lines[(turns + 2) % 4].any() and np.rot90(rest, turns)[-1].any():
            lines[turns] = 0
    return np.asarray(lines.max(0), np.uint8)


def _frame_lines(dark: Mask) -> Mask:
    """Return long thin lines near the border that leave the picture or have a corner."""
    height, width = dark.shape
    lines = np.zeros_like(dark)
    for axis, side, other in ((0, width, height), (1, height, width)):
        length, thick = max(8, round(MIN_RUN * side)), max(2, round(MAX_LINE * other))
        if dark.sum(1 - axis, dtype=np.intp).max() < length:
            continue
        kernel = np.ones((1, length) if axis == 0 else (length, 1), np.uint8)
        run = cv2.morphologyEx(dark, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        count, labels, stats, centers = cv2.connectedComponentsWithStats(run, connectivity=8)
        for part in range(1, count):
            along, area = stats[part, 2 + axis], stats[part, 4]
            middle = centers[part, 1 - axis]
            if area <= thick * along and min(middle, other - 1 - middle) <= ZONE * other:
                lines |= (labels == part).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
    for part in range(1, count):
        left, top, wide, high, _ = stats[part]
        leaves = left == 0 or top == 0 or left + wide == width or top + high == height
        is_corner = wide > MAX_LINE * width * 2 and high > MAX_LINE * height * 2
        if not leaves and not is_corner:
            lines[labels == part] = 0
    return lines


def bridged(ink: Mask, gaps: Mask, length: int) -> Mask:
    """Return the pixels of gaps that lie between ink in one of eight directions, at most `length` apart."""
    result = np.zeros_like(ink)
    length |= 1
    middle = length // 2
    if not (cv2.dilate(ink, np.ones((length, length), np.uint8)) & gaps).any():
        return result
    padded = cv2.copyMakeBorder(ink, length, length, length, length, cv2.BORDER_CONSTANT, value=0)
    for angle in np.arange(8) * np.pi / 8:
        kernel = np.zeros((length, length), np.uint8)
        step = np.array([np.cos(angle), np.sin(angle)]) * middle
        ends = [tuple(int(v) for v in np.rint(middle + sign * step)) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1)
        closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)
        result |= np.asarray(closed, np.uint8)[length:-length, length:-length]
    return result & gaps


def grown(mask: Mask, steps: int = 1) -> Mask:
    """Return the mask with its neighbors."""
    return np.asarray(cv2.dilate(mask, SQUARE, iterations=steps), np.uint8)
