"""Ticks, legends and names of axes, in the language of a page."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from ziffern.text.language import Language


def joined(
    curves: Iterable[tuple[NDArray[Any], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return many curves as one with gaps: a single path in the page."""
    gap = np.array([np.nan])
    parts = [part for x, y in curves for part in ((x, y), (gap, gap))]
    if not parts:
        return gap, gap
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def score_axis(axes: Axes, is_share: bool, language: Language) -> None:
    """Format the ticks of scores; no share is above 100 percent."""
    axes.yaxis.set_major_formatter(percent_ticks(language) if is_share else number_ticks(language))
    if is_share:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.001))


def short(name: str, most: int = 28) -> str:
    """Return the end of a name that is too long for a chart: `…optimizer.lr`, from a dot on if there is one."""
    if len(name) <= most:
        return name
    end = name[1 - most :]
    return "…" + end[end.partition("=")[0].find(".") + 1 :]  # not from a number's decimal point on


def legend(axes: Axes) -> None:
    """Put the legend above the chart, in full colors where the lines are faint."""
    for handle in axes.figure.legend(fontsize=9, loc="outside upper center", ncols=3).legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def percent_ticks(language: Language) -> FuncFormatter:
    """Return ticks of shares as percentages, with the decimals that they need, two at most."""

    def text(value: float, _: object) -> str:
        return language.percent(value, _decimals(100 * value, 2))

    return FuncFormatter(text)


def number_ticks(language: Language) -> FuncFormatter:
    """Return ticks of numbers, with the decimals that they need, eight at most."""

    def text(value: float, _: object) -> str:
        return language.number(value, _decimals(value, 8))

    return FuncFormatter(text)


def _decimals(value: float, most: int) -> int:
    return next((n for n in range(most) if np.isclose(value * 10**n, round(value * 10**n))), most)
