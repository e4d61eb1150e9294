import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.data.test_drawing import likeness, mnist

from ziffern.data import paper
from ziffern.data.cutout import digit_image, ink_of
from ziffern.data.ground import fit, quantile

Picture = NDArray[np.uint8]
SIDE = 60


def cell(digit: Picture | None, darkness: float = 0.7, noise: float = 3.0, size: int = 36) -> NDArray[np.float64]:
    """A cell of paper at 200 dpi, with a digit in its middle."""
    ink = np.zeros((SIDE, SIDE))
    if digit is not None:
        room = (SIDE - size * 28 // 20) // 2
        large = cv2.resize(digit, (size * 28 // 20,) * 2, interpolation=cv2.INTER_CUBIC)
        ink[room : room + len(large), room : room + len(large)] = large / 255
    light = np.linspace(190, 240, SIDE) * np.linspace(1, 0.9, SIDE)[:, None]
    return light * (1 - darkness * ink) + np.random.default_rng(0).normal(0, noise, ink.shape)


def boxed(picture: NDArray[np.float64], places: dict[int, int], level: float = 60) -> NDArray[np.float64]:
    """With lines of a box, two pixels wide, `places` pixels from some of the four sides."""
    result = picture.copy()
    for turns, place in places.items():
        np.rot90(result, turns)[place : place + 2] = level
    return result


def gray(picture: NDArray[np.float64]) -> Picture:
    return np.clip(picture, 0, 255).astype(np.uint8)


BOXES = {
    "none": {},
    "one_side": {2: 1},
    "corner": {0: 0, 1: 2},
    "all_sides": {0: 1, 1: 2, 2: 0, 3: 3},
    "inset": {0: 4, 1: 4, 2: 4, 3: 4},
}


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("darkness", [0.15, 0.7])
def test_a_digit_is_read_without_its_box(box: str, darkness: float) -> None:
    for digit in mnist()[0][:10]:
        plain = digit_image(ink_of(gray(cell(digit, 0.7, 0))))
        image = digit_image(ink_of(gray(boxed(cell(digit, darkness), BOXES[box])), is_dark=True))
        assert likeness(image, plain) > 0.85


@pytest.mark.parametrize("thickness", [1, 3])
def test_in_a_small_cell_a_digit_is_read_without_its_box(thickness: int) -> None:
    images, _ = mnist()
    for digit in images[:20]:
        small = cv2.resize(gray(cell(digit)), (32, 32), interpolation=cv2.INTER_AREA).astype(np.float64)
        whole = small.copy()
        for turns, place in {0: 1, 1: 2, 3: 0}.items():
            np.rot90(whole, turns)[place : place + thickness] = 80
        expected, found = (digit_image(ink_of(gray(picture), is_dark=True)) for picture in (small, whole))
        assert likeness(found, expected) > 0.8


def test_dark_digits_that_reach_the_border_are_not_taken_for_shadows_or_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "DARKNESS", (0.5, 0.9))
    cells = paper.paper_cells(mnist()[0][:500], seed=3, boxes=0.0, sides=(22, 32))
    assert sum(not ink_of(cell, is_dark=True).any() for cell in cells) <= 1


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("noise", [0.0, 1.5, 6.0])
def test_an_empty_cell_has_no_ink(box: str, noise: float) -> None:
    assert not ink_of(gray(boxed(cell(None, noise=noise), BOXES[box])), is_dark=True).any()


def test_a_sharp_shadow_is_no_ink() -> None:
    shaded = cell(None)
    shaded[:, 42:] *= 0.6
    assert not ink_of(gray(shaded), is_dark=True).any()


@pytest.mark.parametrize("shift", [(0, 0), (2, -1), (-2, 2)])
def test_the_print_of_the_empty_form_goes_and_strokes_that_cross_it_stay(shift: tuple[int, int]) -> None:
    cross = np.ones((SIDE, SIDE))
    cross[28:30] = cross[:, 29:31] = 0.35  # right through the digit
    empty, moved = cell(None, noise=0), np.roll(cross, shift, (0, 1))
    for digit in mnist()[0][:10]:
        ink = ink_of(gray(np.minimum(cell(digit), empty * moved)), gray(empty * cross))
        assert likeness(digit_image(ink), digit_image(ink_of(gray(cell(digit))))) > 0.85
    assert not ink_of(gray(cell(None) * moved), gray(empty * cross)).any()


def test_both_polarities_have_the_same_ink() -> None:
    for digit in mnist()[0][:5]:
        picture = gray(cell(digit))
        np.testing.assert_allclose(ink_of(255 - picture, is_dark=False), ink_of(picture), atol=1e-5)


def test_the_faint_half_of_a_stroke_stays() -> None:
    for digit in mnist()[0][:10]:
        fading = cell(digit, 0.6, 0.5)
        paper = cell(None, noise=0)
        fading += (paper - fading) * np.linspace(0, 0.8, SIDE)[:, None]
        image, plain = (digit_image(ink_of(gray(picture))) for picture in (fading, cell(digit, 0.6, 0.5)))
        assert likeness(image, plain) > 0.8


def test_a_thin_loop_stays_open() -> None:
    picture = np.full((SIDE, SIDE), 235, np.uint8)
    cv2.circle(picture, (28, 20), 4, 90, 1, cv2.LINE_AA)  # a 9 with a small loop
    cv2.line(picture, (32, 20), (30, 50), 90, 1, cv2.LINE_AA)
    image = digit_image(ink_of(picture))
    count, labels = cv2.connectedComponents((image < 128).astype(np.uint8), connectivity=4)
    assert count == 3, labels  # strokes, outside, inside


def test_a_decimal_point_goes_and_the_bar_of_a_five_stays() -> None:
    picture = gray(cell(mnist()[0][0]))
    dotted = picture.copy()
    dotted[52:55, 54:57] = 60
    np.testing.assert_allclose(digit_image(ink_of(dotted)), digit_image(ink_of(picture)), atol=3)


def test_a_neighbor_at_the_border_goes() -> None:
    digit = mnist()[0][0]
    picture = gray(cell(digit, size=28))
    touched = picture.copy()
    touched[20:34, :4] = 70
    assert likeness(digit_image(ink_of(touched)), digit_image(ink_of(picture))) > 0.95


def test_no_ink_is_an_empty_image() -> None:
    assert not digit_image(np.zeros((40, 30), np.float32)).any()
    assert not ink_of(np.zeros((1, 1), np.uint8)).any()


@pytest.mark.parametrize("share", [0.5, 0.6, 0.995])
@pytest.mark.parametrize("size", [1, 2, 101])
def test_the_fast_quantile_is_that_of_numpy(share: float, size: int) -> None:
    values = np.random.default_rng(0).random(size, np.float32)
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-6)


@pytest.mark.parametrize("shape", [(33, 21), (45, 45), (120, 67), (130, 44)])
def test_digits_are_made_smaller_as_pillow_does(shape: tuple[int, int]) -> None:
    ink = np.random.default_rng(0).random(shape, np.float32)
    small = fit(ink)
    expected = Image.fromarray(ink).resize(small.shape[::-1], Image.Resampling.BOX)
    np.testing.assert_allclose(small, np.asarray(expected), atol=1e-6)
