from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ziffern.data.drawing import SIZE, as_digit
from ziffern.data.sources.source import Embedded
from ziffern.errors import InputError

Picture = NDArray[np.uint8]
SIDE = 280


@cache
def mnist() -> tuple[Picture, NDArray[np.int64]]:
    """The embedded digits in a fixed random order."""
    data = Embedded().load(Path(), 10)
    order = np.random.default_rng(0).permutation(len(data.labels))
    return data.images[order, 0], data.labels[order]


def drawn(digit: Picture, side: int = SIDE) -> Picture:
    """Dark on light, enlarged."""
    return 255 - np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC))


def off_center(picture: Picture) -> Picture:
    return np.pad(picture, ((90, 5), (10, 160)), constant_values=255)


def photo(picture: Picture) -> Picture:
    """On shaded paper, with noise and specks."""
    random = np.random.default_rng(0)
    light = np.linspace(110, 230, picture.shape[1]) * np.linspace(1, 0.8, picture.shape[0])[:, None]
    seen = light * (0.3 + 0.7 * picture / 255) + random.normal(0, 6, picture.shape)
    for top, left in random.integers(0, min(picture.shape) - 3, (20, 2)):
        seen[top : top + 3, left : left + 3] = 50
    return np.clip(seen, 0, 255).astype(np.uint8)


def thin_pen(_: Picture) -> Picture:
    """A 7 of lines one pixel wide in 600."""
    picture = np.full((600, 600), 255, np.uint8)
    picture[100, 150:401] = 0
    picture[np.arange(100, 500), np.linspace(400, 200, 400).astype(int)] = 0
    return picture


def on_table(picture: Picture) -> Picture:
    return np.pad(photo(picture), ((0, 30), (25, 0)), constant_values=40)


def likeness(image: Picture, other: Picture) -> float:
    """The correlation; the center of mass may round to the next pixel."""
    shifted = [np.roll(image, (y, x), (0, 1)).ravel() for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return float(np.corrcoef(np.stack(shifted), other.ravel())[-1, :-1].max())


CASES = {
    "mnist": lambda digit: digit,
    "mnist_inverted": lambda digit: 255 - digit,
    "canvas": drawn,
    "light_on_dark": lambda digit: 255 - drawn(digit),
    "off_center": lambda digit: off_center(drawn(digit)),
    "photo": lambda digit: photo(off_center(drawn(digit))),
    "photo_inverted": lambda digit: 255 - photo(off_center(drawn(digit))),
    "large_photo": lambda digit: photo(drawn(digit, 1200)),
    "table": lambda digit: on_table(off_center(drawn(digit))),
    "thin_pen": thin_pen,
    "tiny": lambda digit: drawn(digit, 12),
    "upright_bar": lambda _: np.pad(np.zeros((100, 12), np.uint8), 40, constant_values=255),
    "transposed_view": lambda digit: drawn(digit)[::-1].T,
}


@pytest.mark.mostly_slow(fast=len(CASES))
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("which", range(3))
def test_every_picture_becomes_a_digit_in_mnists_frame(case: str, which: int) -> None:
    digit = as_digit(CASES[case](mnist()[0][which]))
    assert digit.shape == (SIZE, SIZE)
    assert digit.dtype == np.uint8
    assert digit.max() == 255
    assert np.median(digit[:, [0, 1, -2, -1]]) == 0
    assert max(np.ptp(places) + 1 for places in np.nonzero(digit)) in {19, 20}  # the faintest edge may round to 0
    assert np.abs(np.array(ndimage.center_of_mass(digit)) - 14).max() <= 1


@pytest.mark.parametrize("case", [case for case in CASES if case not in {"thin_pen", "upright_bar"}])
def test_the_digit_stays_itself(case: str) -> None:
    for digit in mnist()[0][:5]:
        picture = CASES[case](digit)
        expected = digit[::-1].T if case == "transposed_view" else digit
        assert likeness(as_digit(picture), expected) > 0.8


def test_a_digit_of_mnist_comes_back_nearly_unchanged() -> None:
    changes = [np.abs(as_digit(digit).astype(int) - digit).mean() for digit in mnist()[0][:200]]
    assert np.mean(changes) < 1


def test_thin_pen_gets_mnists_stroke_width() -> None:
    digit = as_digit(thin_pen(mnist()[0][0]))
    assert 30 < (digit > 127).sum() < 120
    assert digit[digit > 0].mean() > 110


def test_split_strokes_stay_and_specks_go() -> None:
    picture = np.full((SIDE, SIDE), 255, np.uint8)
    picture[60:220, 80:100] = 0
    apart = picture.copy()
    apart[60:80, 115:180] = 0
    specks = picture.copy()
    specks[20:26, 20:26] = specks[240:250, 200:206] = 0
    assert (as_digit(apart) > 0).any(0).sum() > 10
    np.testing.assert_array_equal(as_digit(specks), as_digit(picture))


def test_shading_alone_is_removed() -> None:
    digit = mnist()[0][0]
    shaded = (drawn(digit) * np.linspace(0.5, 1, SIDE)).astype(np.uint8)
    assert np.abs(as_digit(shaded).astype(int) - as_digit(drawn(digit))).mean() < 2


@pytest.mark.parametrize("shape", [(0, 0), (0, 28), (28, 0)])
def test_no_pixels(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"is \d+×\d+ and has no pixels"):
        as_digit(np.empty(shape, np.uint8))


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (300, 1000)])
def test_uniform(shape: tuple[int, int], level: int) -> None:
    with pytest.raises(InputError, match="nothing is drawn"):
        as_digit(np.full(shape, level, np.uint8))


def test_blank_paper() -> None:
    with pytest.raises(InputError, match="nothing is drawn"):
        as_digit(np.random.default_rng(0).normal(200, 6, (300, 400)).astype(np.uint8))


def test_a_speck_is_no_digit() -> None:
    with pytest.raises(InputError, match="nothing is drawn"):
        as_digit(np.pad(np.zeros((1, 1), np.uint8), 10, constant_values=255))


@pytest.mark.slow
def test_photographed_digits_are_recognised_as_well_as_the_originals() -> None:
    images, labels = mnist()
    tested = 200

    def accuracy(digits: Picture) -> float:
        """Of the nearest neighbor among blurred digits."""
        known, asked = (
            ndimage.gaussian_filter(part.astype(np.float32), (0, 1, 1)).reshape(len(part), -1)
            for part in (images[tested:], digits)
        )
        distances = (known**2).sum(1) - 2 * asked @ known.T
        return float((labels[tested:][distances.argmin(1)] == labels[:tested]).mean())

    processed = np.stack([as_digit(photo(off_center(drawn(digit, 140)))) for digit in images[:tested]])
    assert accuracy(processed) >= accuracy(images[:tested]) - 0.03
