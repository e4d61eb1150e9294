"""From a rough homography to a straightened page: local corrections for curled paper, and the warp itself.

Decisions: distinct places of the printed content are looked for near where the homography puts them, by normalized
correlation, which light and handwriting hardly disturb; a polynomial through their shifts, at most cubic and without
outliers, is added. The picture is warped once.
"""

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

FINE, COARSE = 4, 2  # pixels per mm, for corrections and for comparisons
PATCH, REACH = 6.0, 3.0  # mm: half the side of a place, and how far away it is looked for
SPACING, TILE = 7.0, 18.0  # mm between places; one place per tile
MIN_LIKENESS = 0.45  # correlation
DEGREES = (6, 15, 30)  # places for a degree of 1, 2, 3
SATURATED = 30  # levels darker than the paper: all ink is alike, the pen's and the printer's
OUTLIER = 0.4  # mm
NODE = 16  # pixels between the nodes of the warp
SLACK = 0.1  # pictures are shrunk by whole numbers, the fast way: 1.9 is 2
Array = NDArray[Any]


class Reference(NamedTuple):
    """The ink (h, w) of a form without handwriting, and places (n, 2) in pixels by which it is aligned."""

    ink: NDArray[np.uint8]
    places: Array


class Mapping:
    """A map from the form's mm to a page's pixels, the centers of which are whole numbers: a shift, then a homography.

    Args:
        homography: (3, 3) from mm to pixels.
        size: Width and height of the form in mm.
    """

    def __init__(self, homography: Array, size: tuple[float, float]) -> None:
        self.homography, self.size = homography, size
        self.shift: Array | None = None  # (terms, 2) in mm
        self.degree, self.low, self.high = 0, np.zeros(2), np.ones(2)

    def __call__(self, points: Array) -> Array:
        """Return the pixels (n, 2) of points (n, 2) in mm."""
        import cv2

        moved = points if self.shift is None else points + self._terms(points) @ self.shift
        return np.asarray(cv2.perspectiveTransform(moved[None], self.homography)[0])

    def warp(self, image: NDArray[np.uint8], pixels_per_mm: float) -> NDArray[np.uint8]:
        """Return a page (H, W) or (H, W, 3) at this resolution, white where it is not in the picture."""
        import cv2

        width, height = (round(side * pixels_per_mm) for side in self.size)
        across, down = ((np.arange(-1, side // NODE + 2) + 0.5) * NODE for side in (width, height))
        nodes = np.stack(np.meshgrid(across, down), -1).reshape(-1, 2) / pixels_per_mm
        places: Array = self(nodes).astype(np.float32).reshape(len(down), len(across), 2)
        factor = int(self._density() / pixels_per_mm + SLACK)
        places = (places + 0.5) / max(1, factor) - 0.5
        dense = cv2.resize(places, None, fx=NODE, fy=NODE)[NODE : NODE + height, NODE : NODE + width]
        result = cv2.remap(shrunk(image, factor), dense, cast(Any, None), cv2.INTER_LINEAR, borderValue=(255,) * 3)
        return np.asarray(result, np.uint8)

    def refine(self, gray: NDArray[np.uint8], form: Reference) -> float | None:
        """Correct the map by the printed content; return what is left, in mm, or None without enough places.

        Args:
            gray: The page.
            form: Its printed content.
        """
        for _ in range(2):
            points, shifts = _shifts(form, _ink(self.warp(gray, FINE)))
            if len(points) < DEGREES[0]:
                return None
            wanted = shifts if self.shift is None else shifts + self._terms(points) @ self.shift
            self.low, self.high = points.min(0), points.max(0)
            inlier, left = np.ones(len(points), bool), np.hypot(*(shifts - np.median(shifts, 0)).T)
            for degree, count in enumerate(DEGREES, 1):  # few terms first: outliers do not bend these
                inlier = left <= max(OUTLIER, 2 * float(np.median(left)))
                if inlier.sum() < max(count, len(points) / 2):
                    break
                self.degree = degree
                terms = self._terms(points)
                self.shift = np.linalg.lstsq(terms[inlier], wanted[inlier], rcond=None)[0]
                left = np.hypot(*(terms @ self.shift - wanted).T)
            if np.median(np.hypot(*shifts.T)) < OUTLIER / 2:
                break
        return float(np.median(left))

    def _terms(self, points: Array) -> Array:
        x, y = (np.clip(points, self.low, self.high) / self.size).T
        powers = [(i, j) for i in range(self.degree + 1) for j in range(self.degree + 1 - i)]
        return np.stack([x**i * y**j for i, j in powers], 1)

    def _density(self) -> float:
        """Return the pixels per mm of the page, in the middle of the form."""
        x, y = self.size[0] / 2, self.size[1] / 2
        a, b, c = self(np.array([(x, y), (x + 1, y), (x, y + 1)]))
        return float(abs(np.linalg.det([b - a, c - a])) ** 0.5)


def shrunk(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return a picture (H, W) or (H, W, 3) with the means of `factor` × `factor` pixels."""
    import cv2

    if factor < 2:  # noqa: PLR2004
        return image
    height, width = (side // factor for side in image.shape[:2])
    whole = image[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def reference_of(printed: NDArray[np.uint8]) -> Reference:
    """Return what is needed to align pages to a form without handwriting (h, w), at FINE pixels per mm."""
    import cv2

    ink = _ink(printed)
    corners = cv2.goodFeaturesToTrack(ink, 0, 0.01, SPACING * FINE, blockSize=9)  # the clearest first
    points = np.zeros((0, 2), int) if corners is None else np.rint(corners.reshape(-1, 2)).astype(int)
    margin = round(PATCH * FINE)
    height, width = printed.shape
    points = points[((points >= margin) & (points < (width - margin, height - margin))).all(1)]
    return Reference(ink, points[np.unique(points // round(TILE * FINE), axis=0, return_index=True)[1]])


def likeness(printed: NDArray[np.uint8], page: NDArray[np.uint8]) -> float:
    """Return the correlation of the ink in two pictures (h, w) at COARSE pixels per mm, a little blurred."""
    import cv2

    first, second = (cv2.blur(_ink(image), (5, 5)) for image in (printed, page))
    return float(cv2.matchTemplate(first, second, cv2.TM_CCOEFF_NORMED)[0, 0])


def _ink(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return how much darker than its surroundings each pixel is, up to SATURATED levels, as 0 to 255."""
    import cv2

    paper = cv2.blur(cv2.dilate(gray, np.ones((9, 9), np.uint8)), (9, 9))
    darker = np.minimum(cv2.subtract(paper, gray), SATURATED)
    return np.asarray(darker * np.uint8(255 // SATURATED), np.uint8)


def _shifts(form: Reference, page: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Return places (n, 2) that are found again, and how far they have moved (n, 2), in mm."""
    import cv2

    half, reach = round(PATCH * FINE), round(REACH * FINE)
    padded = cv2.copyMakeBorder(page, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    points, shifts = [], []
    for x, y in form.places:
        patch = form.ink[y - half : y + half + 1, x - half : x + half + 1]
        area = padded[y - half : y + half + 1 + 2 * reach, x - half : x + half + 1 + 2 * reach]
        scores = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        if scores[row, column] < MIN_LIKENESS or not 0 < row < 2 * reach or not 0 < column < 2 * reach:
            continue
        points.append((x + 0.5, y + 0.5))
        shifts.append(
            (
                column - reach + _peak(*scores[row, column - 1 : column + 2]),
                row - reach + _peak(*scores[row - 1 : row + 2, column]),
            )
        )
    return np.array(points).reshape(-1, 2) / FINE, np.array(shifts).reshape(-1, 2) / FINE


def _peak(before: float, top: float, after: float) -> float:
    """Return where the parabola through three values has its peak, from -0.5 to 0.5."""
    curvature = before - 2 * top + after
    return float((before - after) / (2 * curvature)) if curvature < 0 else 0.0
