"""All parameters of a search side by side, each trial a line."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from ziffern.report.charts import svg
from ziffern.report.charts.axes import joined, short
from ziffern.report.charts.svg import PAGE, SERIES, TEXT
from ziffern.search.parameters import SearchedParameter
from ziffern.text.language import Language


def parallel_chart(
    parameters: Sequence[SearchedParameter],
    score: SearchedParameter,
    is_maximised: bool,
    best: Sequence[int],
    score_text: Callable[[float], str],
    language: Language,
) -> str:
    """Draw each trial as a line through its values and its score, the better the higher; the places `best` stand out.

    A parameter that a trial lacks is passed below its axis.
    """
    columns = [parameter.places for parameter in parameters]
    columns.append(score.places if is_maximised else 1 - score.places)
    lines = np.stack(columns, axis=1)  # (N, P + 1)
    lacking = np.isnan(lines)
    lines = np.where(lacking, -0.16, lines)
    others = np.setdiff1d(np.arange(len(lines)), best)

    def draw(axes: Axes) -> None:
        x = np.arange(lines.shape[1])
        alpha = float(np.clip(12 / max(len(others), 1), 0.08, 0.5))
        axes.plot(*joined((x, lines[place]) for place in others), color=SERIES[0], linewidth=1, alpha=alpha)
        axes.plot(*joined((x, lines[place]) for place in best[1:]), color=SERIES[1], linewidth=1.6, alpha=0.8)
        axes.plot(x, lines[best[0]], color=SERIES[1], linewidth=3.2, marker="D", markersize=5)
        for axis in range(len(x)):
            axes.axvline(axis, color=TEXT, linewidth=0.8)
        for place, parameter in enumerate(parameters):
            for height, text in _marks(parameter):
                _mark(axes, place, height, text)
        ends = (score.low, score.high) if is_maximised else (score.high, score.low)
        for height, end in zip((0, 1) if score.low < score.high else (0.5,), ends, strict=False):
            _mark(axes, len(parameters), height, score_text(end))
        for place in np.flatnonzero(lacking.any(axis=0)).tolist():
            _mark(axes, place, -0.16, language("sweep.lacking"))
        names = [short(name, 16) for name in (*(parameter.name for parameter in parameters), score.name)]
        axes.set_xticks(x, labels=names, fontsize=9)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_yticks([])
        axes.set(xlim=(-0.15, len(x) - 0.45), ylim=(-0.24 if lacking.any() else -0.06, 1.06))
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    return svg.render(draw, language("sweep.parallel"), width=max(4.8, 1.35 * lines.shape[1]), height=3.4)


def _marks(parameter: SearchedParameter) -> list[tuple[float, str]]:
    """Return the labels along a parameter's axis, each with its height in [0, 1]."""
    last = len(parameter.choices) - 1
    if last >= 0:
        shown = range(0, last + 1, -(-(last + 1) // 10))
        return [(place / last if last else 0.5, short(parameter.choices[place], 14)) for place in shown]
    if parameter.low == parameter.high:
        return [(0.5, f"{parameter.low:.4g}")]
    return [(0, f"{parameter.low:.4g}"), (1, f"{parameter.high:.4g}")]


def _mark(axes: Axes, place: int, height: float, text: str) -> None:
    """Write a value beside an axis, on the page's background, so that lines do not cross it."""
    ground = {"facecolor": PAGE, "edgecolor": "none", "alpha": 0.75, "pad": 1}
    axes.annotate(
        text, (place, height), (5, 0), textcoords="offset points", fontsize=8, va="center", bbox=ground, zorder=5
    )
