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
    """Return many curves as one with gaps, which is a single path in the SVG."""
    gap = np.array([np.nan])
    parts = [part for x, y in curves for part in ((x, y), (gap, gap))]
    if not parts:
        return gap, gap
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def score_axis(axes: Axes, is_share: bool, language: Language) -> None:
    """Format the ticks of scores; an axis of shares ends at 100 percent."""
    axes.yaxis.set_major_formatter(ticks(language, is_share))
    if is_share:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.001))


def short(name: str, limit: int = 28) -> str:
    """Return the end of a name that is too long for a chart: `…optimizer.lr`, cut at a dot if there is one."""
    if len(name) <= limit:
        return name
    end = name[1 - limit :]
    return "…" + end[end.partition("=")[0].find(".") + 1 :]  # but not at a number's decimal point


def legend(axes: Axes) -> None:
    """Put the legend above the chart, in full colors where the lines are faint."""
    for handle in axes.figure.legend(fontsize=9, loc="outside upper center", ncols=3).legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def ticks(language: Language, is_share: bool = True) -> FuncFormatter:
    """Return ticks of shares as percentages, or of numbers, with as many decimals as needed, at most two or eight."""

    def text(value: float, _: object) -> str:
        if is_share:
            return language.percent(value, _decimals(100 * value, 2))
        return language.number(value, _decimals(value, 8))

    return FuncFormatter(text)


def _decimals(value: float, limit: int) -> int:
    return next((n for n in range(limit) if np.isclose(value * 10**n, round(value * 10**n))), limit)
