"""Pages as a scanner or a phone delivers them, from clean ones: turned, in perspective, curled, shaded, noisy."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import segno
from numpy.typing import NDArray

from ziffern.reading import markers

DPI = 200
PIXELS_PER_MM = DPI / 25.4
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Degraded:
    """A degraded page (H, W) uint8, and where the points of the clean one are in it.

    `locate` maps points (n, 2) in pixels of the clean page to pixels of `image`; `homography` (3, 3) is the same
    without curl.
    """

    image: NDArray[np.uint8]
    homography: NDArray[np.float64]
    locate: Callable[[Points], Points]


def degraded(page: NDArray[np.uint8], seed: int, photo: bool = False, turns: int = 0, curl: float = 0.0) -> Degraded:
    """Return a page as a scan, or as a photo on a dark table.

    Args:
        page: A clean page (H, W) with dark ink on white.
        seed: Of everything random.
        photo: With perspective, shadow and a background, instead of a slight rotation.
        turns: Quarter turns clockwise.
        curl: The largest shift by curled paper, in pixels of the clean page.
    """
    rng = np.random.default_rng(seed)
    height, width = page.shape
    homography, size = _homography(rng, width, height, photo, turns)
    phase, waves = rng.uniform(0, np.pi), rng.uniform(0.5, 1.0)

    def curled(points: Points) -> Points:
        bend = curl * np.sin(phase + waves * np.pi * points[:, 1] / height)
        return np.asarray(points + np.stack([0.4 * bend * np.sin(np.pi * points[:, 0] / width), bend], 1))

    def locate(points: Points) -> Points:
        return np.asarray(cv2.perspectiveTransform(curled(np.asarray(points, np.float64))[None], homography)[0])

    across, down = ((np.arange(-1, side // 16 + 2) + 0.5) * 16 - 0.5 for side in size)
    coarse = np.stack(np.meshgrid(across, down), -1)
    target = cv2.perspectiveTransform(coarse.reshape(1, -1, 2), np.linalg.inv(homography))[0]
    source = target
    for _ in range(8):  # the inverse of `curled`
        source = source - (curled(source) - target)
    source = cv2.resize(source.reshape(coarse.shape).astype(np.float32), None, fx=16, fy=16)
    source = np.ascontiguousarray(source[16 : 16 + size[1], 16 : 16 + size[0]])
    image = cv2.remap(page, source, None, cv2.INTER_LINEAR, borderValue=(60 if photo else 250,) * 4).astype(np.float32)
    return Degraded(_disturbed(image, rng, photo), homography, locate)


def _homography(
    rng: np.random.Generator, width: int, height: int, photo: bool, turns: int
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the map of a page into a picture, and the picture's width and height."""
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    center, angle = corners.mean(0), np.radians(rng.uniform(-1.5, 1.5)) * (4 if photo else 1)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    moved = (corners - center) @ turn.T * (rng.uniform(0.9, 1.1) if photo else rng.uniform(0.99, 1.01)) + center
    moved += rng.uniform(-0.05, 0.05, (4, 2)) * width if photo else rng.uniform(-0.004, 0.004, 2) * width
    if photo:
        moved += 40 - moved.min(0)
    for _ in range(turns):
        moved = np.stack([(moved[:, 1].max() if photo else height) - moved[:, 1], moved[:, 0]], 1)
        width, height = height, width
    size = tuple(np.ceil(moved.max(0) + 40).astype(int)) if photo else (width, height)
    homography = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    return homography, (int(size[0]), int(size[1]))


def _disturbed(image: NDArray[np.float32], rng: np.random.Generator, photo: bool) -> NDArray[np.uint8]:
    height, width = image.shape
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    if photo:  # a shadow with a soft edge, and uneven light
        edge = (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1) - rng.uniform(-0.5, 0.5)) * rng.uniform(6, 20)
        image *= (1 - rng.uniform(0.1, 0.45) / (1 + np.exp(-edge))) * (1 - rng.uniform(0, 0.3) * x)
    else:  # a fold
        place, angle = rng.uniform(0.3, 0.7), rng.uniform(-0.05, 0.05)
        image -= 25 * np.exp(-(((y - place - angle * x) * 300) ** 2))
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.4 if photo else 0.9))
    cv2.setRNGSeed(int(rng.integers(2**31)))
    image += cv2.randn(np.empty_like(image), 0, 1) * rng.uniform(1, 8 if photo else 5)
    quality = int(rng.integers(55, 90))
    jpeg = cv2.imencode(".jpg", np.clip(image, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE), np.uint8)


def clean_page(
    boxes: list[tuple[float, float, float, float]], code: str = "", width: float = 210, height: float = 297
) -> NDArray[np.uint8]:
    """Return a form (H, W) at 200 dpi with boxes (left, top, right, bottom in mm) and lines of text.

    With a `code` it has the markers and the QR code of forms of ours.
    """
    page = np.full((round(height * PIXELS_PER_MM), round(width * PIXELS_PER_MM)), 255, np.uint8)
    for box in boxes:
        corners = np.rint(np.array(box) * PIXELS_PER_MM * 16 - 8).astype(int)
        cv2.rectangle(page, tuple(corners[:2]), tuple(corners[2:]), 110, 3, cv2.LINE_AA, 4)
    if not code:
        return page
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, markers.DICTIONARY))
    for number, corners in zip(markers.IDS, markers.marker_corners(width, height), strict=True):
        _put(page, cv2.aruco.generateImageMarker(dictionary, number, 6), *corners[0], *corners[2])
    matrix = np.array(list(segno.make(code, error="m", micro=False).matrix), np.uint8)
    _put(page, 255 - 255 * matrix, *markers.code_box(width))
    return page


def write(page: NDArray[np.uint8], lines: list[tuple[float, float, str]], size: float = 0.9) -> None:
    """Print lines of text at places in mm."""
    for left, bottom, text in lines:
        at = (round(left * PIXELS_PER_MM), round(bottom * PIXELS_PER_MM))
        cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, 40, 2, cv2.LINE_AA)


def fill(
    page: NDArray[np.uint8], boxes: list[tuple[float, float, float, float]], digits: NDArray[np.uint8], seed: int
) -> None:
    """Write digits (n, 28, 28), light on dark, into boxes, at times over their lines."""
    rng = np.random.default_rng(seed)
    for digit, box in zip(digits, boxes, strict=True):
        side = round((box[3] - box[1]) * PIXELS_PER_MM * rng.uniform(0.9, 1.25))
        large = cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC)
        center = np.array([box[0] + box[2], box[1] + box[3]]) / 2 * PIXELS_PER_MM
        left, top = np.rint(center - side / 2 + rng.uniform(-6, 6, 2)).astype(int)
        area = page[max(0, top) : top + side, max(0, left) : left + side]
        np.minimum(area, 255 - large[-area.shape[0] :, -area.shape[1] :], out=area)


def _put(
    page: NDArray[np.uint8], picture: NDArray[np.uint8], left: float, top: float, right: float, bottom: float
) -> None:
    """Draw a picture of few pixels into a rectangle in mm, to a fraction of a pixel."""
    scale = (right - left) * PIXELS_PER_MM / picture.shape[1]
    large = np.kron(picture, np.ones((16, 16), np.uint8))
    places = [side * PIXELS_PER_MM - 0.5 + scale / 32 for side in (left, top)]
    matrix = np.array([(scale / 16, 0, places[0]), (0, scale / 16, places[1])])
    whole = cv2.warpAffine(large, matrix, page.shape[::-1], flags=cv2.INTER_AREA, borderValue=(255,) * 4)
    np.minimum(page, whole, out=page)
