"""The scores of a search: in the order of its trials, during their training, and two objectives against each other.

The first objective's outliers are drawn at the limit of `SearchFindings`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial

from ziffern.report.charts.drawing import SERIES, chart, curves, hover, legend, score_axis, score_text, short, ticks
from ziffern.search.findings import Curve, SearchFindings, outlier_limit
from ziffern.search.parameters import plain
from ziffern.text.language import Language

LOGARITHMIC = 20  # ratio of largest to smallest score from which a scale is logarithmic, as for the sizes of models
MAX_NAMED = 12  # settings under the pointer


def trial_text(trial: FrozenTrial, findings: SearchFindings, t: Language, names: Iterable[str] = ()) -> str:
    """Return the text under the pointer for a trial: its number, its scores, and its values of the settings `names`."""
    goals = findings.objectives if trial.values else []
    scores = [score_text(value, goal.is_share, t) for value, goal in zip(trial.values or [], goals, strict=True)]
    settings = [f"{short(name)} = {short(plain(trial.params[name], 4))}" for name in names if name in trial.params]
    return "\n".join([" · ".join([f"{t('sweep.number')} {trial.number}", *scores]), *settings])


@chart
def history_chart(axes: Axes, findings: SearchFindings, name: str, t: Language) -> str:
    """Draw the scores of completed trials by their number, the best so far, and the other trials."""
    names = [parameter.name for parameter in findings.parameters[:MAX_NAMED]]
    last, best = findings.last_scores, findings.best_so_far

    def dots(trials: Iterable[FrozenTrial], y: Any, marker: str, key: str, **style: Any) -> None:
        shown = [trial for trial in trials if trial.number in findings.drawn]
        if shown:
            (line,) = axes.plot([trial.number for trial in shown], y(shown), marker, label=t(key), **style)
            hover(line, [trial_text(trial, findings, t, names) for trial in shown])

    def score(trials: list[FrozenTrial]) -> Any:
        return findings.within(np.array([trial.values[0] for trial in trials]))

    dots(findings.scored, score, "o", "sweep.complete", color=SERIES[0], markersize=4.5, alpha=0.75, markeredgewidth=0)
    numbers = np.array([trial.number for trial in findings.scored])
    steps = np.flatnonzero(np.diff(best, prepend=np.nan, append=best[-1]) != 0)
    steps = np.append(steps, len(best) - 1)
    axes.step(numbers[steps], best[steps], where="post", color=SERIES[1], label=t("sweep.best_so_far"))
    style: Any = {"color": SERIES[4], "markersize": 5, "markerfacecolor": "none"}
    dots((trial for trial in findings.trials if trial.number in last), score, "v", "sweep.pruned", **style)
    for state, marker, color, key in (
        ("PRUNED", "|", SERIES[4], "sweep.pruned_unscored"),
        ("FAIL", "x", SERIES[3], "sweep.failed"),
    ):  # at the lower edge, independent of the scores
        ended = [trial for trial in findings.trials if trial.state.name == state and trial.number not in last]
        style = {"color": color, "transform": axes.get_xaxis_transform()}
        dots(ended, lambda shown: [0.03] * len(shown), marker, key, **style)
    _finish(axes, t("sweep.number"), name, findings, t)
    return t("sweep.history")


@chart
def trials_curves(axes: Axes, findings: SearchFindings, name: str, t: Language) -> str:
    """Draw the scores that trials reported before their end, cut off beyond the limit of these scores."""
    complete, pruned, best = (findings.curves[kind] for kind in ("COMPLETE", "PRUNED", "best"))

    def lines(shown: Sequence[Curve], **style: Any) -> None:
        texts = [trial_text(curve.trial, findings, t) for curve in shown]
        curves(axes, [(curve.steps, curve.scores) for curve in shown], texts, **style)

    if complete:
        faint = float(np.clip(12 / len(complete), 0.15, 0.6))
        lines(complete, colors=SERIES[0], linewidths=1, alpha=faint, label=t("sweep.complete"))
    if pruned:
        lines(pruned, colors=SERIES[4], linewidths=1, linestyles=[(0, (3, 2))])
        ends = [(curve.steps[-1], curve.scores[-1]) for curve in pruned]
        axes.plot(*zip(*ends, strict=True), "x", color=SERIES[4], markersize=5, label=t("sweep.pruned"))
    if best:
        lines(best, colors=SERIES[1], linewidths=2.4, label=t("sweep.best"))
    is_maximized = findings.objectives[0].is_maximized
    limit = outlier_limit(np.concatenate([curve.scores for curve in (*complete, *pruned, *best)]), is_maximized)
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
    settings = [parameter.name for parameter in findings.parameters[:MAX_NAMED]]
    style: Any = {"color": SERIES[0], "markersize": 4.5, "alpha": 0.5}
    for places, marker in ((np.setdiff1d(findings.places, ordered), "o"), (ordered, "D")):
        if len(places):
            (dots,) = axes.plot(*score[places].T, marker, markeredgewidth=0, **style)
            hover(dots, [trial_text(findings.scored[place], findings, t, settings) for place in places])
        style = {"color": SERIES[1], "markersize": 6, "label": t("sweep.front")}
    axes.plot(*score[ordered].T, "--", color=SERIES[1], linewidth=1.2)
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
