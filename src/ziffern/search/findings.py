"""The findings on a search: the best trial, the importance of each parameter, and the end of each trial.

Decisions: they are based on the Optuna study alone, in any state, so a search that is still running or has failed has
findings, too; only completed trials are related to their settings, since a pruned trial's score is that of an earlier
step; with several objectives, the trials that no other beats in all of them take the place of the best one.
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from ziffern.search.importances import Importances
from ziffern.search.parameters import SearchedParameter

MAX_LISTED = 300  # trials in a table
MAX_DRAWN = 1000  # trials in a chart


class Curve(NamedTuple):
    """The intermediate scores of a trial."""

    trial: FrozenTrial
    steps: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """A score by which trials are judged; `name` is empty if the study has none."""

    name: str
    is_maximized: bool

    @property
    def is_share(self) -> bool:
        """Whether it is an accuracy, to be written as a percentage."""
        return self.name.endswith("/acc")


@dataclass(frozen=True)
class SearchFindings:
    """The findings on a study; N is the number of scored trials."""

    study: optuna.Study

    @cached_property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in order."""
        return sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number)

    @cached_property
    def states(self) -> Counter[str]:
        """The number of trials in each of Optuna's states, by its name."""
        return Counter(trial.state.name for trial in self.trials)

    @cached_property
    def objectives(self) -> list[Objective]:
        """The objectives, at least one."""
        names = self.study.metric_names or [""] * len(self.study.directions)
        maximized = [direction.name == "MAXIMIZE" for direction in self.study.directions]
        return [Objective(name, up) for name, up in zip(names, maximized, strict=True)]

    @cached_property
    def scored(self) -> list[FrozenTrial]:
        """The completed trials with finite scores, in order."""
        complete = (trial for trial in self.trials if trial.state.name == "COMPLETE")
        return [trial for trial in complete if np.isfinite(trial.values).all()]

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """The scores of `scored`, (N, objectives)."""
        return np.array([trial.values for trial in self.scored], np.float64).reshape(-1, len(self.objectives))

    @property
    def _sign(self) -> int:
        """The factor that makes lower scores of the first objective better."""
        return -1 if self.objectives[0].is_maximized else 1

    @cached_property
    def ranked(self) -> list[int]:
        """Places in `scored`, best first by the first objective, ties by order."""
        return list(map(int, np.argsort(self._sign * self.score[:, 0], kind="stable")))

    @cached_property
    def drawn(self) -> frozenset[int]:
        """The numbers of the trials that the charts draw: all, or the best ones and a random selection of all."""
        count = len(self.trials)
        if count <= MAX_DRAWN:
            return frozenset(trial.number for trial in self.trials)
        some = np.random.default_rng(0).choice(count, MAX_DRAWN - MAX_LISTED, replace=False).tolist()
        best = [self.scored[place].number for place in (*self.front[:MAX_LISTED], *self.ranked[:MAX_LISTED])]
        return frozenset([self.trials[place].number for place in some] + best)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The places in `scored` of drawn trials, in order."""
        return np.array([place for place, trial in enumerate(self.scored) if trial.number in self.drawn], np.int64)

    @cached_property
    def best_so_far(self) -> NDArray[np.float64]:
        """The best score of the first objective after each scored trial, (N,), within the limit."""
        best = np.maximum if self.objectives[0].is_maximized else np.minimum
        return np.asarray(best.accumulate(self.within(self.score[:, 0])), np.float64)

    @cached_property
    def front(self) -> list[int]:
        """Places in `scored`, best first, of the trials that no other beats in every objective at once."""
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
    def curves(self) -> dict[str, list[Curve]]:
        """The finite intermediate scores of drawn trials, by the state of the trial, of the best one as `best`."""
        curves: dict[str, list[Curve]] = {"COMPLETE": [], "PRUNED": [], "best": []}
        best = self.scored[self.ranked[0]].number if self.scored else None
        for trial in self.trials:
            points = sorted((step, value) for step, value in trial.intermediate_values.items() if math.isfinite(value))
            kind = "best" if trial.number == best else trial.state.name
            if points and kind in curves and trial.number in self.drawn:
                steps, scores = zip(*points, strict=True)
                curves[kind].append(Curve(trial, np.array(steps), np.array(scores)))
        return curves

    @cached_property
    def limit(self) -> float | None:
        """The limit beyond which scores of the first objective are outliers; None if there are none."""
        return outlier_limit(self._all_scores, self.objectives[0].is_maximized)

    def within(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores of the first objective, clipped at the limit."""
        if self.limit is None:
            return score
        return np.maximum(score, self.limit) if self.objectives[0].is_maximized else np.minimum(score, self.limit)

    @property
    def outliers(self) -> int:
        """The number of completed or pruned trials beyond the limit."""
        return int((self.within(self._all_scores) != self._all_scores).sum()) if self.scored else 0

    @cached_property
    def _all_scores(self) -> NDArray[np.float64]:
        return np.array([*self.score[:, 0], *self.last_scores.values()])

    @cached_property
    def parameters(self) -> list[SearchedParameter]:
        """The parameters of completed trials, the most important first if importances are known."""
        names, shares = {name for trial in self.scored for name in trial.params}, self.importances.shares
        ordered = sorted(names, key=lambda name: (-shares.get(name, 0), name))
        return [SearchedParameter.of(name, self.scored) for name in ordered]

    @cached_property
    def importances(self) -> Importances:
        """The importance of each parameter for the first objective."""
        return Importances.of(self.study, self.scored, self._sign)

    @property
    def elapsed(self) -> float | None:
        """Seconds from the first start to the last end; None if no trial has ended."""
        starts = [trial.datetime_start for trial in self.trials if trial.datetime_start]
        ends = [trial.datetime_complete for trial in self.trials if trial.datetime_complete]
        return (max(ends) - min(starts)).total_seconds() if starts and ends else None


def seconds(trial: FrozenTrial) -> float | None:
    """Return the duration of a trial's last attempt; None if it has not ended."""
    known: float | None = trial.user_attrs.get("seconds")  # of an earlier version: not stored
    return trial.duration.total_seconds() if known is None and trial.duration else known


def outlier_limit(scores: NDArray[np.float64], is_maximized: bool) -> float | None:
    """Return the limit beyond which scores (N,) are outliers; None if there are none.

    It is four times as far from the best score as the median; beyond it, outliers would squeeze the other scores.
    """
    sign = 1 if is_maximized else -1
    best, middle, worst = (sign * float(value) for value in np.quantile(sign * scores, (1, 0.5, 0)))
    limit = best - 4 * (best - middle)
    return limit if best != middle and sign * worst < sign * limit else None
