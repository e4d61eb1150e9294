"""The report of a hyperparameter search: which trial did best, which settings mattered, and every trial.

Decisions: it is read from the Optuna study alone, at any time, so a search that is still running, or in which nothing
succeeded, gets a page of what is there; only completed trials are drawn against their settings, since a pruned one's
score is that of an earlier step; parameters are written as in the configuration, in both languages; where several
objectives are searched for, the trials that no other beats in all of them stand in for the best one.
"""

import math
import shlex
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ziffern.report import charts
from ziffern.text.language import NONE, Language
from ziffern.text.messages import translated

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

MOST_TRIALS = 300  # rows of a table
MOST_AXES = 12  # parallel ones
MOST_ERROR = 300  # characters
FEWEST_TRIALS = 10  # completed ones that importances are worked out from
FEWEST_BEST = 5  # trials that PED-ANOVA's authors want among the best ones
FRONT_OF_TWO = 2  # objectives that can be drawn
STATES = {
    "COMPLETE": "sweep.complete",
    "PRUNED": "sweep.pruned",
    "FAIL": "sweep.failed",
    "RUNNING": "sweep.running",
    "WAITING": "sweep.waiting",
}


@dataclass(frozen=True)
class Objective:
    """What a trial is judged by."""

    name: str
    is_maximised: bool

    @property
    def is_share(self) -> bool:
        """Whether it is an accuracy, to be written as a percentage."""
        return self.name.endswith("/acc")

    def text(self, value: float | None, t: Language) -> str:
        """Return a score as it is written."""
        return t.percent(value) if self.is_share else significant(value, t)


@dataclass(frozen=True)
class Search:
    """What can be said of a study."""

    study: "optuna.Study"
    t: Language

    @cached_property
    def trials(self) -> "list[FrozenTrial]":
        """All trials, in order."""
        return sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number)

    @cached_property
    def objectives(self) -> list[Objective]:
        """At least one."""
        count = len(self.study.directions)
        numbered = [self.t("sweep.objective", number=number) for number in range(1, count + 1)]
        names = self.study.metric_names or (numbered if count > 1 else [self.t("sweep.score")])
        maximised = [direction.name == "MAXIMIZE" for direction in self.study.directions]
        return [Objective(name, up) for name, up in zip(names, maximised, strict=True)]

    @cached_property
    def scored(self) -> "list[FrozenTrial]":
        """Completed trials, in order; an infinite score is none."""
        complete = (trial for trial in self.trials if trial.state.name == "COMPLETE")
        return [trial for trial in complete if np.isfinite(trial.values).all()]

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """Their scores, (N, objectives)."""
        return np.array([trial.values for trial in self.scored], np.float64).reshape(-1, len(self.objectives))

    @cached_property
    def cost(self) -> NDArray[np.float64]:
        """The scores, so that lower is better, (N, objectives)."""
        return self.score * [-1 if objective.is_maximised else 1 for objective in self.objectives]

    @cached_property
    def ranked(self) -> list[int]:
        """Places in `scored`, the best first by the first objective; of equals, the earlier one."""
        return [int(place) for place in np.argsort(self.cost[:, 0], kind="stable")]

    @cached_property
    def front(self) -> list[int]:
        """Places in `scored`, the best first, of the trials that no other beats in every objective at once."""
        if len(self.objectives) == 1:
            return self.ranked[:1]
        numbers = {trial.number for trial in self.study.best_trials}
        return [place for place in self.ranked if self.scored[place].number in numbers]

    @cached_property
    def last_scores(self) -> dict[int, float]:
        """The last finite score of each pruned trial, by its number."""
        pruned = (trial for trial in self.trials if trial.state.name == "PRUNED" and trial.values)
        return {trial.number: float(trial.values[0]) for trial in pruned if math.isfinite(trial.values[0])}

    @cached_property
    def limit(self) -> float | None:
        """Where scores of the first objective, final or last, are far off; None where none is."""
        scores = np.array([*self.score[:, 0], *self.last_scores.values()])
        return far_off(scores, self.objectives[0].is_maximised)

    def within(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores of the first objective, the far-off ones at the limit."""
        if self.limit is None:
            return score
        return np.maximum(score, self.limit) if self.objectives[0].is_maximised else np.minimum(score, self.limit)

    @property
    def far_off(self) -> int:
        """How many completed or pruned trials are drawn at the edge of a picture."""
        every = np.array([*self.score[:, 0], *self.last_scores.values()])
        return int((self.within(every) != every).sum()) if self.scored else 0

    @cached_property
    def parameters(self) -> list[charts.Searched]:
        """The parameters of completed trials, the most important first where that is known."""
        names = {name for trial in self.scored for name in trial.params}
        known = self.importances[0]
        ordered = sorted(names, key=lambda name: (-known.get(name, 0), name))
        return [_searched(name, self.scored) for name in ordered]

    @cached_property
    def importances(self) -> tuple[dict[str, float], str]:
        """The share of each parameter, the largest first; or none, and why not."""
        names = {name for trial in self.scored for name in trial.params}
        if len(self.scored) < FEWEST_TRIALS:
            return {}, self.t("sweep.too_few", fewest=FEWEST_TRIALS, count=len(self.scored))
        if len(names) == 1:
            return {}, self.t("sweep.one_parameter")
        if len(set(self.cost[:, 0].tolist())) == 1:
            return {}, self.t("sweep.all_equal")
        try:
            return self._pedanova(), ""
        except Exception as error:  # a page without them is better than none
            return {}, self.t("sweep.no_importances", error=f"{type(error).__name__}: {error}")

    def _pedanova(self) -> dict[str, float]:
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        sign = -1 if self.objectives[0].is_maximised else 1
        evaluator = PedAnovaImportanceEvaluator(target_quantile=self.best_share)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that low is taken for good, which the sign sees to
            shares = get_param_importances(
                self.study, evaluator=evaluator, target=lambda trial: sign * float(trial.values[0])
            )
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    @property
    def best_share(self) -> float:
        """The share of trials that are told from all others: a tenth, or what makes five of them."""
        return max(0.1, FEWEST_BEST / len(self.scored))


def write_sweep_report(
    study: "optuna.Study", folder: Path, output: Path | None = None, language: str | None = None
) -> Path:
    """Write the report of a search and return its path.

    Args:
        study: In any state; it is only read.
        folder: Where each trial has a folder of its number, and experiment/best.yaml may lie.
        output: Where to; sweep.html in the folder where None.
        language: en or de; en where None.

    Raises:
        InputError: Another language.
    """
    from ziffern.report.page import write_page

    t = Language(language or "en")
    path = output or folder / "sweep.html"
    write_page(path, "sweep.html", t, _context(Search(study, t), folder, t))
    return path


def significant(value: float | None, t: Language) -> str:
    """Return a number with four significant digits, a tiny or huge one with a power of ten."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0 or 1e-4 <= abs(value) < 1e7:  # noqa: PLR2004
        return t.number(value, max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0)
    mantissa, power = f"{value:.3e}".split("e")
    return f"{t.number(float(mantissa), 3)}e{int(power)}"


def far_off(scores: NDArray[np.float64], is_maximised: bool) -> float | None:
    """Return a limit where some scores lie four times as far from the best as the median: they hide the others."""
    sign = 1 if is_maximised else -1
    best, middle, worst = (sign * float(value) for value in np.quantile(sign * scores, (1, 0.5, 0)))
    limit = best - 4 * (best - middle)
    return limit if best != middle and sign * worst < sign * limit else None


def plain(value: Any, digits: int | None = None) -> str:
    """Return a parameter's value as in the configuration: text without Hydra's quotes, `true`, `null`."""
    if isinstance(value, float):
        return f"{value:.{digits}g}" if digits else repr(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = str(value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _searched(name: str, trials: "Sequence[FrozenTrial]") -> charts.Searched:
    """Return a parameter with its value in each trial and all that was tried for it."""
    found = [trial for trial in trials if name in trial.params]
    ranges: list[Any] = [trial.distributions[name] for trial in found]
    if all(hasattr(each, "low") for each in ranges):
        low, high = min(each.low for each in ranges), max(each.high for each in ranges)
        values = np.array([trial.params.get(name, math.nan) for trial in trials], np.float64)
        return charts.Searched(name, values, low, high, is_log=all(each.log for each in ranges))
    allowed = [choice for each in ranges for choice in getattr(each, "choices", ())]
    texts = list(dict.fromkeys(plain(value) for value in (*allowed, *(trial.params[name] for trial in found))))
    values = np.array(
        [texts.index(plain(trial.params[name])) if name in trial.params else math.nan for trial in trials]
    )
    return charts.Searched(name, values, 0, len(texts) - 1, choices=tuple(texts))


def _context(search: Search, folder: Path, t: Language) -> dict[str, Any]:
    """Return what the template shows."""
    counts = Counter(trial.state.name for trial in search.trials)
    goals = [
        t("sweep.higher" if objective.is_maximised else "sweep.lower", name=objective.name)
        for objective in search.objectives
    ]
    config = folder / "experiment/best.yaml"
    shown = _shown_trials(search)
    with_error = any("error" in trial.user_attrs for trial in shown)
    several = len(search.objectives) > 1
    return {
        "title": t("sweep.title", name=search.study.study_name),
        "search": search,
        "goals": "; ".join(goals),
        "about": translated(str(search.study.user_attrs.get("about", "")), t.code),
        "states": ", ".join(f"{t.number(counts[state])} {t(key)}" for state, key in STATES.items()),
        "note": _note(search, counts, t),
        "seconds": sum(_seconds(trial) or 0 for trial in search.trials),
        "elapsed": _elapsed(search.trials),
        "several": several,
        "best": _trial(search, search.front[0], folder, t) if search.front and not several else None,
        "front": [_trial(search, place, folder, t) for place in search.front[:MOST_TRIALS]] if several else [],
        "best_command": None if several or not config.is_file() else _best_command(folder),
        "charts": _charts(search, t) if search.scored else {},
        "importances": search.importances,
        "most_axes": MOST_AXES,
        "columns": (parameters := sorted({name for trial in shown for name in trial.params})),
        "rows": [_row(trial, parameters, search, t) for trial in shown],
        "with_error": with_error,
        "best_numbers": {search.scored[place].number for place in search.front},
    }


def _note(search: Search, counts: Counter[str], t: Language) -> str:
    """Return why there is nothing to show, or that more is to come."""
    if not search.trials:
        return t("sweep.empty")
    if counts["RUNNING"] or counts["WAITING"]:
        return t("sweep.unfinished" if search.scored else "sweep.none_yet")
    return "" if search.scored else t("sweep.none_complete")


def _best_command(folder: Path) -> str:
    return shlex.join(["python", "train.py", "--config-dir", str(folder), "experiment=best"])


def _trial(search: Search, place: int, folder: Path, t: Language) -> dict[str, Any]:
    """Return a trial with its scores in words, its folder and the command that trains it again, if that is known."""
    trial = search.scored[place]
    overrides = trial.user_attrs.get("overrides")
    command = None
    if isinstance(overrides, list):
        typed = [str(item) for item in overrides if not str(item).startswith("hparams_search=")]
        command = shlex.join(["python", "train.py", *typed])
    return {
        "number": trial.number,
        "scores": _scores(trial, search, t),
        "parameters": {name: plain(trial.params[name], 6) for name in sorted(trial.params)},
        "folder": folder / str(trial.number),
        "command": command,
    }


def _shown_trials(search: Search) -> "list[FrozenTrial]":
    """Return the trials of the table: the best first, then those without a score, in order."""
    best = [search.scored[place] for place in search.ranked]
    numbers = {trial.number for trial in best}
    return [*best, *(trial for trial in search.trials if trial.number not in numbers)][:MOST_TRIALS]


def _row(trial: "FrozenTrial", parameters: Sequence[str], search: Search, t: Language) -> dict[str, Any]:
    seconds = _seconds(trial)
    return {
        "number": trial.number,
        "state": t(STATES[trial.state.name]),
        "cells": [
            *_scores(trial, search, t),
            *(plain(trial.params[name], 4) if name in trial.params else NONE for name in parameters),
            t.number(seconds, 1),
        ],
        "error": " ".join(str(trial.user_attrs.get("error", "")).split())[:MOST_ERROR],
    }


def _scores(trial: "FrozenTrial", search: Search, t: Language) -> list[str]:
    values = trial.values or [None] * len(search.objectives)
    return [objective.text(value, t) for objective, value in zip(search.objectives, values, strict=True)]


def _seconds(trial: "FrozenTrial") -> float | None:
    return trial.duration.total_seconds() if trial.duration else None


def _elapsed(trials: "Sequence[FrozenTrial]") -> float | None:
    """Return the seconds from the first start to the last end."""
    starts = [trial.datetime_start for trial in trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    return (max(ends) - min(starts)).total_seconds() if starts and ends else None


def _charts(search: Search, t: Language) -> dict[str, Any]:
    """Return each chart that there is something for, as SVG; there is a scored trial."""
    first, best = search.objectives[0], search.ranked[0]
    axis: dict[str, Any] = {"label": first.name, "is_share": first.is_share, "language": t}
    shares = search.importances[0]
    drawn: dict[str, Any] = {"history": _history(search, axis), "curves": _curves(search, axis)}
    if shares:
        drawn["importances"] = charts.share_bars(list(shares), list(shares.values()), t("sweep.importances"), t)
    shown = search.within(search.score[:, 0])
    drawn["slices"] = [charts.slice_chart(each, shown, best, **axis) for each in search.parameters]
    if search.parameters and len(search.scored) > 1:
        score = charts.Searched(first.name, shown, float(shown.min()), float(shown.max()))
        stand_out = search.ranked[: min(10, math.ceil(len(shown) / 10))]
        axes = search.parameters[:MOST_AXES]
        drawn["parallel"] = charts.parallel_chart(
            axes, score, first.is_maximised, stand_out, lambda value: _bounded(value, search, t), t
        )
    if len(search.objectives) == FRONT_OF_TWO:
        numbers = [trial.number for trial in search.scored]
        names, is_share = zip(*((each.name, each.is_share) for each in search.objectives), strict=True)
        drawn["front"] = charts.front_chart(search.score, np.array(search.front), numbers, names, is_share, t)
    return drawn


def _bounded(value: float, search: Search, t: Language) -> str:
    """Return an end of the axis of scores; beyond a limit lie the far-off ones."""
    text = search.objectives[0].text(value, t)
    beyond = "≤ " if search.objectives[0].is_maximised else "≥ "
    return beyond + text if value == search.limit else text


def _history(search: Search, axis: dict[str, Any]) -> str:
    numbers = np.array([trial.number for trial in search.scored])
    maximised = search.objectives[0].is_maximised
    shown = search.within(search.score[:, 0])
    best = (np.maximum if maximised else np.minimum).accumulate(shown)
    last = {number: float(search.within(np.array([score]))[0]) for number, score in search.last_scores.items()}
    pruned = [(t.number, last.get(t.number, math.nan)) for t in search.trials if t.state.name == "PRUNED"]
    failed = [trial.number for trial in search.trials if trial.state.name == "FAIL"]
    return charts.history_chart(numbers, shown, best, pruned, failed, **axis)


def _curves(search: Search, axis: dict[str, Any]) -> str:
    """Return the chart of the scores that trials reported on their way; empty where none did."""
    curves: dict[str, list[Any]] = {"best": [], "COMPLETE": [], "PRUNED": []}
    best = search.scored[search.ranked[0]].number
    for trial in search.trials:
        steps = sorted(step for step, value in trial.intermediate_values.items() if math.isfinite(value))
        kind = "best" if trial.number == best else trial.state.name
        if steps and kind in curves:
            curves[kind].append((np.array(steps), np.array([trial.intermediate_values[step] for step in steps])))
    if not any(len(steps) > 1 for each in curves.values() for steps, _ in each):
        return ""
    every = np.concatenate([scores for each in curves.values() for _, scores in each])
    maximised = search.objectives[0].is_maximised
    limit = far_off(every, maximised)
    return charts.trials_curves(
        curves["COMPLETE"], curves["best"], curves["PRUNED"], limit, is_maximised=maximised, **axis
    )
