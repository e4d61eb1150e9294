"""The report of a hyperparameter search: the best trial, the importance of each setting, and all trials.

Decisions: parameters are written as in the configuration, in every language; the table has the best 300 trials, the
charts have all of them.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ziffern.report.sweep_charts import MAX_AXES, score_text, search_charts
from ziffern.search.findings import MIN_TRIALS, SearchFindings, seconds
from ziffern.search.parameters import plain
from ziffern.text.language import NONE, Language

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

MAX_TRIALS = 300  # rows of a table
MAX_ERROR = 300  # characters
STATES = {
    "COMPLETE": "sweep.complete",
    "PRUNED": "sweep.pruned",
    "FAIL": "sweep.failed",
    "RUNNING": "sweep.running",
    "WAITING": "sweep.waiting",
}


def write_sweep_report(
    study: "optuna.Study", folder: Path, output: Path | None = None, language: str | None = None
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
    from ziffern.report.page import write_page

    t = Language(language or "en")
    path = output or folder / "sweep.html"
    write_page(path, "sweep.html", t, _SweepPage(SearchFindings(study), folder, t).context())
    return path


class _SweepPage:
    """The context of the search template, in one language."""

    def __init__(self, findings: SearchFindings, folder: Path, t: Language) -> None:
        self.findings, self.folder, self.t = findings, folder, t
        several = len(findings.objectives) > 1
        self.names = [
            objective.name or (t("sweep.objective", number=number) if several else t("sweep.score"))
            for number, objective in enumerate(findings.objectives, 1)
        ]

    def context(self) -> dict[str, Any]:
        """Return the template's variables."""
        findings, t = self.findings, self.t
        goals = [
            t("sweep.higher" if objective.is_maximized else "sweep.lower", name=name)
            for objective, name in zip(findings.objectives, self.names, strict=True)
        ]
        trials = self._shown_trials()
        parameters = sorted({name for trial in trials for name in trial.params})
        is_single = len(findings.objectives) == 1
        return {
            "title": t("sweep.title", name=findings.study.study_name),
            "findings": findings,
            "names": self.names,
            "goals": "; ".join(goals),
            "about": self._about(),
            "states": ", ".join(f"{t.number(findings.states[state])} {t(key)}" for state, key in STATES.items()),
            "note": self._note(),
            "seconds": sum(seconds(trial) or 0 for trial in findings.trials),
            "best": self._trial(findings.front[0]) if findings.front and is_single else None,
            "front": [] if is_single else [self._trial(place) for place in findings.front[:MAX_TRIALS]],
            "best_command": self._best_command() if is_single else None,
            "charts": search_charts(findings, self.names, t) if findings.scored else {},
            "no_importances": self._no_importances(),
            "max_axes": MAX_AXES,
            "columns": parameters,
            "rows": [self._row(trial, parameters) for trial in trials],
            "with_error": any("error" in trial.user_attrs for trial in trials),
            "best_numbers": {findings.scored[place].number for place in findings.front},
        }

    def _about(self) -> str:
        attributes = self.findings.study.user_attrs
        texts = attributes.get("about_by_language")
        return str((texts.get(self.t.code) if isinstance(texts, dict) else None) or attributes.get("about", ""))

    def _note(self) -> str:
        """Return why results are missing or incomplete; empty otherwise."""
        findings, t = self.findings, self.t
        if not findings.trials:
            return t("sweep.empty")
        if findings.states["RUNNING"] or findings.states["WAITING"]:
            return t("sweep.unfinished" if findings.scored else "sweep.none_yet")
        return "" if findings.scored else t("sweep.none_complete")

    def _no_importances(self) -> str:
        """Return why there are no importances; empty if there are."""
        importances, count = self.findings.importances, len(self.findings.scored)
        if not importances.missing:
            return ""
        return self.t(importances.missing, minimum=MIN_TRIALS, count=count, error=importances.error)

    def _best_command(self) -> str | None:
        """Return the command that trains with the exported configuration; None if the search exported none."""
        if not (self.folder / "experiment/best.yaml").is_file():
            return None
        return shlex.join(["python", "train.py", "--config-dir", str(self.folder), "experiment=best"])

    def _trial(self, place: int) -> dict[str, Any]:
        """Return a scored trial: number, scores as text, parameters, folder, and the command to train it again."""
        trial = self.findings.scored[place]
        overrides = trial.user_attrs.get("overrides")
        command = None
        if isinstance(overrides, list):
            overrides = [str(item) for item in overrides if not str(item).startswith("hparams_search=")]
            command = shlex.join(["python", "train.py", *overrides])
        return {
            "number": trial.number,
            "scores": self._scores(trial),
            "parameters": {name: plain(trial.params[name], 6) for name in sorted(trial.params)},
            "folder": self.folder / str(trial.number),
            "command": command,
        }

    def _shown_trials(self) -> "list[FrozenTrial]":
        """Return the trials of the table: scored ones, best first, then the others in order."""
        best = [self.findings.scored[place] for place in self.findings.ranked]
        numbers = {trial.number for trial in best}
        return [*best, *(trial for trial in self.findings.trials if trial.number not in numbers)][:MAX_TRIALS]

    def _row(self, trial: "FrozenTrial", parameters: Sequence[str]) -> dict[str, Any]:
        return {
            "number": trial.number,
            "state": self.t(STATES[trial.state.name]),
            "cells": [
                *self._scores(trial),
                *(plain(trial.params[name], 4) if name in trial.params else NONE for name in parameters),
                self.t.number(seconds(trial), 1),
            ],
            "error": " ".join(str(trial.user_attrs.get("error", "")).split())[:MAX_ERROR],
        }

    def _scores(self, trial: "FrozenTrial") -> list[str]:
        values = trial.values or [None] * len(self.names)
        pairs = zip(values, self.findings.objectives, strict=True)
        return [score_text(value, objective, self.t) for value, objective in pairs]
