"""Two objectives of a search against each other, and the best compromises."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ziffern.report.charts import svg
from ziffern.report.charts.axes import legend, number_ticks, percent_ticks
from ziffern.report.charts.svg import SERIES
from ziffern.text.language import Language

LOGARITHMIC = 20  # times the smallest value: above, a scale is logarithmic (sizes of models differ by powers of ten)


def front_chart(
    score: NDArray[np.float64],
    front: NDArray[np.int64],
    numbers: Sequence[int],
    labels: Sequence[str],
    is_share: Sequence[bool],
    language: Language,
) -> str:
    """Draw trials by two scores (N, 2), and those at the places `front`, with their numbers, joined."""
    ordered = front[np.argsort(score[front, 0], kind="stable")]

    def draw(axes: Axes) -> None:
        axes.plot(*score.T, "o", color=SERIES[0], markersize=4.5, alpha=0.5, markeredgewidth=0)
        axes.plot(*score[ordered].T, "D--", color=SERIES[1], linewidth=1.2, markersize=6, label=language("sweep.front"))
        for turn, place in enumerate(ordered[:: -(-len(ordered) // 12)]):  # a dozen numbers at most
            where = (5, 5) if turn % 2 else (5, -11)
            axes.annotate(str(numbers[place]), score[place], where, textcoords="offset points", fontsize=9)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        for axis, share in zip((axes.xaxis, axes.yaxis), is_share, strict=True):
            axis.set_major_formatter(percent_ticks(language) if share else number_ticks(language))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        for scale, scores in zip((axes.set_xscale, axes.set_yscale), score.T, strict=True):
            if (
                scores.min() > 0 and scores.max() > LOGARITHMIC * scores.min()
            ):  # sizes of models differ by powers of ten
                scale("log")
        legend(axes)

    return svg.render(draw, language("sweep.front"))
