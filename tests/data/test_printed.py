import cv2
import numpy as np
import pytest

from ziffern.data import printed
from ziffern.data.content import Part
from ziffern.data.printed import FORMS, font_files, with_printed


def test_printed_digits_follow_the_images_and_are_the_same_each_time() -> None:
    part = Part(np.ones((3, 28, 28), np.uint8), np.array([7, 7, 7]))
    first, second = (with_printed(part, 40) for _ in range(2))
    assert first.labels.tolist() == [7, 7, 7, *(place % 10 for place in range(40))]
    np.testing.assert_array_equal(np.asarray(first.images)[:3], part.images)
    np.testing.assert_array_equal(first.images, second.images)
    assert np.asarray(first.images)[3:].any((1, 2)).all()


def test_written_forms_of_digits_are_drawn_whole_and_in_many_pens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed, "DRAWN", 1.0)
    part = with_printed(Part(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.int64)), 400)
    for digit in FORMS:
        drawn = np.asarray(part.images)[part.labels == digit] > 127
        assert np.ptp(drawn.mean((1, 2))) > 0.05  # pens
        holes = [cv2.connectedComponents((~image).astype(np.uint8), connectivity=4)[0] - 2 for image in drawn]
        assert np.median(holes) == {4: 1, 8: 2, 9: 1}.get(digit, 0)


def test_fonts_are_found() -> None:
    assert any("DejaVuSans.ttf" in file for file in font_files())
