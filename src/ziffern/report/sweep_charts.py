"""The charts and the scores of a search's report, from its findings."""

import math
from typing import Any

import numpy as np

from ziffern.report import charts
from ziffern.search.findings import Objective, SearchFindings, outlier_limit
from ziffern.search.parameters import SearchedParameter
from ziffern.text.language import NONE, Language

MAX_AXES = 12  # parameters in the chart of parallel axes
MAX_HIGHLIGHTED = 10  # trials in the chart of parallel axes
FRONT_OBJECTIVES = 2  # a front is drawn for two objectives only
DIGITS = 4  # significant digits of a score
MIN_PLAIN, MAX_PLAIN = 1e-4, 1e7  # smaller and larger numbers are written with a power of ten


def score_text(value: float | None, objective: Objective, t: Language) -> str:
    """Return a score of an objective: an accuracy as a percentage, any other with four significant digits."""
    return t.percent(value) if objective.is_share else significant(value, t)


def significant(value: float | None, t: Language) -> str:
    """Return a number with four significant digits, a tiny or huge one with a power of ten."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0 or MIN_PLAIN <= abs(value) < MAX_PLAIN:
        return t.number(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))) if value else 0)
    mantissa, power = f"{value:.{DIGITS - 1}e}".split("e")
    return f"{t.number(float(mantissa), DIGITS - 1)}e{int(power)}"


def search_charts(findings: SearchFindings, names: list[str], t: Language) -> dict[str, Any]:
    """Return each chart for which there are values, as SVG.

    Args:
        findings: Of a study with at least one scored trial.
        names: The names of the objectives.
        t: The language of the page.
    """
    objective, best = findings.objectives[0], findings.ranked[0]
    axis: dict[str, Any] = {"label": names[0], "is_share": objective.is_share, "language": t}
    drawn: dict[str, Any] = {"history": _history(findings, axis), "curves": _curves(findings, axis)}
    if shares := findings.importances.shares:
        drawn["importances"] = charts.importance_chart(shares, t)
    scores = findings.within(findings.score[:, 0])
    drawn["slices"] = [charts.slice_chart(parameter, scores, best, **axis) for parameter in findings.parameters]
    if findings.parameters and len(findings.scored) > 1:
        score = SearchedParameter(names[0], scores, float(scores.min()), float(scores.max()))
        highlighted = findings.ranked[: min(MAX_HIGHLIGHTED, math.ceil(len(scores) / 10))]
        axes = findings.parameters[:MAX_AXES]

        def end_of_axis(value: float) -> str:
            sign = "≤ " if objective.is_maximized else "≥ "  # outliers are at the limit, too
            return (sign if value == findings.limit else "") + score_text(value, objective, t)

        drawn["parallel"] = charts.parallel_chart(axes, score, objective.is_maximized, highlighted, end_of_axis, t)
    if len(findings.objectives) == FRONT_OBJECTIVES:
        numbers = [trial.number for trial in findings.scored]
        is_share = [objective.is_share for objective in findings.objectives]
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
    """Return the chart of the scores that trials reported before their end; empty if none did."""
    curves: dict[str, list[Any]] = {"best": [], "COMPLETE": [], "PRUNED": []}
    best = findings.scored[findings.ranked[0]].number
    for trial in findings.trials:
        steps = sorted(step for step, value in trial.intermediate_values.items() if math.isfinite(value))
        kind = "best" if trial.number == best else trial.state.name
        if steps and kind in curves:
            curves[kind].append((np.array(steps), np.array([trial.intermediate_values[step] for step in steps])))
    if not any(len(steps) > 1 for group in curves.values() for steps, _ in group):
        return ""
    scores = np.concatenate([scores for group in curves.values() for _, scores in group])
    is_maximized = findings.objectives[0].is_maximized
    limit = outlier_limit(scores, is_maximized)
    return charts.trials_curves(
        curves["COMPLETE"], curves["best"], curves["PRUNED"], limit, is_maximized=is_maximized, **axis
    )
