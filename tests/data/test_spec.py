"""The shape of images."""

import numpy as np
import pytest

from ziffern.data.dataset import LabeledImages
from ziffern.data.spec import ImageSpec, displayed, image_shape, in_words, with_channels
from ziffern.errors import InputError


def test_a_data_set_carries_its_spec() -> None:
    images = np.zeros((2, 3, 5, 7), np.uint8)
    spec = LabeledImages("tiny", images, np.array([0, 1]), 2, ("no", "yes")).spec
    assert spec == ImageSpec(3, 5, 7, ("no", "yes"))
    assert (spec.shape, spec.num_classes, in_words(spec.shape)) == ((3, 5, 7), 2, "3×5×7")


def test_no_shape_is_that_of_mnist() -> None:
    assert image_shape(None) == (1, 28, 28)
    assert image_shape([3, 32, 64]) == (3, 32, 64)


@pytest.mark.parametrize("image", [[], [28, 28], [1, 28, 0], [1, 28, 28.0], [True, 28, 28], [3, 3, 32, 32]])
def test_what_is_no_shape_is_refused(image: list[object]) -> None:
    with pytest.raises(InputError) as error:
        image_shape(image)  # type: ignore[arg-type]
    assert error.value.code == "data.image.invalid"


def test_images_are_displayed_in_gray_or_color() -> None:
    image = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
    np.testing.assert_array_equal(displayed(image[0]), image[0])
    np.testing.assert_array_equal(displayed(image[:1]), image[0])
    assert displayed(image).shape == (4, 5)  # two channels: their mean
    color = np.stack([image[0]] * 3)
    assert displayed(color).shape == (4, 5, 3)
    assert with_channels(image).shape == (2, 1, 4, 5)
