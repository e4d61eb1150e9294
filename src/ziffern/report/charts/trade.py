"""Accuracy against size of the recipes in a comparison."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from ziffern.analysis.significance import MeanInterval
from ziffern.report.charts import svg
from ziffern.report.charts.axes import short, ticks
from ziffern.report.charts.svg import SERIES
from ziffern.text.language import Language

MAX_LINES = 4  # of a name beside its dot


def trade_chart(recipes: Sequence[tuple[str, int, MeanInterval]], chosen: int | None, language: Language) -> str:
    """Draw test accuracy with its interval against the number of parameters, the recommended recipe in another color.

    Args:
        recipes: Name, parameters and test accuracy of each.
        chosen: The place of the recommended one; None if there is none.
        language: The language of the labels.
    """
    smallest, largest = min(size for _, size, _ in recipes), max(size for _, size, _ in recipes)

    def draw(axes: Axes) -> None:
        for place, (name, size, value) in enumerate(recipes):
            color = SERIES[1] if place == chosen else SERIES[0]
            if np.isfinite(value.low):
                axes.plot([size, size], [value.low, value.high], color=color, linewidth=1.5, zorder=2)
            axes.scatter([size], [value.mean], s=60, color=color, zorder=3)
            is_right = size**2 > smallest * largest  # in the right half, a name is to the left of its dot
            align, offset = ("right", -8) if is_right else ("left", 8)
            words = name.split(" ")
            lines = "\n".join([*map(short, words[:MAX_LINES]), *(["…"] if len(words) > MAX_LINES else [])])
            style: Any = {"textcoords": "offset points", "fontsize": 9, "ha": align, "va": "center"}
            axes.annotate(lines, (size, value.mean), (offset, 3), **style)
        axes.set_xscale("log")
        axes.set_xlim(smallest / 2, largest * 2)
        axes.set(xlabel=language("metrics.params.label"), ylabel=language("metrics.test_acc.label"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: language.number(value)))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        axes.yaxis.set_major_formatter(ticks(language))

    return svg.render(draw, language("compare.trade"))
