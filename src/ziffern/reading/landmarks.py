"""What shows where a page lies: markers, features in common with a blank page, or a printed frame.

Decisions: all are searched in a reduced picture, for speed; a result is the homography from the form's millimeters to
the page's pixels, and how far its landmarks are from where it puts them.
"""

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.reading.alignment import shrunk
from ziffern.reading.layout import Blank, Box
from ziffern.reading.markers import DICTIONARY, IDS, marker_corners

SEARCH_SIDE = 1100  # pixels of the longer side of the reduced picture for markers; for features, FEATURE_SIDE
FEATURE_SIDE, FEATURES = 1200, 1500
MIN_MARKERS, MIN_INLIERS = 3, 15
FLAT = 0.3  # mm: three markers that fit an affine map this well are on a scan
TOLERANCE = 4.0  # pixels of the reduced picture, by which features may move on curled paper
RATIO = 0.75  # of the distances to the best and the second-best feature
MIN_SHOWN = 0.25  # of a picture must be the page, so that a box is no frame
HOMOGRAPHY, TINY = 9, 1e-9  # numbers; a determinant
MIN_SIDE = 20  # points of an outline on a side of a frame
BLEED = 0.4  # pixels of the reduced picture by which blur and threshold widen a frame
MAX_ASPECT = 0.3  # by which perspective may change the ratio of a frame's sides, as a logarithm
Array = NDArray[Any]


class Fit(NamedTuple):
    """A homography (3, 3) from mm to the pixels of a page, and its residual: the landmarks' median error in mm."""

    homography: Array
    residual: float
    landmarks: int = 0


def find_markers(gray: NDArray[np.uint8]) -> dict[int, Array]:
    """Return the corners (4, 2) in pixels of the markers of a form on a page (H, W), by id."""
    import cv2

    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY))
    detector = cv2.aruco.ArucoDetector(dictionary)
    found: dict[int, Array] = {}
    for side in (SEARCH_SIDE, max(gray.shape)):
        reduced, scale = _reduced(gray, side)
        corners, ids, _ = detector.detectMarkers(reduced)
        for place, number in zip(corners, () if ids is None else map(int, ids.ravel()), strict=False):
            if number in IDS and (
                number not in found or cv2.arcLength(place, True) > cv2.arcLength(found[number], True)
            ):
                found[number] = np.asarray(place)
        if len(found) == len(IDS):
            break
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 30, 0.01)
    for number, place in found.items():
        window = max(2, round(cv2.arcLength(place, True) / scale / 60))  # a module of a marker is 1 / 24 of its outline
        points = _floats((place.reshape(-1, 1, 2) + 0.5) / scale - 0.5)
        found[number] = cv2.cornerSubPix(gray, points, (window, window), (-1, -1), criteria).reshape(4, 2)
    return found


def fit_markers(found: dict[int, Array], width: float, height: float) -> Fit:
    """Return where a page of this size in mm lies; three markers are enough."""
    import cv2

    numbers = sorted(found)
    source = marker_corners(width, height)[numbers].reshape(-1, 2)
    target = np.concatenate([found[number] for number in numbers])
    if len(numbers) < len(IDS):  # the fourth corner is extrapolated, more safely without perspective
        affine, _ = cv2.estimateAffine2D(source, target, method=cv2.LMEDS)
        if affine is not None:
            fit = _fit(np.vstack([affine, (0, 0, 1)]), source, target)
            if fit.residual < FLAT:
                return fit
    return _fit(cv2.findHomography(source, target)[0], source, target)


@lru_cache(maxsize=50)
def blank_features(blank: Blank, name: str) -> tuple[Array, Array]:
    """Return points (n, 2), as shares of width and height, and descriptors of a blank page; `name`: ORB or SIFT."""
    points, descriptors = features(blank.gray, name)
    return (points + 0.5) / _floats(blank.gray.shape[::-1]), descriptors


def features(gray: NDArray[np.uint8], name: str) -> tuple[Array, Array]:
    """Return points (n, 2) in pixels and descriptors of a page (H, W), the strongest first."""
    import cv2

    reduced, scale = _reduced(gray, FEATURE_SIDE)
    keys, descriptors = getattr(cv2, f"{name}_create")(nfeatures=FEATURES).detectAndCompute(reduced, None)
    order = np.argsort([-key.response for key in keys])
    points = (np.array([key.pt for key in keys], np.float32).reshape(-1, 2) + 0.5) / scale - 0.5
    return points[order], descriptors[order] if len(keys) else np.zeros((0, 32), np.uint8)


def matches(first: Array, second: Array) -> Array:
    """Return the pairs (n, 2) of descriptors that are clearly nearest to each other."""
    import cv2

    if min(len(first), len(second)) < 2:  # noqa: PLR2004
        return np.zeros((0, 2), int)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING if first.dtype == np.uint8 else cv2.NORM_L2)
    pairs = matcher.knnMatch(first, second, k=2)
    return np.array([(a.queryIdx, a.trainIdx) for a, b in pairs if a.distance < RATIO * b.distance], int).reshape(-1, 2)


def fit_blank(blank: Blank, name: str, found: tuple[Array, Array], size: tuple[float, float], side: int) -> Fit | None:
    """Return where a page of `size` in mm lies by the features `found` on it, or None where there are too few.

    Args:
        blank: The empty page.
        name: ORB or SIFT.
        found: What `features` returned.
        size: Width and height in mm.
        side: The page's longer side in pixels.
    """
    import cv2

    points, descriptors = blank_features(blank, name)
    pairs = matches(descriptors, found[1])
    if len(pairs) < MIN_INLIERS:
        return None
    source, target = _floats(points[pairs[:, 0]] * size), found[0][pairs[:, 1]]
    tolerance = TOLERANCE * max(1, side / FEATURE_SIDE)
    homography, inliers = cv2.findHomography(
        source, target, cv2.USAC_MAGSAC, tolerance, maxIters=5000, confidence=0.999
    )
    if np.size(homography) != HOMOGRAPHY:
        return None
    chosen = inliers.ravel() > 0
    page = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float64)
    corners = _floats(cv2.perspectiveTransform(page[None], homography)[0])
    is_plausible = cv2.isContourConvex(corners) and cv2.contourArea(corners) > page.max() ** 2  # over a pixel per mm
    if chosen.sum() < MIN_INLIERS or not is_plausible:
        return None
    return _fit(homography, source[chosen], target[chosen])


def fit_frame(gray: NDArray[np.uint8], box: Box, size: tuple[float, float]) -> Fit | None:
    """Return where a page of `size` in mm lies by a printed frame on it, whose outer edge is `box`.

    Of several, the one that is most like the frame in shape, size and place is used.
    """
    import cv2

    reduced, scale = _reduced(gray, SEARCH_SIDE)
    dark = cv2.adaptiveThreshold(reduced, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 51, 15)
    outlines, _ = cv2.findContours(dark, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    target = _floats([(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)])
    expected = target / _floats(size) * reduced.shape[::-1]  # if the page filled the picture
    shape, best, least = _floats(expected[2] - expected[0]), None, np.inf
    for outline in outlines:
        if cv2.contourArea(outline) < MIN_SHOWN * shape.prod():
            continue
        corners = cv2.approxPolyDP(outline, 0.02 * cv2.arcLength(outline, True), True).reshape(-1, 2)
        if len(corners) != 4 or not cv2.isContourConvex(corners):  # noqa: PLR2004
            continue
        corners = np.roll(corners, -int(corners.sum(1).argmin()), axis=0).astype(np.float32)
        if cv2.contourArea(corners, oriented=True) < 0:  # counterclockwise
            corners = np.roll(corners[::-1], 1, axis=0)
        sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
        aspect = abs(
            np.log((sides[0] + sides[2]) / (sides[1] + sides[3]) / ((box.right - box.left) / (box.bottom - box.top)))
        )
        misfit = aspect + np.abs(corners - expected).mean() / shape.mean()
        if aspect > MAX_ASPECT or misfit >= least or not _is_line(reduced, corners):
            continue
        least = misfit
        corners, error = _sharpened(corners, outline.reshape(-1, 2))
        homography = cv2.getPerspectiveTransform(target, _floats((corners + 0.5) / scale - 0.5))
        best = Fit(homography, float(error * 2 * (box.right - box.left) / (sides[0] + sides[2])), 4)
    return best


def _is_line(gray: NDArray[np.uint8], corners: Array) -> bool:
    """Return whether the paper goes on outside of a quadrilateral: it is not the edge of the paper."""
    import cv2

    target = _floats([(20, 20), (179, 20), (179, 179), (20, 179)])
    square = cv2.warpPerspective(gray, cv2.getPerspectiveTransform(corners, target), (200, 200), borderValue=0)
    outside = np.concatenate([square[8:14].ravel(), square[186:192].ravel(), square[:, 8:14].ravel()])
    return bool(np.median(outside) > 0.6 * np.median(square[40:160, 40:160]))


def _sharpened(corners: Array, outline: Array) -> tuple[Array, float]:
    """Return where lines through the four sides cross, and the outline's median distance from these in pixels."""
    import cv2

    lines, errors = [], []
    for a, b in pairwise([*corners, corners[0]]):
        along = (outline - a) @ (b - a) / np.sum((b - a) ** 2)
        across = np.abs((outline - a) @ np.array([a[1] - b[1], b[0] - a[0]])) / np.hypot(*(b - a))
        points = outline[(along > 0.05) & (along < 0.95) & (across < 0.03 * np.hypot(*(b - a)))]  # noqa: PLR2004
        if len(points) < MIN_SIDE:
            return corners, np.inf
        dx, dy, x, y = cv2.fitLine(_floats(points), cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
        line = np.array([dy, -dx, dx * y - dy * x])
        errors.append(np.median(np.abs(points @ line[:2] + line[2])))
        line[2] -= BLEED * np.sign(corners.mean(0) @ line[:2] + line[2])
        lines.append(line)
    crossings = [np.cross(lines[n - 1], lines[n]) for n in range(4)]
    return np.array([point[:2] / point[2] for point in crossings]), float(max(errors))


def _fit(homography: Any, source: Array, target: Array) -> Fit:
    """Return the fit of a homography from `source` in mm to `target` in pixels; without one it is infinitely bad."""
    import cv2

    if np.size(homography) != HOMOGRAPHY or not abs(np.linalg.det(homography)) > TINY:  # NaN is neither
        return Fit(np.eye(3), np.inf)
    back = cv2.perspectiveTransform(_floats(target)[None], np.linalg.inv(homography))[0]
    return Fit(homography, float(np.median(np.hypot(*(back - source).T))), len(source))


def _reduced(gray: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """Return a picture whose longer side has about `side` pixels, and its scale."""
    factor = max(1, min(round(max(gray.shape) / side), *gray.shape))
    return shrunk(gray, factor), 1 / factor


def _floats(values: Any) -> Array:
    return np.asarray(values, np.float32)
