"""The parameters of a search: how much each mattered, its scores, and all of them side by side."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ziffern.report.charts.drawing import (
    PAGE,
    SERIES,
    TEXT,
    chart,
    curves,
    hover,
    resize,
    score_axis,
    score_text,
    short,
    ticks,
)
from ziffern.report.charts.search import trial_text
from ziffern.search.findings import SearchFindings
from ziffern.search.parameters import SearchedParameter
from ziffern.text.language import Language

MAX_AXES = 12  # parameters in the chart of parallel axes
MAX_HIGHLIGHTED = 10  # trials in the chart of parallel axes
BELOW = -0.16  # the height at which a line passes the axis of a parameter that its trial lacks


@chart
def importance_chart(axes: Axes, shares: Mapping[str, float], t: Language) -> str:
    """Draw a bar for the importance of each parameter, the first one on top."""
    resize(axes, height=0.6 + 0.32 * len(shares))
    bars = axes.barh([short(name) for name in shares], list(shares.values()), color=SERIES[0], height=0.6)
    axes.bar_label(bars, [t.percent(share, 0) for share in shares.values()], padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(shares.values()))
    axes.xaxis.set_major_formatter(ticks(t))
    axes.grid(visible=False, axis="y")
    return t("sweep.importances")


@chart
def slice_chart(axes: Axes, parameter: SearchedParameter, findings: SearchFindings, name: str, t: Language) -> str:
    """Draw the scores against a parameter's values; the best one is marked."""
    resize(axes, width=3.2, height=2.4)
    score, best = findings.within(findings.score[:, 0]), findings.ranked[0]
    places, x = findings.places[~np.isnan(parameter.values[findings.places])], parameter.spread()
    style: Any = {"color": SERIES[0], "markersize": 4, "alpha": 0.6}
    for shown, marker in ((places[places != best], "o"), (places[places == best], "D")):
        if len(shown):
            (dots,) = axes.plot(x[shown], score[shown], marker, markeredgewidth=0, **style)
            hover(dots, [trial_text(findings.scored[place], findings, t, [parameter.name]) for place in shown])
        style = {"color": SERIES[1], "markersize": 6}
    scale_axis(axes, parameter)
    room = 0.08 * np.ptp(score) or 0.01 * abs(score[0]) or 1  # the same scale in all slices
    axes.set_ylim(score.min() - room, score.max() + room)
    axes.set(xlabel=short(parameter.name), ylabel=name)
    score_axis(axes, findings.objectives[0].is_share, t)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return parameter.name


def scale_axis(axes: Axes, parameter: SearchedParameter, which: Literal["x", "y"] = "x") -> None:
    """Show the whole range that was searched on an axis, with ticks as in the configuration."""
    low, high = parameter.low, parameter.high
    axis, set_limits = (axes.xaxis, axes.set_xlim) if which == "x" else (axes.yaxis, axes.set_ylim)
    if parameter.choices:
        step = -(-len(parameter.choices) // 8)
        shown = range(0, len(parameter.choices), step)
        names = [short(parameter.choices[place], 14) for place in shown]
        is_wide = which == "x" and sum(map(len, names)) > 24  # noqa: PLR2004
        axis.set_ticks(list(shown), labels=names, rotation=30 if is_wide else 0)
        set_limits(low - 0.5, high + 0.5)
    elif parameter.is_log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        room = (high / low) ** 0.05 if high > low else 2
        set_limits(low / room, high * room)
        axis.set_major_locator(FixedLocator(_log_ticks(low, high)))
        axis.set_minor_locator(NullLocator())
    else:
        room = 0.05 * (high - low) or 0.5
        set_limits(low - room, high + room)
        axis.set_major_locator(MaxNLocator(5))
    if not parameter.choices:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _log_ticks(low: float, high: float) -> list[float]:
    """Return two to five round values from low to high: powers of ten, or 1, 2 and 5 times them."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for factors in ((1,), (1, 2, 5)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low / 1.001 <= tick <= high * 1.001]
        if len(ticks) > 1:
            return ticks[:: -(-len(ticks) // 5)]
    return sorted({low, high})


@chart
def parallel_chart(axes: Axes, findings: SearchFindings, name: str, t: Language) -> str:
    """Draw each trial as a line through its values and its score, better ones higher, the best tenth highlighted.

    If a trial lacks a parameter, its line passes below the axis.
    """
    objective, parameters = findings.objectives[0], findings.parameters[:MAX_AXES]
    scores = findings.within(findings.score[:, 0])
    score = SearchedParameter(name, scores, float(scores.min()), float(scores.max()))
    best = findings.ranked[: min(MAX_HIGHLIGHTED, math.ceil(len(scores) / 10))]
    places = [parameter.places for parameter in parameters]
    lines = np.stack([*places, score.places if objective.is_maximized else 1 - score.places], axis=1)  # (N, P + 1)
    lacking = np.isnan(lines)
    lines[lacking] = BELOW
    x, others = np.arange(lines.shape[1]), np.setdiff1d(findings.places, best)
    resize(axes, max(4.8, 1.35 * len(x)), 3.4)
    alpha = float(np.clip(12 / max(len(others), 1), 0.08, 0.5))
    for shown, style in (
        (others, {"colors": SERIES[0], "linewidths": 1, "alpha": alpha}),
        (best[1:], {"colors": SERIES[1], "linewidths": 1.6, "alpha": 0.8}),
        (best[:1], {"colors": SERIES[1], "linewidths": 3.2}),
    ):
        if len(shown):
            texts = [trial_text(findings.scored[place], findings, t) for place in shown]
            curves(axes, [(x, lines[place]) for place in shown], texts, **style)
    axes.plot(x, lines[best[0]], "D", color=SERIES[1], markersize=5)
    for axis in range(len(x)):
        axes.axvline(axis, color=TEXT, linewidth=0.8)
    for place, parameter in enumerate(parameters):
        for height, text in _marks(parameter):
            _mark(axes, place, height, text)
    ends = (score.low, score.high) if objective.is_maximized else (score.high, score.low)
    for height, end in zip((0, 1) if score.low < score.high else (0.5,), ends, strict=False):
        sign = ("≤ " if objective.is_maximized else "≥ ") if end == findings.limit else ""  # outliers are there, too
        _mark(axes, len(parameters), height, sign + score_text(end, objective.is_share, t))
    for place in np.flatnonzero(lacking.any(axis=0)).tolist():
        _mark(axes, place, BELOW, t("sweep.lacking"))
    axes.set_xticks(x, labels=[short(shown.name, 16) for shown in (*parameters, score)], fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_yticks([])
    axes.set(xlim=(-0.15, len(x) - 0.45), ylim=(-0.24 if lacking.any() else -0.06, 1.06))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return t("sweep.parallel")


def _marks(parameter: SearchedParameter) -> list[tuple[float, str]]:
    """Return the labels along a parameter's axis, each with its height in [0, 1]."""
    if parameter.choices:
        last = len(parameter.choices) - 1
        shown = range(0, last + 1, -(-(last + 1) // 10))
        return [(place / last if last else 0.5, short(parameter.choices[place], 14)) for place in shown]
    if parameter.low == parameter.high:
        return [(0.5, f"{parameter.low:.4g}")]
    return [(0, f"{parameter.low:.4g}"), (1, f"{parameter.high:.4g}")]


def _mark(axes: Axes, place: int, height: float, text: str) -> None:
    """Write a value beside an axis, on the page's background, so that lines do not cross it."""
    style: Any = {"bbox": {"facecolor": PAGE, "edgecolor": "none", "alpha": 0.75, "pad": 1}, "zorder": 5}
    axes.annotate(text, (place, height), (5, 0), textcoords="offset points", fontsize=8, va="center", **style)
