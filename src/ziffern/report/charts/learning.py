"""Training and validation scores over the epochs of a run."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ziffern.report.charts import svg
from ziffern.report.charts.axes import number_ticks, percent_ticks
from ziffern.report.charts.svg import SERIES, TEXT
from ziffern.text.language import Language


def learning_curve(
    train: NDArray[np.float64], val: NDArray[np.float64], best: int, is_share: bool, language: Language
) -> str:
    """Draw training and validation values (E,) over the epochs, and a line at the selected epoch."""

    def draw(axes: Axes) -> None:
        epochs = np.arange(1, len(train) + 1)
        marker = "o" if len(epochs) <= 12 else None  # noqa: PLR2004
        axes.plot(epochs, train, color=SERIES[0], marker=marker, markersize=4, label=language("curves.train"))
        axes.plot(epochs, val, color=SERIES[1], marker=marker, markersize=4, label=language("curves.val"))
        if best:
            axes.axvline(best, color=TEXT, linewidth=1, linestyle=":", label=language("curves.best"))
        axes.set_xlabel(language("curves.epoch"))
        axes.set_ylabel(language("curves.accuracy" if is_share else "curves.loss"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(1 - 0.3, len(train) + 0.3)
        axes.yaxis.set_major_formatter(percent_ticks(language) if is_share else number_ticks(language))
        axes.legend(fontsize=9)

    return svg.render(draw, language("curves.accuracy" if is_share else "curves.loss"))
