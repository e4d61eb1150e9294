"""The charts of a search's report, from its findings."""

import math
from typing import Any

import numpy as np

from ziffern.report import charts
from ziffern.report.scores import score_text
from ziffern.search.findings import SearchFindings, outlier_limit
from ziffern.search.parameters import SearchedParameter
from ziffern.text.language import Language

MAX_AXES = 12  # parallel ones
MAX_HIGHLIGHTED = 10  # trials in the chart of parallel axes
DRAWN_OBJECTIVES = 2  # of a front


def search_charts(findings: SearchFindings, names: list[str], t: Language) -> dict[str, Any]:
    """Return each chart for which there is something to draw, as SVG.

    Args:
        findings: With at least one scored trial.
        names: Of the objectives.
        t: The language of the page.
    """
    objective, best = findings.objectives[0], findings.ranked[0]
    axis: dict[str, Any] = {"label": names[0], "is_share": objective.is_share, "language": t}
    drawn: dict[str, Any] = {"history": _history(findings, axis), "curves": _curves(findings, axis)}
    if shares := findings.importances.shares:
        drawn["importances"] = charts.share_bars(list(shares), list(shares.values()), t("sweep.importances"), t)
    scores = findings.within(findings.score[:, 0])
    drawn["slices"] = [charts.slice_chart(each, scores, best, **axis) for each in findings.parameters]
    if findings.parameters and len(findings.scored) > 1:
        score = SearchedParameter(names[0], scores, float(scores.min()), float(scores.max()))
        highlighted = findings.ranked[: min(MAX_HIGHLIGHTED, math.ceil(len(scores) / 10))]
        axes = findings.parameters[:MAX_AXES]

        def end_of_axis(value: float) -> str:
            beyond = "≤ " if objective.is_maximized else "≥ "  # outliers lie there too
            return (beyond if value == findings.limit else "") + score_text(value, objective, t)

        drawn["parallel"] = charts.parallel_chart(axes, score, objective.is_maximized, highlighted, end_of_axis, t)
    if len(findings.objectives) == DRAWN_OBJECTIVES:
        numbers = [trial.number for trial in findings.scored]
        is_share = [each.is_share for each in findings.objectives]
        drawn["front"] = charts.front_chart(findings.score, np.array(findings.front), numbers, names, is_share, t)
    return drawn


def _history(findings: SearchFindings, axis: dict[str, Any]) -> str:
    numbers = np.array([trial.number for trial in findings.scored])
    last = {number: float(findings.within(np.array([score]))[0]) for number, score in findings.last_scores.items()}
    pruned = [(t.number, last.get(t.number, math.nan)) for t in findings.trials if t.state.name == "PRUNED"]
    failed = [trial.number for trial in findings.trials if trial.state.name == "FAIL"]
    scores = findings.within(findings.score[:, 0])
    return charts.history_chart(numbers, scores, findings.best_so_far, pruned, failed, **axis)


def _curves(findings: SearchFindings, axis: dict[str, Any]) -> str:
    """Return the chart of the scores that trials reported before their end; empty where none did."""
    curves: dict[str, list[Any]] = {"best": [], "COMPLETE": [], "PRUNED": []}
    best = findings.scored[findings.ranked[0]].number
    for trial in findings.trials:
        steps = sorted(step for step, value in trial.intermediate_values.items() if math.isfinite(value))
        kind = "best" if trial.number == best else trial.state.name
        if steps and kind in curves:
            curves[kind].append((np.array(steps), np.array([trial.intermediate_values[step] for step in steps])))
    if not any(len(steps) > 1 for each in curves.values() for steps, _ in each):
        return ""
    scores = np.concatenate([scores for each in curves.values() for _, scores in each])
    is_maximized = findings.objectives[0].is_maximized
    limit = outlier_limit(scores, is_maximized)
    return charts.trials_curves(
        curves["COMPLETE"], curves["best"], curves["PRUNED"], limit, is_maximised=is_maximized, **axis
    )
