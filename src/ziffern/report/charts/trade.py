"""Accuracy against size of the recipes in a comparison."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from ziffern.analysis.significance import MeanInterval
from ziffern.report.charts import svg
from ziffern.report.charts.axes import percent_ticks, short
from ziffern.report.charts.svg import SERIES
from ziffern.text.language import Language

MAX_LINES = 4  # of a name beside its dot


def trade_chart(recipes: Sequence[tuple[str, int, MeanInterval]], chosen: int | None, language: Language) -> str:
    """Draw test accuracy with its interval against the parameters, the recommended recipe in the other color.

    Args:
        recipes: Name, parameters and test accuracy of each.
        chosen: The place of the recommended one; None where there is none.
        language: Of the labels.
    """
    smallest, largest = min(size for _, size, _ in recipes), max(size for _, size, _ in recipes)

    def draw(axes: Axes) -> None:
        for place, (name, size, value) in enumerate(recipes):
            color = SERIES[1] if place == chosen else SERIES[0]
            if np.isfinite(value.low):
                axes.plot([size, size], [value.low, value.high], color=color, linewidth=1.5, zorder=2)
            axes.scatter([size], [value.mean], s=60, color=color, zorder=3)
            right = size**2 > smallest * largest  # of the middle: the name stands to the left of its dot
            side, place_x = ("right", -8) if right else ("left", 8)
            words = name.split(" ")
            lines = "\n".join([*map(short, words[:MAX_LINES]), *(["…"] if len(words) > MAX_LINES else [])])
            where = (size, value.mean)
            axes.annotate(lines, where, (place_x, 3), textcoords="offset points", fontsize=9, ha=side, va="center")
        axes.set_xscale("log")
        axes.set_xlim(smallest / 2, largest * 2)
        axes.set(xlabel=language("metrics.params.label"), ylabel=language("metrics.test_acc.label"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: language.number(value)))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        axes.yaxis.set_major_formatter(percent_ticks(language))

    return svg.render(draw, language("compare.trade"))
