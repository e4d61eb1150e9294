"""The scores of a search against one of its parameters."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ziffern.report.charts import svg
from ziffern.report.charts.axes import score_axis, short
from ziffern.report.charts.svg import SERIES
from ziffern.search.parameters import SearchedParameter
from ziffern.text.language import Language


def slice_chart(
    parameter: SearchedParameter, score: NDArray[np.float64], best: int, label: str, is_share: bool, language: Language
) -> str:
    """Draw the scores (N,) against a parameter's values, the place `best` marked."""
    spread = 0.0
    if parameter.choices:  # trials with the same choice stand side by side, spread evenly by the golden ratio
        spread = min(0.25, 0.03 * len(score))
    x = parameter.values + spread * (2 * (np.arange(len(score)) * 0.618034 % 1) - 1)

    def draw(axes: Axes) -> None:
        axes.plot(x, score, "o", color=SERIES[0], markersize=4, alpha=0.6, markeredgewidth=0)
        axes.plot(x[best : best + 1], score[best : best + 1], "D", color=SERIES[1], markersize=6)
        _scale_axis(axes, parameter)
        room = 0.08 * np.ptp(score) or 0.01 * abs(score[0]) or 1  # all slices have the same scale
        axes.set_ylim(score.min() - room, score.max() + room)
        axes.set(xlabel=short(parameter.name), ylabel=label)
        score_axis(axes, is_share, language)
        axes.yaxis.set_major_locator(MaxNLocator(5))

    return svg.render(draw, parameter.name, width=3.2, height=2.4)


def _scale_axis(axes: Axes, parameter: SearchedParameter) -> None:
    """Show the whole range that was searched, with ticks in the words of the configuration."""
    low, high = parameter.low, parameter.high
    if parameter.choices:
        step = -(-len(parameter.choices) // 8)
        shown = range(0, len(parameter.choices), step)
        names = [short(parameter.choices[place], 14) for place in shown]
        axes.set_xticks(list(shown), labels=names, rotation=0 if sum(map(len, names)) <= 24 else 30)  # noqa: PLR2004
        axes.set_xlim(low - 0.5, high + 0.5)
    elif parameter.is_log:
        axes.set_xscale("log")
        room = (high / low) ** 0.05 if high > low else 2
        axes.set_xlim(low / room, high * room)
        axes.xaxis.set_major_locator(FixedLocator(_log_ticks(low, high)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        room = 0.05 * (high - low) or 0.5
        axes.set_xlim(low - room, high + room)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    if not parameter.choices:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _log_ticks(low: float, high: float) -> list[float]:
    """Return two to five round values from low to high: powers of ten, or 1, 2 and 5 times them."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for factors in ((1,), (1, 2, 5)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low / 1.001 <= tick <= high * 1.001]
        if len(ticks) > 1:
            return ticks[:: -(-len(ticks) // 5)]
    return sorted({low, high})
