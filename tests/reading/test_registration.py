"""Tests of registration: fields of degraded pages lie where the template says, and other pages are refused."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from paper import PIXELS_PER_MM, clean_page, degraded, fill, write
from ziffern.data.embedded import embedded_digits
from ziffern.errors import InputError
from ziffern.reading import registration
from ziffern.reading.constraints import Rules
from ziffern.reading.layout import Blank, Box, Field, Frame, Markers, PageType, Template
from ziffern.reading.markers import code_text, marker_corners
from ziffern.reading.page import Page
from ziffern.reading.registration import Registered, register

WAYS = ("markers", "blank", "frame")
PLACES = [
    (25, 50, 7),
    (25, 75, 8),
    (110, 50, 6),
    (120, 100, 5),
    (25, 120, 10),
    (25, 150, 7),
    (110, 170, 6),
    (25, 230, 5),
]
WIDTH, HEIGHT = 210.0, 297.0
FRAME = Box(15, 40, 195, 260)


def boxes(shift: float = 0) -> list[list[Box]]:
    rows = [(left, top + shift, count) for left, top, count in PLACES]
    return [[Box(x + 9 * n, y, x + 9 * n + 7, y + 9) for n in range(count)] for x, y, count in rows]


@cache
def clean(way: str, shift: float = 0, code: str = code_text("exam", 1)) -> NDArray[np.uint8]:
    rows = boxes(shift)
    page = clean_page([box for row in rows for box in row], code if way == "markers" else "")
    words = (
        "only digits, please",
        "in blue ink",
        "your number",
        "the course",
        "day and month",
        "points",
        "sum",
        "seat",
    )
    write(page, [(row[0].left, row[0].top - 2, f"{shift:g} {word}") for word, row in zip(words, rows, strict=True)])
    write(page, [(25, 25, "Examination of November 2026"), (60, 285, f"University of X - form {shift:g}")])
    if way == "frame":
        left, top, right, bottom = (round(side * PIXELS_PER_MM) for side in FRAME)
        cv2.rectangle(page, (left + 4, top + 4), (right - 5, bottom - 5), 0, 9)
    return page


def filled(page: NDArray[np.uint8], seed: int, shift: float = 0) -> NDArray[np.uint8]:
    page = page.copy()
    places = [box for row in boxes(shift) for box in row]
    digits = np.asarray(embedded_digits()[0]).reshape(-1, 28, 28)
    fill(page, places, digits[seed * 60 : seed * 60 + len(places)], seed)
    return page


def kind_of(way: str, shift: float = 0) -> PageType:
    fields = tuple(Field(f"f{n}", "cells", tuple(row), Rules()) for n, row in enumerate(boxes(shift)))
    content = cv2.imencode(".png", clean(way, shift))[1].tobytes() if way == "blank" else b""
    register = {"markers": Markers(), "blank": Blank("blank.png", content), "frame": Frame(FRAME)}[way]
    return PageType(f"{way}{shift:g}", WIDTH, HEIGHT, register, fields)


def template_of(*kinds: PageType) -> Template:
    return Template("exam", "1", kinds)


def page_of(gray: NDArray[np.uint8]) -> Page:
    return Page("scan.png", 1, gray, None, None)


def worst(way: str, seed: int, photo: bool, curl: float) -> tuple[float, Registered]:
    """Return the largest distance in mm between where a cell is and where it was found."""
    turns = 0 if way == "frame" else seed % 4
    scan = degraded(filled(clean(way), seed), seed, photo, turns, curl)
    result = register(page_of(scan.image), template_of(kind_of(way)))
    centers = np.array([((box.left + box.right) / 2, (box.top + box.bottom) / 2) for row in boxes() for box in row])
    size = np.array(clean(way).shape[::-1])
    scale = size / (WIDTH, HEIGHT) if way == "blank" else PIXELS_PER_MM  # the blank page has whole pixels
    found, pixels = result.mapping(centers), scan.locate(centers * scale - 0.5)
    density = np.linalg.norm(result.mapping(np.add(centers, (1, 0))) - found, axis=1)
    return float(np.max(np.linalg.norm(found - pixels, axis=1) / density)), result


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("photo", "curl"), [(False, 0), (True, 0), (True, 12)])
def test_fields_of_degraded_pages_are_found(way: str, photo: bool, curl: float):
    error, result = worst(way, 1 + 2 * photo, photo, curl)
    assert error < (1.2 if way == "frame" and curl else 0.25)  # a frame tells nothing of curl inside
    assert result.residual < 0.15
    assert result.gray.shape == (2339, 1654)
    assert (result.blank is None) == (way == "frame")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_fifty_degraded_pages(way: str):
    errors = [
        worst(way, seed, photo=seed % 2 > 0, curl=seed % 3 * (6 if way != "frame" else 0))[0] for seed in range(50)
    ]
    assert max(errors) < 0.3


@pytest.mark.parametrize("missing", [(2,), (0,), (1, 3)])
def test_three_markers_are_enough_and_two_are_not(missing: tuple[int, ...]):
    page = clean("markers").copy()
    for number in missing:
        left, top = np.rint(marker_corners(WIDTH, HEIGHT)[number, 0] * PIXELS_PER_MM).astype(int)
        page[top - 1 : top + 66, left - 1 : left + 66] = 255
    scan = page_of(degraded(page, 5).image)
    if len(missing) > 1:
        with pytest.raises(InputError, match=r"^scan\.png: page 1: 2 of the 4 corner markers") as error:
            register(scan, template_of(kind_of("markers")))
        assert error.value.code == "reading.registration.markers"
    else:
        result = register(scan, template_of(kind_of("markers")))
        assert result.residual < 0.1
        assert np.abs(result.gray.astype(int) - page).mean() < 8


def test_white_on_black_becomes_black_on_white():
    result = register(page_of(255 - clean("markers")), template_of(kind_of("markers")))
    assert np.abs(result.gray.astype(int) - clean("markers")).mean() < 3


def test_color_is_straightened_too():
    gray = degraded(clean("markers"), 3).image
    color = np.stack([gray // 2, gray, gray], 2)
    result = register(Page("scan.png", 1, gray, color, 200.0), template_of(kind_of("markers")))
    assert result.color is not None
    assert np.abs(result.color[..., 1].astype(int) - result.gray).max() <= 1
    assert result.drops_out


def test_page_types_are_told_apart_by_their_code_or_else_by_the_best_fit():
    kinds = [kind_of("markers", shift) for shift in (0, 5, 10)]
    for code in (code_text("exam", 2), "https://example.org"):
        page = degraded(filled(clean("markers", 5, code), 2, 5), 2, photo=True).image
        assert register(page_of(page), template_of(*kinds)).kind == kinds[1]
    blanks = [kind_of("blank", shift) for shift in (0, 3, 6, 9, 12, 15)]
    page = degraded(filled(clean("blank", 9), 2, 9), 2, photo=True).image
    assert register(page_of(page), template_of(*blanks)).kind == blanks[3]


@pytest.mark.parametrize(
    ("way", "page", "code"),
    [
        ("markers", clean("markers", 0, code_text("other", 1)), "other_template"),
        ("markers", clean("markers", 0, code_text("exam", 7)), "page_type"),
        ("markers", clean("blank"), "markers"),
        ("blank", np.full((300, 200), 255, np.uint8), "blank"),
        ("blank", np.random.default_rng(0).integers(0, 255, (1200, 900), np.uint8), "blank"),
        ("frame", clean("blank"), "frame"),
        ("frame", np.zeros((2, 2000), np.uint8), "small"),
    ],
)
def test_other_pages_are_refused(way: str, page: NDArray[np.uint8], code: str):
    with pytest.raises(InputError, match=r"^scan\.png: ") as error:
        register(page_of(page), template_of(kind_of(way)))
    assert error.value.code == f"reading.registration.{code}"


def test_the_residual_is_limited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registration, "MAX_RESIDUAL", 0.01)
    with pytest.raises(InputError, match=r"only to 0\.\d\d mm, but 0\.01 mm is needed"):
        register(page_of(degraded(clean("frame"), 0, photo=True, curl=12).image), template_of(kind_of("frame")))


def test_the_edge_of_the_paper_is_no_frame():
    page = np.full((800, 600), 30, np.uint8)
    page[100:700, 100:500] = 240  # paper on a dark table, of the frame's sides
    cv2.rectangle(page, (150, 200), (450, 567), 0, 6)
    result = register(page_of(page), template_of(kind_of("frame")))
    np.testing.assert_allclose(
        result.mapping(np.array([FRAME[:2], FRAME[2:]], float)), [(147, 197), (453, 570)], atol=1.5
    )
