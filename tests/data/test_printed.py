import numpy as np

from ziffern.data.content import Part
from ziffern.data.printed import font_files, with_printed


def test_printed_digits_follow_the_images_and_are_the_same_each_time() -> None:
    part = Part(np.ones((3, 28, 28), np.uint8), np.array([7, 7, 7]))
    first, second = (with_printed(part, 40) for _ in range(2))
    assert first.labels.tolist() == [7, 7, 7, *(place % 10 for place in range(40))]
    np.testing.assert_array_equal(np.asarray(first.images)[:3], part.images)
    np.testing.assert_array_equal(first.images, second.images)
    assert np.asarray(first.images)[3:].any((1, 2)).all()


def test_fonts_are_found() -> None:
    assert any("DejaVuSans.ttf" in file for file in font_files())
