"""Pages, straightened so that every field lies where its template says.

Decisions: a form of ours is found by its markers and named by its QR code; another one by what it has in common with
its blank page, or by a printed frame; the residual is measured and limited, since a crooked page gives wrong digits
with high confidence. Light is not evened out here; white on black becomes black on white.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ziffern.errors import InputError
from ziffern.reading.alignment import COARSE, FINE, Mapping, Reference, likeness, reference_of
from ziffern.reading.landmarks import (
    MIN_INLIERS,
    MIN_MARKERS,
    Array,
    Fit,
    blank_features,
    features,
    find_markers,
    fit_blank,
    fit_frame,
    fit_markers,
    matches,
)
from ziffern.reading.layout import Blank, Frame, Markers, PageType, Template
from ziffern.reading.markers import code_box, parse_code
from ziffern.reading.page import Page

PIXELS_PER_MM = 200 / 25.4
MAX_RESIDUAL, MAX_ROUGH = 1.0, 3.0  # mm: at the end, and of markers before corrections
MIN_PIXELS = 100  # of a page's shorter side
LINE = 0.4  # mm: the lines around the boxes of a form of ours
CANDIDATES, FEW = 3, 300  # blank pages that are tried in full; features by which these are chosen
MIN_LIKENESS = 0.3  # of a page to its blank page
QUIET = 3.0  # mm around a QR code
MIDDLE = 127


@dataclass(frozen=True, eq=False)
class Registered:
    """A page in the place of its template.

    `gray` (H, W) and `color` (H, W, 3) or None have PIXELS_PER_MM and dark ink on light paper; `residual` is in mm;
    `blank` is the empty page of the same size, for a form of ours its boxes, None where they are not known or not seen;
    `mapping` leads from mm to the page as it was; with `drops_out`, boxes are printed in a color that the red channel
    does not see.
    """

    gray: NDArray[np.uint8]
    color: NDArray[np.uint8] | None
    residual: float
    kind: PageType
    blank: NDArray[np.uint8] | None
    mapping: Mapping
    drops_out: bool = False


def register(page: Page, template: Template) -> Registered:
    """Return a page in the place of the page type of a template that it is.

    Raises:
        InputError: Its landmarks are not found or fit worse than MAX_RESIDUAL, or it belongs to another template.
    """
    values = {"path": page.source, "page": page.number, "template": template.name}
    height, width = page.gray.shape
    if min(height, width) < MIN_PIXELS:
        raise InputError("reading.registration.small", width=width, height=height, limit=MIN_PIXELS, **values)
    is_dark = np.median(page.gray[::8, ::8]) <= MIDDLE  # white on black, or on a dark table
    for gray in (page.gray, MIDDLE * 2 + 1 - page.gray)[: 1 + is_dark]:
        try:
            return _registered(page, gray, template)
        except InputError as error:
            first = error
    raise InputError(first.code, **first.message.values, **values)


def _registered(page: Page, gray: NDArray[np.uint8], template: Template) -> Registered:
    kind, fit = _found(page, gray, template)
    mapping = Mapping(fit.homography, (kind.width, kind.height))
    left = None if isinstance(kind.register, Frame) else mapping.refine(gray, _reference(kind))
    residual = fit.residual if left is None else left
    _check(residual, MAX_RESIDUAL)
    color = page.color if page.color is None or gray is page.gray else MIDDLE * 2 + 1 - page.color
    drops_out = template.drop_out and isinstance(kind.register, Markers)
    warped = None if color is None else mapping.warp(color, PIXELS_PER_MM)
    blank = _blank(kind, PIXELS_PER_MM)
    return Registered(mapping.warp(gray, PIXELS_PER_MM), warped, residual, kind, blank, mapping, drops_out)


def _found(page: Page, gray: NDArray[np.uint8], template: Template) -> tuple[PageType, Fit]:
    """Return the page type and the homography of a page by the first way of registration that succeeds."""
    errors = []
    for way, find in ((Markers, _by_markers), (Blank, _by_blank), (Frame, _by_frame)):
        kinds = [kind for kind in template.pages if isinstance(kind.register, way)]
        try:
            if kinds:
                return find(gray, kinds, template)
        except InputError as error:
            errors.append(error)
    raise errors[0]


def _by_markers(gray: NDArray[np.uint8], kinds: list[PageType], template: Template) -> tuple[PageType, Fit]:
    corners = find_markers(gray)
    if len(corners) < MIN_MARKERS:
        raise InputError("reading.registration.markers", count=len(corners))
    sizes = {(kind.width, kind.height) for kind in kinds}
    size, fit = min(((size, fit_markers(corners, *size)) for size in sizes), key=lambda item: item[1].residual)
    _check(fit.residual, MAX_ROUGH)
    code = _code(gray, fit, size)
    if code is not None:
        name, number, version = code
        if name != template.name:
            raise InputError("reading.registration.other_template", found=name)
        if version not in ("", template.version):
            raise InputError("reading.registration.other_version", found=version, version=template.version)
        if number > len(template.pages):
            raise InputError("reading.registration.page_type", number=number, count=len(template.pages))
        kind = template.pages[number - 1]
        return kind, fit_markers(corners, kind.width, kind.height)
    kinds = [kind for kind in kinds if (kind.width, kind.height) == size]
    if len(kinds) > 1:
        straight = Mapping(fit.homography, size).warp(gray, COARSE)
        kinds.sort(key=lambda kind: -likeness(_printed(kind, COARSE), straight))
    return kinds[0], fit


def _code(gray: NDArray[np.uint8], fit: Fit, size: tuple[float, float]) -> tuple[str, int, str] | None:
    import cv2

    left, top, right, _ = code_box(size[0])
    zoom = np.array([(1 / PIXELS_PER_MM, 0, left - QUIET), (0, 1 / PIXELS_PER_MM, top - QUIET), (0, 0, 1)])
    side = round((right - left + 2 * QUIET) * PIXELS_PER_MM)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpPerspective(gray, fit.homography @ zoom, (side, side), flags=flags)
    try:
        return parse_code(cv2.QRCodeDetector().detectAndDecode(crop)[0])
    except (cv2.error, UnicodeDecodeError):  # of damaged codes
        return None


def _by_blank(gray: NDArray[np.uint8], kinds: list[PageType], _: Template) -> tuple[PageType, Fit]:
    for name in ("ORB", "SIFT"):  # the second is slower, and finds more
        found = features(gray, name)
        if len(likely := kinds) > CANDIDATES:
            likely = sorted(kinds, key=lambda kind: -_in_common(kind, name, found[1]))[:CANDIDATES]
        results = []
        for kind in likely:
            size = (kind.width, kind.height)
            fit = fit_blank(cast(Blank, kind.register), name, found, size, max(gray.shape))
            if fit:
                straight = Mapping(fit.homography, size).warp(gray, COARSE)
                results.append((likeness(cast(Any, _blank(kind, COARSE)), straight), fit.landmarks, kind, fit))
        results = [result for result in results if result[0] > MIN_LIKENESS]
        if results:
            return max(results, key=lambda result: result[0])[2:]
    raise InputError("reading.registration.blank", limit=MIN_INLIERS)


def _in_common(kind: PageType, name: str, descriptors: Array) -> int:
    return len(matches(blank_features(cast(Blank, kind.register), name)[1][:FEW], descriptors))


def _by_frame(gray: NDArray[np.uint8], kinds: list[PageType], _: Template) -> tuple[PageType, Fit]:
    fits = []
    for kind in kinds:
        assert isinstance(kind.register, Frame)
        box = kind.register.box
        fit = fit_frame(gray, box, (kind.width, kind.height))
        fits += [(kind, fit)] if fit else []
    if not fits:
        size = {"width": round(box.right - box.left), "height": round(box.bottom - box.top)}
        raise InputError("reading.registration.frame", **size)
    kind, fit = min(fits, key=lambda item: item[1].residual)
    _check(fit.residual, MAX_RESIDUAL)
    return kind, fit


def _check(residual: float, limit: float) -> None:
    if not residual <= limit:
        raise InputError("reading.registration.residual", residual=f"{residual:.2f}", limit=limit)


@lru_cache(maxsize=8)
def _reference(kind: PageType) -> Reference:
    blank = _blank(kind, FINE)
    assert blank is not None
    return reference_of(blank)


@lru_cache(maxsize=16)
def _blank(kind: PageType, pixels_per_mm: float) -> NDArray[np.uint8] | None:
    """Return the blank page of a page type at a resolution, None where it is unknown."""
    import cv2

    if isinstance(kind.register, Frame):
        return None
    if isinstance(kind.register, Markers):
        return _printed(kind, pixels_per_mm)
    size = round(kind.width * pixels_per_mm), round(kind.height * pixels_per_mm)
    blank = np.asarray(cv2.resize(kind.register.gray, size, interpolation=cv2.INTER_AREA), np.uint8)
    blank.flags.writeable = False  # several pages share it
    return blank


@lru_cache(maxsize=16)
def _printed(kind: PageType, pixels_per_mm: float) -> NDArray[np.uint8]:
    """Return the boxes of a form of ours at a resolution."""
    import cv2

    page = np.full((round(kind.height * pixels_per_mm), round(kind.width * pixels_per_mm)), 255, np.uint8)
    for field in kind.fields:
        for box in field.boxes if field.kind != "crop" else ():
            corners = [round((side * pixels_per_mm - 0.5) * 16) for side in box]
            cv2.rectangle(page, corners[:2], corners[2:], 0, max(1, round(LINE * pixels_per_mm)), cv2.LINE_AA, 4)
    page.flags.writeable = False  # several pages share it
    return page
