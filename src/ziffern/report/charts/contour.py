"""The score over two settings of a search.

Decisions: the score at a place is the mean of the trials' scores, weighted by a Gaussian of their distances, because
trials are noisy and lie in no grid; a choice has no neighbors; where no trial is near, there is no color.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ziffern.report.charts.drawing import BANDS, PAGE, SERIES, TEXT, chart, hover, resize, short, ticks
from ziffern.report.charts.parameters import scale_axis
from ziffern.report.charts.search import trial_text
from ziffern.search.findings import SearchFindings
from ziffern.search.parameters import SearchedParameter
from ziffern.text.language import Language

POINTS = 60  # of the grid, along an axis
MIN_WEIGHT = 0.13  # that of one trial at a distance of two widths


@chart
def contour_chart(
    axes: Axes, first: SearchedParameter, second: SearchedParameter, findings: SearchFindings, name: str, t: Language
) -> str:
    """Draw the score over two parameters, better ones in a stronger color, with the trials as dots."""
    resize(axes, 6.4, 4.2)
    objective, score = findings.objectives[0], findings.within(findings.score[:, 0])
    used = np.flatnonzero(~np.isnan(first.values + second.values))
    (x, across), (y, along) = (_kernel(parameter, used) for parameter in (first, second))
    weight = along @ across.T  # (Y, X)
    surface = np.where(weight > MIN_WEIGHT, (along * score[used]) @ across.T / np.maximum(weight, MIN_WEIGHT), np.nan)
    levels = MaxNLocator(len(BANDS) - 1).tick_values(np.nanmin(surface), np.nanmax(surface))
    colors = [BANDS[place] for place in np.linspace(0, len(BANDS) - 1, len(levels) - 1).astype(int)]
    areas = axes.contourf(x, y, surface, levels, colors=colors if objective.is_maximized else colors[::-1])
    bar = axes.figure.colorbar(areas, ax=axes, label=name, format=ticks(t, objective.is_share), aspect=30)
    bar.outline.set_visible(False)
    drawn, best = np.intersect1d(used, findings.places), findings.ranked[0]
    place_x, place_y = first.spread(), second.spread(0.754878)  # another ratio, or the dots form a diagonal
    style: Any = {"color": TEXT, "markersize": 3.6, "markeredgecolor": PAGE, "markeredgewidth": 0.5}
    for shown, marker in ((drawn[drawn != best], "o"), (drawn[drawn == best], "D")):
        if len(shown):
            (dots,) = axes.plot(place_x[shown], place_y[shown], marker, **style)
            names = [first.name, second.name]
            hover(dots, [trial_text(findings.scored[place], findings, t, names) for place in shown])
        style |= {"color": SERIES[1], "markersize": 8}
    scale_axis(axes, first)
    scale_axis(axes, second, "y")
    axes.set(xlabel=short(first.name, 40), ylabel=short(second.name, 40))
    axes.grid(visible=False)
    return t("sweep.contour", first=first.name, second=second.name)


def _kernel(parameter: SearchedParameter, used: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return G places along an axis, and how near the `used` trials (N,) are to each, (G, N) in [0, 1]."""
    if parameter.choices:  # two places each, so that its color fills its part of the axis
        choices = np.arange(len(parameter.choices))
        ends = np.stack([choices - 0.499, choices + 0.499], axis=1).ravel()
        return ends, (np.repeat(choices, 2)[:, None] == parameter.values[used]).astype(np.float64)
    low, high = parameter.low, parameter.high
    grid = np.geomspace(low, high, POINTS) if parameter.is_log else np.linspace(low, high, POINTS)
    width = 0.35 * len(used) ** (-1 / 6)  # Scott's rule in two dimensions, for values spread over the range
    distance = (np.linspace(0, 1, POINTS)[:, None] - parameter.places[used]) / width
    return grid, np.exp(-(distance**2) / 2)
