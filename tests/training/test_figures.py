"""The figures of results for TensorBoard."""

import numpy as np
import pytest

from ziffern.analysis.outcome import Outcome
from ziffern.training.figures import mistakes_figure


@pytest.mark.parametrize(("shape", "ratio"), [((1, 28, 28), 1), ((3, 16, 32), 2)])
@pytest.mark.parametrize("mistakes", [0, 3, 60])
def test_mistakes_have_their_titles_and_keep_their_shape(shape: tuple[int, ...], ratio: float, mistakes: int) -> None:
    probability = np.tile(np.float32([0.1, 0.9]), (70, 1))
    target = np.ones(70, np.int64)
    target[:mistakes] = 0
    images = np.random.default_rng(0).integers(0, 256, (70, *shape), dtype=np.uint8)
    figure = mistakes_figure(images, Outcome(target, probability), ["a$", "b"], limit=40)
    (axes,) = figure.axes
    figure.draw_without_rendering()
    boxes = [image.get_window_extent() for image in axes.images]
    assert len(boxes) == min(mistakes, 40)
    assert [text.get_text() for text in axes.texts] == ["a$ → b  90%"] * len(boxes)
    assert all(box.width / box.height == pytest.approx(ratio) for box in boxes)
    assert not any(first.overlaps(second) for at, first in enumerate(boxes) for second in boxes[:at])
    assert all(figure.bbox.containsx(x) and figure.bbox.containsy(y) for box in boxes for x, y in box.get_points())
