"""Charts of results as matplotlib figures, for TensorBoard; reports draw their own in the page's colors."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ziffern.analysis.outcome import Outcome
from ziffern.data.spec import displayed

MAX_INCHES, MIN_CELL = 20, 0.35  # of a confusion matrix, and of a cell that has room for a number
CELL, FILLED = (1.1, 1.35), 0.85  # inches of an image with its title; share of the width that the image fills


def confusion_figure(confusion: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """Draw counts (C, C), row the true class, column the predicted one.

    Only mistakes are colored: beside the large diagonal they would be invisible.
    """
    classes = len(class_names)
    mistakes = confusion * (1 - np.eye(classes, dtype=np.int64))
    cell = min(0.62, MAX_INCHES / classes)
    figure = Figure(figsize=(cell * classes + 1, cell * classes + 0.6), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(mistakes, cmap="Reds", vmax=max(int(mistakes.max()), 1) * 1.4)
    for row in range(classes):
        for column in range(classes):
            count = int(confusion[row, column])
            if count and cell > MIN_CELL:
                weight = "bold" if row == column else "normal"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8, fontweight=weight)
    axes.set(xlabel="predicted", ylabel="true", xticks=range(classes), yticks=range(classes))
    rotation = 90 if max(map(len, class_names)) > 2 else 0  # noqa: PLR2004
    axes.set_xticklabels(class_names, rotation=rotation, parse_math=False)
    axes.set_yticklabels(class_names, parse_math=False)
    return figure


def mistakes_figure(images: NDArray[np.uint8], outcome: Outcome, class_names: Sequence[str], limit: int = 40) -> Figure:
    """Draw the misclassified images among (N, C, H, W) ones, the most confident mistakes first."""
    chosen = outcome.mistakes[:limit]
    columns = 8
    rows = max(-(-len(chosen) // columns), 1)
    width, height = columns * CELL[0], rows * CELL[1] + 0.4  # inches
    figure = Figure(figsize=(width, height))
    title = f"{outcome.total - outcome.correct} of {outcome.total} misclassified; true → predicted, probability"
    figure.suptitle(title, fontsize=10, y=1 - 0.1 / height)
    axes = figure.add_axes((0, 0, 1, 1))  # one for all images, as each takes 20 ms
    axes.axis("off")
    for place, number in enumerate(chosen):
        image = displayed(images[number])
        high, wide = (CELL[0] * FILLED * side / max(image.shape[:2]) for side in image.shape[:2])
        middle, top = (place % columns + 0.5) * CELL[0], place // columns * CELL[1] + 0.65
        extent = (middle - wide / 2, middle + wide / 2, top + high, top)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
        words = (
            f"{class_names[outcome.target[number]]} → {class_names[outcome.predicted[number]]}  "
            f"{outcome.confidence[number]:.0%}"
        )
        axes.text(middle, top - 0.06, words, fontsize=7, ha="center", parse_math=False)
    axes.set(xlim=(0, width), ylim=(height, 0))  # `imshow` has changed them
    return figure
