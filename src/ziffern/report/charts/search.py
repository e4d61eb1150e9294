"""The scores of a search: in the order of its trials, during their training, and two objectives against each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ziffern.report.charts import svg
from ziffern.report.charts.axes import joined, legend, score_axis, ticks
from ziffern.report.charts.svg import SERIES
from ziffern.text.language import Language

Curve = tuple[NDArray[np.int64], NDArray[np.float64]]  # steps and scores of a trial
LOGARITHMIC = 20  # ratio of largest to smallest score from which a scale is logarithmic, as for the sizes of models


def history_chart(
    number: NDArray[np.int64],
    score: NDArray[np.float64],
    best: NDArray[np.float64],
    pruned: Sequence[tuple[int, float]],
    failed: Sequence[int],
    label: str,
    is_share: bool,
    language: Language,
) -> str:
    """Draw the scores (N,) of completed trials by their number, the best so far (N,), and the other trials.

    Pruned trials are given by number and last score, NaN if there is none.
    """

    def draw(axes: Axes) -> None:
        axes.plot(number, score, "o", color=SERIES[0], markersize=4.5, alpha=0.75, label=language("sweep.complete"))
        axes.step(number, best, where="post", color=SERIES[1], label=language("sweep.best_so_far"))
        scored = [(place, last) for place, last in pruned if np.isfinite(last)]
        if scored:
            style: Any = {"color": SERIES[4], "markersize": 5, "markerfacecolor": "none"}
            axes.plot(*zip(*scored, strict=True), "v", **style, label=language("sweep.pruned"))
        floor = axes.get_xaxis_transform()  # at the lower edge, independent of the scores
        without = [place for place, last in pruned if not np.isfinite(last)]
        for places, marker, color, key in (
            (without, "|", SERIES[4], "sweep.pruned_unscored"),
            (failed, "x", SERIES[3], "sweep.failed"),
        ):
            if places:
                line = axes.plot(places, [0.03] * len(places), marker, color=color, transform=floor)[0]
                line.set_label(language(key))
        axes.set(xlabel=language("sweep.number"), ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        score_axis(axes, is_share, language)
        legend(axes)

    return svg.render(draw, language("sweep.history"))


def trials_curves(
    complete: Sequence[Curve],
    best: Sequence[Curve],
    pruned: Sequence[Curve],
    limit: float | None,
    is_maximized: bool,
    label: str,
    is_share: bool,
    language: Language,
) -> str:
    """Draw the scores of trials over their steps, cut off beyond `limit`."""

    def draw(axes: Axes) -> None:
        faint = float(np.clip(12 / max(len(complete), 1), 0.15, 0.6))
        style: Any = {"color": SERIES[0], "linewidth": 1, "alpha": faint}
        if complete:
            axes.plot(*joined(complete), **style, label=language("sweep.complete"))
        if pruned:
            style = {"color": SERIES[4], "linewidth": 1, "linestyle": (0, (3, 2))}
            axes.plot(*joined(pruned), **style)
            ends = [(step[-1], score[-1]) for step, score in pruned]
            style |= {"marker": "x", "markersize": 5, "label": language("sweep.pruned")}
            axes.plot(*zip(*ends, strict=True), **(style | {"linestyle": "none"}))
        if best:
            axes.plot(*joined(best), color=SERIES[1], linewidth=2.4, label=language("sweep.best"))
        axes.set(xlabel=language("sweep.step"), ylabel=label)
        if limit is not None:
            axes.set_ylim(**{"bottom" if is_maximized else "top": limit})  # type: ignore[arg-type]
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        score_axis(axes, is_share, language)
        legend(axes)

    return svg.render(draw, language("sweep.curves"))


def front_chart(
    score: NDArray[np.float64],
    front: NDArray[np.int64],
    numbers: Sequence[int],
    labels: Sequence[str],
    is_share: Sequence[bool],
    language: Language,
) -> str:
    """Draw trials by two scores (N, 2); those at the places `front` are joined and numbered."""
    ordered = front[np.argsort(score[front, 0], kind="stable")]

    def draw(axes: Axes) -> None:
        axes.plot(*score.T, "o", color=SERIES[0], markersize=4.5, alpha=0.5, markeredgewidth=0)
        axes.plot(*score[ordered].T, "D--", color=SERIES[1], linewidth=1.2, markersize=6, label=language("sweep.front"))
        for turn, place in enumerate(ordered[:: -(-len(ordered) // 12)]):  # at most a dozen numbers
            where = (5, 5) if turn % 2 else (5, -11)
            axes.annotate(str(numbers[place]), score[place], where, textcoords="offset points", fontsize=9)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        for axis, share in zip((axes.xaxis, axes.yaxis), is_share, strict=True):
            axis.set_major_formatter(ticks(language, share))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        for scale, scores in zip((axes.set_xscale, axes.set_yscale), score.T, strict=True):
            if scores.min() > 0 and scores.max() > LOGARITHMIC * scores.min():
                scale("log")
        legend(axes)

    return svg.render(draw, language("sweep.front"))
