"""Boxes drawn on a page, and their order in rows and grids: what can be read without a template.

Decisions: a box is a piece of paper enclosed by ink; several binarizations are tried, since a digit may touch its box
and a thin line may be faint, and a box found by any of them counts. A grid is the lattice of its boxes: missing ones
are filled in by a smooth surface through the corners of the others, which follows curved paper.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Points = NDArray[np.floating]

MIN_WORKING_SIZE, WORKING_SIZE = 1600, 2400  # pixels of the longest side; A4 at 200 dpi has 2339
MIN_SIDE = 9  # pixels of a box
MIN_SQUARENESS, MIN_FILLED = 0.82, 0.62  # hull to its rectangle (a circle has 0.785), and outline to hull
MIN_DRAWN, SMALL_SIDE = 0.85, 30  # of each side of a box, to 3 pixels, or 2 if the box has sides below the second
WINDOW = 0.55  # darkness of a window, as a share of the ground's brightness
MAX_ASPECT = 1.4  # width to height of a box for one digit; wider ones have strings
SAME = 0.78  # ratio of two sides that count as equal
ROW_GAP, COLUMN_GAP = 1.4, 0.3  # between boxes of one row or column, as shares of their height
MAX_OVERLAP, MAX_SHIFT = 0.2, 0.3  # of boxes in a row, and across it
CUBIC, MIN_SHARE = 5, 0.7  # rows or columns, and known corners, for a cubic surface
MAX_BEND = 0.25  # of a box: from the smooth surface; more is an error
MAX_BOXES = 5000  # of a picture: they are compared in pairs
NEIGHBORS = 24  # nearest boxes, among which the next one of a row or column is


class Boxes(NamedTuple):
    """Corners (N, 4, 2) of boxes, clockwise from the top left, in pixels; whether further ones were left out."""

    corners: Points
    is_cut: bool


def working_scale(gray: Gray) -> float:
    """Return by what a picture is scaled before boxes are sought."""
    longest = max(gray.shape)
    return float(min(WORKING_SIZE / longest, max(1.0, min(3.0, MIN_WORKING_SIZE / longest))))


def find_boxes(gray: Gray) -> Boxes:
    """Return boxes by their inner corners; lines are dark."""
    scale = working_scale(gray)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=how)
    found, is_cut = np.zeros((0, 4, 2), np.float32), False
    for mask, ink, shortest in _masks(small):
        enclosed = _limited(_enclosed(mask, shortest))
        quads = _supported(enclosed.corners, ink)
        found = np.concatenate([found, quads[~_known(quads, found)]])
        is_cut |= enclosed.is_cut or len(found) > MAX_BOXES
        found = found[:MAX_BOXES]
    return Boxes(_divided(found) / np.float32(scale), is_cut)


def _limited(quads: Iterator[Points]) -> Boxes:
    some = np.array(list(islice(quads, MAX_BOXES + 1)), np.float32).reshape(-1, 4, 2)
    return Boxes(some[:MAX_BOXES], len(some) > MAX_BOXES)


def _known(quads: Points, found: Points) -> NDArray[np.bool_]:
    """Return which boxes were found before."""
    centers, areas = found.mean(1), np.array([cv2.contourArea(quad) for quad in found])
    known = []
    for quad in quads:
        area = cv2.contourArea(quad)
        away = ((centers - quad.mean(0)) ** 2).sum(1)
        alike = (area * SAME**2 < areas) & (areas < area / SAME**2)
        known.append(bool((alike & (away < 0.1 * np.minimum(area, areas))).any()))
    return np.array(known, bool)


def dark_windows(gray: Gray) -> Boxes:
    """Return dark rectangles on lighter ground, such as the windows of a meter."""
    scale = working_scale(gray)
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    size = min(small.shape) // 4 | 1
    ground = cv2.morphologyEx(cv2.medianBlur(small, 5), cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    light = np.where(small > WINDOW * ground, 255, 0).astype(np.uint8)
    windows, is_cut = _limited(_enclosed(light, 2 * MIN_SIDE))
    return Boxes(windows / np.float32(scale), is_cut)


def _divided(quads: Points) -> Points:
    """Drop boxes that are made of smaller ones, or these: those of a size that fewer other boxes have.

    A line between two boxes was missed, or a stroke was taken for one.
    """
    centers, areas = quads.mean(1), np.array([cv2.contourArea(quad) for quad in quads])
    sizes = np.stack([np.linalg.norm(side, axis=1) for side in sides(quads)[1:]], 1)
    kept = np.ones(len(quads), bool)
    for index, (quad, area) in enumerate(zip(quads, areas, strict=True)):
        x, y, wide, tall = cv2.boundingRect(quad)
        near = (abs(centers - (x + wide / 2, y + tall / 2)) < (wide / 2, tall / 2)).all(1)
        inside = [
            part
            for part in np.flatnonzero(near & (areas < 0.7 * area) & (areas > 0.1 * area)).tolist()
            if cv2.pointPolygonTest(quad, centers[part].tolist(), False) > 0
        ]
        if len(inside) > 1 and areas[inside].sum() >= 0.7 * area:
            alike = [int(_alike(sizes, place, slice(None)).all(1).sum()) for place in [index, *inside]]
            kept[inside if alike[0] > max(alike[1:]) else index] = False
    return np.asarray(quads[kept])


def _masks(gray: Gray) -> Iterator[tuple[Gray, Gray, int]]:
    """Yield masks with ink 255, plain or the long lines alone; the plain one; the shortest side of a box."""
    smooth = cv2.GaussianBlur(gray, (3, 3), 0)
    for block, contrast in ((51, 15), (25, 8), (25, 4)):
        ink = cv2.adaptiveThreshold(smooth, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, contrast)
        yield ink, ink, MIN_SIDE
        for length in (17, 35):
            yield _long_lines(ink, length), ink, length


def _supported(quads: Points, ink: Gray) -> Points:
    """Return the boxes that have ink along each of their sides."""
    if not len(quads):
        return quads
    share = np.linspace(0.05, 0.95, 40, dtype=np.float32)[:, None]
    ends = np.roll(quads, -1, 1)
    places = quads[:, :, None] * (1 - share) + ends[:, :, None] * share  # (N, 4, 40, 2)
    drawn = [
        cv2.remap(cv2.dilate(ink, np.ones((size, size), np.uint8)), places.reshape(len(quads), -1, 2), None, 0) > 0
        for size in (5, 7)
    ]
    small = np.linalg.norm(ends - quads, axis=2).min(1) < SMALL_SIDE
    share_drawn = np.where(small[:, None], *drawn).reshape(len(quads), 4, -1).mean(2)
    return np.asarray(quads[share_drawn.min(1) >= MIN_DRAWN])


def _long_lines(ink: Gray, length: int) -> Gray:
    """Keep runs of ink of this length, also of slightly slanted or broken lines, and drop digits.

    A line is continued to one that it nearly meets: beside a thick dark line, a thin one is not seen as ink.
    """
    lines = np.zeros_like(ink)
    kernels = [np.ones(size, np.uint8) for size in ((1, length), (length, 1))]
    for kernel, across in zip(kernels, ((3, 1), (1, 3)), strict=True):
        runs = cv2.morphologyEx(cv2.dilate(ink, np.ones(across, np.uint8)), cv2.MORPH_OPEN, kernel)
        lines |= cv2.morphologyEx(runs, cv2.MORPH_CLOSE, kernel)
    joined = [cv2.morphologyEx(lines, cv2.MORPH_CLOSE, kernel[: length // 3, : length // 3]) for kernel in kernels]
    return np.asarray(joined[0] | joined[1], np.uint8)


def _enclosed(mask: Gray, shortest: int) -> Iterator[Points]:
    """Yield the corners of enclosed areas that are nearly rectangles."""
    height, width = mask.shape
    _, labels, stats, _ = cv2.connectedComponentsWithStats(255 - mask, connectivity=4)
    wide, tall, area = (stats[:, column] for column in (2, 3, 4))
    inside = (stats[:, 0] > 0) & (stats[:, 1] > 0) & (stats[:, 0] + wide < width) & (stats[:, 1] + tall < height)
    plausible = inside & (np.minimum(wide, tall) >= shortest) & (area > 0.35 * wide * tall)
    for label in np.flatnonzero(plausible):
        left, top = stats[label, :2]
        part = labels[top : top + tall[label], left : left + wide[label]] == label
        outlines, _ = cv2.findContours(part.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outline = max(outlines, key=cv2.contourArea)
        hull = cv2.convexHull(outline)
        full = float(cv2.contourArea(hull))
        corners = corners_of(hull[:, 0].astype(np.float32))
        quad = float(cv2.contourArea(corners))
        if (
            full
            and quad > MIN_SQUARENESS * full
            and cv2.contourArea(outline) > MIN_FILLED * full
            and _is_box(hull, full)
        ):
            yield corners + np.array([left, top], np.float32)


def _is_box(hull: NDArray[np.int32], area: float) -> bool:
    (_, (wide, tall), _) = cv2.minAreaRect(hull)
    return bool(area > MIN_SQUARENESS * wide * tall and min(wide, tall) >= MIN_SIDE)


def corners_of(points: Points) -> Points:
    """Return the extreme points (4, 2) towards the corners of the smallest rectangle, clockwise from the top left."""
    angle = np.deg2rad(cv2.minAreaRect(points)[2])
    angle -= np.round(angle / (np.pi / 2)) * (np.pi / 2)  # the side that is nearest to horizontal
    right = np.array([np.cos(angle), np.sin(angle)])
    along, down = points @ right, points @ np.array([-right[1], right[0]])
    along, down = along / max(float(np.ptp(along)), 1e-6), down / max(float(np.ptp(down)), 1e-6)
    order = [(-along - down), (along - down), (along + down), (down - along)]
    return np.asarray(points[[int(score.argmax()) for score in order]])


def sides(quads: Points) -> tuple[Points, Points, Points]:
    """Return the centers (N, 2), and the mean vectors (N, 2) along the top and down the left side."""
    along = (quads[:, 1] - quads[:, 0] + quads[:, 2] - quads[:, 3]) / 2
    down = (quads[:, 3] - quads[:, 0] + quads[:, 2] - quads[:, 1]) / 2
    return quads.mean(1), along, down


def lattices(quads: Points, *, is_grid: bool) -> list[dict[tuple[int, int], int]]:
    """Return connected groups of boxes: the index of the box at each (row, column).

    In a grid, boxes of equal size adjoin to the right and below; otherwise boxes of equal height follow in a row.
    """
    centers, along, down = sides(quads)
    wide, tall = np.linalg.norm(along, axis=1), np.linalg.norm(down, axis=1)
    free = set(np.flatnonzero(wide < (MAX_ASPECT if is_grid else 2 * MAX_ASPECT) * tall).tolist())
    order = sorted(free)
    nearest = dict(zip(order, _nearest(centers[order]), strict=True))
    groups = []
    while free:
        start = free.pop()
        places = {(0, 0): start}
        queue = deque([(0, 0)])
        while queue:
            row, column = queue.popleft()
            here = places[row, column]
            rest = np.array([order[near] for near in nearest[here] if order[near] in free], np.int64)
            if not len(rest):
                continue
            across = (centers[rest] - centers[here]) @ np.linalg.inv(np.stack([along[here], down[here]]))
            for step in ((0, 1), (0, -1), (1, 0), (-1, 0)) if is_grid else ((0, 1), (0, -1)):
                axis = 1 if step[0] else 0
                length, limit = (tall, COLUMN_GAP) if axis else (wide, COLUMN_GAP if is_grid else ROW_GAP)
                ahead = across[:, axis] * (step[0] + step[1]) * length[here]
                gap = (ahead - (length[here] + length[rest]) / 2) / tall[here]
                fits = (
                    (np.abs(across[:, 1 - axis]) < MAX_SHIFT)
                    & (gap > -MAX_OVERLAP)
                    & (gap < limit)
                    & _alike(tall, here, rest)
                )
                fits &= (
                    _alike(wide, here, rest)
                    if is_grid
                    else np.minimum(wide[here], wide[rest]) < MAX_ASPECT * tall[here]
                )
                place = row + step[0], column + step[1]
                if fits.any() and place not in places:
                    box = int(rest[fits][gap[fits].argmin()])
                    if box in free:
                        free.discard(box)
                        places[place] = box
                        queue.append(place)
        top, first = (min(place[axis] for place in places) for axis in (0, 1))
        groups.append({(row - top, column - first): box for (row, column), box in places.items()})
    return groups


def _nearest(centers: Points) -> NDArray[np.intp]:
    """Return the nearest NEIGHBORS of each center (N, 2), and itself, (N, up to 25)."""
    count = min(NEIGHBORS + 1, len(centers))
    chunks = np.array_split(centers, max(1, len(centers) // 64))
    away = (((chunk[:, None] - centers) ** 2).sum(2) for chunk in chunks)
    return np.concatenate([np.argpartition(part, count - 1, 1)[:, :count] for part in away])


def filled_row(gray: Gray, quads: Points) -> list[Points]:
    """Return the boxes of one row in order, with those added that were missed among adjoining ones."""
    centers, along, _ = sides(quads)
    order = np.argsort(centers @ np.median(along, 0))
    row = [quads[order[0]]]
    gaps = [float(np.linalg.norm(quads[b][[0, 3]].mean(0) - quads[a][[1, 2]].mean(0))) for a, b in pairwise(order)]
    wide = float(np.median(np.linalg.norm(along, axis=1)))
    for gap, index in zip(gaps, order[1:], strict=True):
        if np.median(gaps) < 0.2 * wide and gap > 0.7 * wide:
            whole = np.stack([row[-1][1], quads[index][0], quads[index][3], row[-1][2]])
            shares = np.linspace(0, 1, round(gap / wide) + 1)[:, None]
            top, bottom = (whole[i] * (1 - shares) + whole[j] * shares for i, j in ((0, 1), (3, 2)))
            missed = [np.stack(box).astype(np.float32) for box in zip(top, top[1:], bottom[1:], bottom, strict=False)]
            row += missed if _is_lined(gray, whole) else []
        row.append(quads[index])
    return row


def _is_lined(gray: Gray, quad: Points) -> bool:
    """Whether there are lines along the top and the bottom of a box, rather than the gap of a number."""
    smooth = cv2.GaussianBlur(gray, (3, 3), 0)
    ink = cv2.adaptiveThreshold(smooth, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 51, 8)
    share = np.linspace(0.1, 0.9, 40, dtype=np.float32)[:, None]
    edges = [quad[a] * (1 - share) + quad[b] * share for a, b in ((0, 1), (3, 2))]
    drawn = cv2.remap(cv2.dilate(ink, np.ones((7, 7), np.uint8)), np.array(edges, np.float32), None, cv2.INTER_NEAREST)
    return bool(drawn.mean(1).min() > MIN_SHARE)


def _alike(lengths: Points, here: int, rest: NDArray[np.int64] | slice) -> NDArray[np.bool_]:
    ratio = lengths[rest] / lengths[here]
    return np.asarray((ratio > SAME) & (ratio < 1 / SAME))


def grid_corners(quads: Points, places: dict[tuple[int, int], int]) -> Points:
    """Return the crossings (rows + 1, columns + 1, 2) of a grid's lines, in pixels."""
    rows, columns = (1 + max(place[axis] for place in places) for axis in (0, 1))
    sums, counts = np.zeros((rows + 1, columns + 1, 2)), np.zeros((rows + 1, columns + 1))
    for (row, column), box in places.items():
        for (down, right), corner in zip(((0, 0), (0, 1), (1, 1), (1, 0)), quads[box], strict=True):
            sums[row + down, column + right] += corner
            counts[row + down, column + right] += 1
    known = counts > 0
    y, x = np.mgrid[: rows + 1, : columns + 1]
    x, y = x / columns, y / rows
    degree = 3 if min(rows, columns) >= CUBIC and known.mean() > MIN_SHARE else 1
    terms = np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1) if i + j <= max(degree, 2)], -1)
    corners = np.where(known[..., None], sums / np.maximum(counts, 1)[..., None], 0)
    surface = terms @ np.linalg.lstsq(terms[known], corners[known], rcond=None)[0]
    distance = np.linalg.norm(corners - surface, axis=-1)
    size = float(np.linalg.norm(corners[0, -1] - corners[-1, 0])) / np.hypot(rows, columns)
    outlying = ~known | (distance > MAX_BEND * size)
    return np.where(outlying[..., None], surface, corners).astype(np.float32)
