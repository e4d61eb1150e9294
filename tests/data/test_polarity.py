"""Which data sets are inverted: never a texture, always a part that is dark on light."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tests.data.test_drawing import mnist

from ziffern.data.content import Part
from ziffern.data.polarity import in_training_polarity, light_grounds

Images = NDArray[np.uint8]
COUNT = 200
RANDOM = np.random.default_rng(0)


def digits() -> Images:
    return mnist()[0][:COUNT, None]


def clothes() -> Images:
    """Filled gray shapes, some of which touch the border."""
    images = np.zeros((COUNT, 1, 28, 28), np.uint8)
    for image in images:
        width, height = RANDOM.integers(8, 27), RANDOM.integers(10, 29)
        left, top = (28 - width) // 2, (28 - height) // 2
        image[0, top : top + height, left : left + width] = RANDOM.integers(60, 250, (height, width))
    return images


def textures() -> Images:
    noise = ndimage.gaussian_filter(RANDOM.normal(0, 1, (COUNT, 1, 28, 28)), (0, 0, 2, 2))
    return np.clip(128 + 400 * noise, 0, 255).astype(np.uint8)


def tight() -> Images:
    """Digits cut close: ink covers a part of the border."""
    images = np.zeros((COUNT, 1, 20, 20), np.uint8)
    return images + mnist()[0][:COUNT, None, 4:24, 4:24]


def decided(images: Images, polarity: str = "auto"):
    part, notes = in_training_polarity(Part(images, np.zeros(len(images))), polarity, "train")
    return part.images, notes


@pytest.mark.parametrize("make", [digits, clothes, tight])
def test_light_on_dark_stays_and_dark_on_light_is_inverted(make) -> None:
    images = make()
    kept, notes = decided(images)
    assert kept is images
    assert notes == []
    turned, (note,) = decided(255 - images)
    np.testing.assert_array_equal(turned, images)
    assert note.code == "data.note.inverted"
    assert note.values["count"] == COUNT
    assert note.values["light"] >= 0.95 * (note.values["light"] + note.values["dark"])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_mixed_part_is_decided_image_by_image(share: float) -> None:
    images = digits()
    light = np.arange(COUNT) < share * COUNT
    mixed = np.where(light[:, None, None, None], 255 - images, images)
    turned, (note,) = decided(mixed)
    np.testing.assert_array_equal(turned, images)
    assert note.code == "data.note.mixed"
    assert {name: note.values[name] for name in ("light", "dark", "unclear", "count")} == {
        "light": light.sum(),
        "dark": COUNT - light.sum(),
        "unclear": 0,
        "count": COUNT,
    }


@pytest.mark.parametrize("share", [0.02, 0.98])
def test_a_few_exceptions_do_not_make_a_part_mixed(share: float) -> None:
    images = digits()
    light = (np.arange(COUNT) < share * COUNT)[:, None, None, None]
    kept, _ = decided(np.where(light, 255 - images, images))
    assert (kept[-1] == images[-1]).all() == (share < 0.5)


@pytest.mark.parametrize("images", [textures(), RANDOM.integers(0, 256, (COUNT, 1, 28, 28), np.uint8)])
@pytest.mark.parametrize("invert", [False, True])
def test_textures_and_noise_are_never_inverted(images: Images, invert: bool) -> None:
    images = 255 - images if invert else images
    kept, notes = decided(images)
    assert kept is images
    assert notes == []
    assert (light_grounds(images) == -1).mean() > 0.95


def test_photos_with_some_plain_grounds_of_either_kind_stay() -> None:
    images = np.concatenate([textures()[:100], digits()[:50], 255 - digits()[:50]])
    assert decided(images)[0] is images


def test_images_in_color_stay_but_gray_in_three_channels_does_not() -> None:
    gray = np.repeat(digits(), 3, 1)
    np.testing.assert_array_equal(decided(255 - gray)[0], gray)
    color = 255 - gray
    color[:, 0] //= 2
    assert decided(color)[0] is color


@pytest.mark.parametrize("polarity", ["keep", "light_on_dark"])
def test_the_user_keeps_dark_on_light(polarity: str) -> None:
    images = 255 - digits()
    assert decided(images, polarity)[0] is images


def test_the_user_inverts_textures() -> None:
    images = textures()
    turned, notes = decided(images, "dark_on_light")
    np.testing.assert_array_equal(turned, 255 - images)
    assert notes == []


def test_the_user_decides_image_by_image() -> None:
    images = digits()
    few = np.concatenate([255 - images[:2], images[2:]])  # 1 %, which `auto` would keep
    np.testing.assert_array_equal(decided(few, "mixed")[0], images)


def test_a_blank_page_is_as_light_as_its_ground() -> None:
    blank = np.stack([np.full((1, 28, 28), level, np.uint8) for level in (0, 255)])
    assert light_grounds(blank).tolist() == [0, 1]


def test_faint_ink_counts() -> None:
    faint = (200 - digits() // 10).astype(np.uint8)
    assert (light_grounds(faint) == 1).all()


def test_every_note_has_its_text_in_each_language() -> None:
    images = digits()
    notes = [decided(255 - images)[1][0], decided(np.concatenate([images, 255 - images]))[1][0]]
    assert "200 of 200 images are dark on light" in notes[0].in_language("en")
    assert "200 von 400 Bildern" in notes[1].in_language("de")
    assert notes[0].in_language("en").startswith("train part")
