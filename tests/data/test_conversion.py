"""Images in another number of channels or another size."""

import numpy as np
import pytest
from PIL import Image

from ziffern.data.conversion import converted, opaque, scaled
from ziffern.errors import InputError

COLOR = np.random.RandomState(0).randint(0, 256, (3, 3, 20, 30)).astype(np.uint8)


def test_the_same_shape_changes_nothing() -> None:
    np.testing.assert_array_equal(converted(COLOR, (3, 20, 30), "x"), COLOR)


def test_gray_of_a_color_is_pillows() -> None:
    gray = converted(COLOR, (1, 20, 30), "x")
    pillow = np.asarray(Image.fromarray(COLOR[0].transpose(1, 2, 0)).convert("L"), int)
    assert np.abs(gray[0, 0].astype(int) - pillow).max() <= 1


def test_gray_becomes_three_equal_colors() -> None:
    colors = converted(COLOR[:, :1], (3, 20, 30), "x")
    np.testing.assert_array_equal(colors, np.repeat(COLOR[:, :1], 3, 1))


@pytest.mark.parametrize("size", [(10, 15), (41, 17)])
def test_size_is_changed_with_antialiasing_as_pillow_does(size: tuple[int, int]) -> None:
    found = converted(COLOR, (3, *size), "x")
    pillow = Image.fromarray(COLOR[1].transpose(1, 2, 0)).resize(size[::-1], Image.Resampling.BILINEAR)
    assert found.shape == (3, 3, *size)
    assert np.abs(found[1].transpose(1, 2, 0).astype(int) - np.asarray(pillow, int)).max() <= 1


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = converted(COLOR, (1, 9, 9), "x")
    monkeypatch.setattr("ziffern.data.conversion.BLOCK", 2)
    np.testing.assert_array_equal(converted(COLOR, (1, 9, 9), "x"), whole)


def test_a_margin_is_black() -> None:
    framed = scaled(np.full((1, 1, 16, 16), 255, np.uint8), (28, 28), margin=4)
    assert (framed[0, 0, 4:24, 4:24] == 255).all()
    assert framed.sum() == 255 * 400


def test_other_channels_cannot_be_converted() -> None:
    with pytest.raises(InputError) as error:
        converted(np.zeros((2, 2, 8, 8), np.uint8), (3, 8, 8), "mine")
    assert str(error.value).startswith("mine: images with 2 channels cannot be converted to 3: use data.image=[2,8,8]")


@pytest.mark.parametrize("visible", [0.3, 0.95])
def test_a_ground_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch, visible: float) -> None:
    random = np.random.RandomState(0)
    pixels = random.randint(0, 256, (20, 30, 4)).astype(np.uint8)
    pixels[..., 3] = 255 * (random.rand(20, 30) < visible)
    whole = opaque(pixels)
    monkeypatch.setattr("ziffern.data.conversion.PIXELS", 70)
    np.testing.assert_array_equal(opaque(pixels), whole)
