"""The report of a hyperparameter search: the best trial, the importance of each setting, and all trials.

Decisions: parameters are written as in the configuration, in every language; the table has the best 300 trials, the
charts have up to 1,000, and what is computed is based on all of them.
"""

import shlex
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from ziffern.report.charts.contour import contour_chart
from ziffern.report.charts.drawing import score_text
from ziffern.report.charts.parameters import MAX_AXES, importance_chart, parallel_chart, slice_chart
from ziffern.report.charts.search import front_chart, history_chart, trials_curves
from ziffern.report.charts.timeline import timeline_chart
from ziffern.report.page import write_page
from ziffern.search.findings import MAX_LISTED, SearchFindings, seconds
from ziffern.search.importances import MIN_TRIALS
from ziffern.search.parameters import plain
from ziffern.search.timeline import Timeline
from ziffern.text.language import Language

FRONT_OBJECTIVES = 2  # a front is drawn for two objectives only
STATES = {
    "COMPLETE": "sweep.complete",
    "PRUNED": "sweep.pruned",
    "FAIL": "sweep.failed",
    "RUNNING": "sweep.running",
    "WAITING": "sweep.waiting",
}


def write_sweep_report(
    study: optuna.Study, folder: Path, output: Path | None = None, language: str | None = None
) -> Path:
    """Write the report of a search and return its path.

    Args:
        study: The study in any state; it is only read.
        folder: The sweep folder, with a folder per trial and possibly experiment/best.yaml.
        output: The file to write; sweep.html in the sweep folder if None.
        language: en or de; en if None.

    Raises:
        ValueError: The language is unknown.
    """
    t = Language(language or "en")
    path = output or folder / "sweep.html"
    write_page(path, "sweep.html", t, _context(SearchFindings(study), folder, t))
    return path


def _context(findings: SearchFindings, folder: Path, t: Language) -> dict[str, Any]:
    """Return the context of the search template."""
    objectives, attributes = findings.objectives, findings.study.user_attrs
    nameless = "sweep.objective" if len(objectives) > 1 else "sweep.score"
    names = [objective.name or t(nameless, number=number) for number, objective in enumerate(objectives, 1)]
    goals = [
        t("sweep.higher" if objective.is_maximized else "sweep.lower", name=name)
        for objective, name in zip(objectives, names, strict=True)
    ]
    about = attributes.get("about_by_language")
    front = [findings.scored[place] for place in findings.front]
    trials, timeline = _shown_trials(findings), Timeline.of(findings.trials)

    def scores(trial: FrozenTrial) -> list[str]:
        values = trial.values or [None] * len(objectives)
        return [score_text(value, goal.is_share, t) for value, goal in zip(values, objectives, strict=True)]

    return {
        "title": t("sweep.title", name=findings.study.study_name),
        "findings": findings,
        "folder": folder,
        "names": names,
        "goals": "; ".join(goals),
        "about": (about.get(t.code) if isinstance(about, dict) else None) or attributes.get("about", ""),
        "states": ", ".join(f"{t.number(findings.states[state])} {t(key)}" for state, key in STATES.items()),
        "state_names": STATES,
        "best": front[0] if front and len(objectives) == 1 else None,
        "front": front if len(objectives) > 1 else [],
        "best_command": shlex.join(["python", "train.py", "--config-dir", str(folder), "experiment=best"]),
        "is_exported": (folder / "experiment/best.yaml").is_file(),
        "charts": _charts(findings, timeline, names, t) if findings.scored else {},
        "timeline": timeline,
        "trials": trials,
        "columns": sorted({name for trial in trials for name in trial.params}),
        "best_numbers": {trial.number for trial in front},
        "scores": scores,
        "command": _command,
        "plain": plain,
        "seconds": seconds,
        "training_seconds": sum(seconds(trial) or 0 for trial in findings.trials),
        "max_axes": MAX_AXES,
        "max_trials": MAX_LISTED,
        "min_trials": MIN_TRIALS,
    }


def _command(trial: FrozenTrial) -> str | None:
    """Return the command that trains a trial again; None if its overrides are unknown."""
    overrides = trial.user_attrs.get("overrides")
    if not isinstance(overrides, list):
        return None
    kept = [str(item) for item in overrides if not str(item).startswith("hparams_search=")]
    return shlex.join(["python", "train.py", *kept])


def _shown_trials(findings: SearchFindings) -> list[FrozenTrial]:
    """Return the trials of the table: scored ones, best first, then the others in order."""
    best = [findings.scored[place] for place in findings.ranked]
    numbers = {trial.number for trial in best}
    return [*best, *(trial for trial in findings.trials if trial.number not in numbers)][:MAX_LISTED]


def _charts(findings: SearchFindings, timeline: Timeline | None, names: list[str], t: Language) -> dict[str, Any]:
    """Return each chart for which there are values, as SVG."""
    name = names[0]
    drawn: dict[str, Any] = {"history": history_chart(findings, name, t)}
    if any(len(curve.steps) > 1 for group in findings.curves.values() for curve in group):
        drawn["curves"] = trials_curves(findings, name, t)
    if shares := findings.importances.shares:
        drawn["importances"] = importance_chart(shares, t)
        varied = [parameter for parameter in findings.parameters if parameter.low < parameter.high]
        if len(varied) > 1:
            drawn["contour"] = contour_chart(varied[0], varied[1], findings, name, t)
    if timeline and len(timeline.trials) > 1:
        drawn["timeline"] = timeline_chart(timeline, findings, t)
    drawn["slices"] = [slice_chart(parameter, findings, name, t) for parameter in findings.parameters]
    if findings.parameters and len(findings.scored) > 1:
        drawn["parallel"] = parallel_chart(findings, name, t)
    if len(findings.objectives) == FRONT_OBJECTIVES:
        drawn["front"] = front_chart(findings, names, t)
    return drawn
