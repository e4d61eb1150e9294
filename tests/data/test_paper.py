import cv2
import numpy as np
from numpy.typing import NDArray
from tests.data.test_drawing import mnist

from ziffern.data.cutout import digit_image, ink_of
from ziffern.data.paper import paper_cells


def hole_area(image: NDArray[np.uint8]) -> int:
    """Return the pixels of the largest hole."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((image < 100).astype(np.uint8), connectivity=4)
    return max((int(stats[part, 4]) for part in range(1, len(stats)) if part != labels[0, 0]), default=0)


def test_a_share_of_the_loops_becomes_smaller_and_nothing_else_changes() -> None:
    images, labels = mnist()
    for digit, has_loop in ((1, False), (9, True)):
        some = images[labels == digit][:60]
        before, after, again = (
            [digit_image(ink_of(cell, is_dark=True)) for cell in paper_cells(some, 0, 0.0, (60, 72), loops)]
            for loops in (0.0, 1.0, 1.0)
        )
        np.testing.assert_array_equal(after, again)
        areas = [np.mean([hole_area(image) for image in each]) for each in (before, after)]
        if has_loop:
            assert 0.2 * areas[0] < areas[1] < 0.8 * areas[0]
        extents = [np.mean([np.ptp(np.flatnonzero(image.any(1))) for image in each]) for each in (before, after)]
        assert abs(extents[0] - extents[1]) < 1
