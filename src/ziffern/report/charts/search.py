"""The scores of a search: in the order of its trials, during their training, and two objectives against each other.

The first objective's outliers are drawn at the limit of `SearchFindings`.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ziffern.report.charts.drawing import SERIES, chart, joined, legend, score_axis, ticks
from ziffern.search.findings import SearchFindings, outlier_limit
from ziffern.text.language import Language

LOGARITHMIC = 20  # ratio of largest to smallest score from which a scale is logarithmic, as for the sizes of models


@chart
def history_chart(axes: Axes, findings: SearchFindings, name: str, t: Language) -> str:
    """Draw the scores of completed trials by their number, the best so far, and the other trials."""
    numbers = [trial.number for trial in findings.scored]
    scores = findings.within(findings.score[:, 0])
    axes.plot(numbers, scores, "o", color=SERIES[0], markersize=4.5, alpha=0.75, label=t("sweep.complete"))
    axes.step(numbers, findings.best_so_far, where="post", color=SERIES[1], label=t("sweep.best_so_far"))
    if last := findings.last_scores:
        style: Any = {"color": SERIES[4], "markersize": 5, "markerfacecolor": "none", "label": t("sweep.pruned")}
        axes.plot(list(last), findings.within(np.array([*last.values()])), "v", **style)
    for state, marker, color, key in (
        ("PRUNED", "|", SERIES[4], "sweep.pruned_unscored"),
        ("FAIL", "x", SERIES[3], "sweep.failed"),
    ):
        places = [trial.number for trial in findings.trials if trial.state.name == state and trial.number not in last]
        if places:  # at the lower edge, independent of the scores
            style = {"color": color, "transform": axes.get_xaxis_transform(), "label": t(key)}
            axes.plot(places, [0.03] * len(places), marker, **style)
    _finish(axes, t("sweep.number"), name, findings, t)
    return t("sweep.history")


@chart
def trials_curves(axes: Axes, findings: SearchFindings, name: str, t: Language) -> str:
    """Draw the scores that trials reported before their end, cut off beyond the limit of these scores."""
    complete, pruned, best = (findings.curves[kind] for kind in ("COMPLETE", "PRUNED", "best"))
    faint = float(np.clip(12 / max(len(complete), 1), 0.15, 0.6))
    if complete:
        axes.plot(*joined(complete), color=SERIES[0], linewidth=1, alpha=faint, label=t("sweep.complete"))
    if pruned:
        style: Any = {"color": SERIES[4], "linewidth": 1, "linestyle": (0, (3, 2))}
        axes.plot(*joined(pruned), **style)
        style |= {"marker": "x", "markersize": 5, "linestyle": "none", "label": t("sweep.pruned")}
        axes.plot([step[-1] for step, _ in pruned], [score[-1] for _, score in pruned], **style)
    if best:
        axes.plot(*joined(best), color=SERIES[1], linewidth=2.4, label=t("sweep.best"))
    is_maximized = findings.objectives[0].is_maximized
    limit = outlier_limit(np.concatenate([score for _, score in (*complete, *pruned, *best)]), is_maximized)
    if limit is not None:
        axes.set_ylim(**{"bottom" if is_maximized else "top": limit})  # type: ignore[arg-type]
    _finish(axes, t("sweep.step"), name, findings, t)
    return t("sweep.curves")


def _finish(axes: Axes, xlabel: str, ylabel: str, findings: SearchFindings, t: Language) -> None:
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    score_axis(axes, findings.objectives[0].is_share, t)
    legend(axes)


@chart
def front_chart(axes: Axes, findings: SearchFindings, names: list[str], t: Language) -> str:
    """Draw trials by their scores in two objectives; those of the front are joined and numbered."""
    score = findings.score
    ordered = sorted(findings.front, key=lambda place: score[place, 0])
    axes.plot(*score.T, "o", color=SERIES[0], markersize=4.5, alpha=0.5, markeredgewidth=0)
    axes.plot(*score[ordered].T, "D--", color=SERIES[1], linewidth=1.2, markersize=6, label=t("sweep.front"))
    for turn, place in enumerate(ordered[:: -(-len(ordered) // 12)]):  # at most a dozen numbers
        number, where = str(findings.scored[place].number), (5, 5 if turn % 2 else -11)
        axes.annotate(number, score[place], where, textcoords="offset points", fontsize=9)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    scales = (axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)
    for (axis, set_scale), scores, objective in zip(scales, score.T, findings.objectives, strict=True):
        axis.set_major_formatter(ticks(t, objective.is_share))
        if scores.min() > 0 and scores.max() > LOGARITHMIC * scores.min():
            set_scale("log")
    legend(axes)
    return t("sweep.front")
