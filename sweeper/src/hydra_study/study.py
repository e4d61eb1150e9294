"""The study of a search: draws trials, records how they end, and knows the best so far.

Decision: what every trial needs is kept up to date instead of computed from all trials, so that the cost of a trial
does not grow with their number; a sampler's or pruner's own cost is Optuna's.
"""

import bisect
import json
import math
import secrets
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from hydra_study.engines import Job, Outcome
from hydra_study.errors import SweepError
from hydra_study.identity import OTHER_CODE, difference
from hydra_study.journal import DAMAGED, open_journal
from hydra_study.objects import is_grid, make_pruner, make_sampler, options
from hydra_study.space import Space
from hydra_study.workers import AUTO

MAX_FAILURES = 5
INDEPENDENT = ("RandomSampler", "QMCSampler")  # draw the same points in any order
ROUNDING = 1e-9  # 0.29 of 100 is 29
OWN = ("plan", "seed", "attempts", "overrides", "retry_of", "folder", "seconds", "worker", "error")  # attributes
MAX_TEXT = 2**16  # characters of an attribute that a job sets


class Study:
    """One study; safe in threads, since jobs report in threads of the channel.

    Args:
        folder: The sweep folder.
        name: Of the study.
        space: The search space.
        settings: `hydra.sweeper`, as plain values.
        launched: Failures before this moment may be retried.
        plan: The composed configuration of the jobs, flat, and the version of their code; compared if given.
        allowed: Packages whose functions the sampler may name.
        extend: Suggests further parameters of a trial.

    Raises:
        SweepError: The study has another search space, direction, sampler, pruner, configuration or code.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        space: Space,
        settings: dict[str, Any],
        launched: datetime,
        plan: dict[str, dict[str, Any]] | None = None,
        allowed: Sequence[str] = (),
        extend: Callable[[optuna.Trial], None] | None = None,
    ) -> None:
        self.folder, self.name, self.space, self.settings, self.plan = folder, name, space, settings, plan or {}
        self.on_end: Callable[[int], None] = lambda number: None  # called after a trial has ended
        self.note = ""  # about settings that cannot be compared with the study's
        self.extra: list[str] = []  # overrides added to all jobs, unless the command sets them
        given = settings["direction"]
        self.directions: list[Any] = list(given) if isinstance(given, list) else [given]
        for direction in self.directions or ["nothing"]:
            if direction not in ("minimize", "maximize"):
                raise SweepError(
                    f"hydra.sweeper.direction={direction}: must be minimize or maximize, or a list of them"
                )
        names = settings["metric_names"]
        self.metric_names = names if names is None or isinstance(names, list) else [names]
        count = len(self.directions)
        if self.metric_names is not None and len(self.metric_names) != count:
            raise SweepError(f"hydra.sweeper.metric_names={names}: must be as many as the directions, {count}")
        self.points = space.grid() if is_grid(settings["sampler"]) else None
        self._pruner = make_pruner(settings["pruner"])
        make_sampler(settings["sampler"], 0, 0, allowed)  # a wrong option must not begin a study
        self._allowed, self._extend = allowed, extend
        self._lock, self._launched = threading.RLock(), launched
        self._signs = [1 if direction == "minimize" else -1 for direction in self.directions]

    def open(self) -> None:
        """Open the study, or create it."""
        self._storage = open_journal(self.folder)
        try:
            self.study = optuna.create_study(
                study_name=self.name,
                storage=self._storage,
                directions=list(self.directions),
                pruner=self._pruner,
                load_if_exists=True,
            )
            self._id = self._storage.get_study_id_from_name(self.name)
            self._check_same()
            self._seed = self.study.user_attrs["seed"]
            self._load()
        except DAMAGED as error:
            if isinstance(error, SweepError):
                raise
            raise SweepError(f"study {self.name}: its record is damaged ({error})") from error

    # Identity

    def _check_same(self) -> None:
        """Raise SweepError if the study is not the one that the command describes."""
        plan = self.study.user_attrs.get("plan")
        directions = [direction.name.lower() for direction in self.study.directions]
        if plan is None:
            if self.study.get_trials(deepcopy=False) or directions != self.directions:
                raise SweepError(f"study {self.name} belongs to another program: start your own with {self.another()}")
            self._begin()
            return
        if not isinstance(plan, dict) or not _is_seed(self.study.user_attrs.get("seed")):
            raise SweepError(f"study {self.name}: its record is damaged: start another study with {self.another()}")
        fix = f"use the former value, or start another study with {self.another()}"
        if directions != self.directions:
            raise SweepError(f"study {self.name} was begun with direction {directions}, now {self.directions}: {fix}")
        for was, now in (*self._other_space(plan), *self._other_settings(plan)):
            raise SweepError(f"study {self.name} was begun with {was}, now {now}: {fix}")
        if {"code"} <= plan.keys() & self.plan.keys() and plan["code"] != self.plan["code"]:
            raise SweepError(f"study {self.name} was begun {OTHER_CODE}, and {self.another()} starts another one")

    def another(self) -> str:
        """Return the overrides that start another study, with its folder if that does not follow from the name."""
        elsewhere = "" if self.folder.name == self.name else f" hydra.sweep.dir={self.folder}-2"
        return f"hydra.sweeper.study_name={self.name}-2{elsewhere}"

    def _begin(self) -> None:
        """Store the description of the search."""
        seed = self.settings["sampler"].get("seed")
        self.study.set_user_attr("seed", secrets.randbits(32) if seed is None else int(seed))
        if self.metric_names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.study.set_metric_names([str(name) for name in self.metric_names])
        self.study.set_user_attr("plan", self._space_now() | self._settings_now())

    def _space_now(self) -> dict[str, Any]:
        return self.space.signature(without=self.settings["may_differ"]) | {"grid": self.points is not None}

    def _settings_now(self) -> dict[str, Any]:
        """Return what determines the search besides its space, as flat mappings; a grid has no sampler to compare."""
        sampler = self.settings["sampler"]
        drawn = {} if self.points is not None else options(sampler, "samplers") | {"seed": sampler.get("seed")}
        now = {"sampler": drawn, "pruner": options(self.settings["pruner"], "pruners")}
        return now | self.plan

    def _other_space(self, plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the former and the present search space, part by part, where they differ."""
        for part, now in self._space_now().items():
            was = plan.get(part)
            if was == now:
                continue
            if part == "when":
                yield "other conditions (hydra.sweeper.when)", "these"
            elif part == "grid":
                yield ("a grid", "a search") if was else ("a search", "a grid")
            elif isinstance(was, dict):
                key = next(key for key in [*was, *now] if was.get(key) != now.get(key))
                yield _described(was, key), _described(now, key)
            else:
                yield f"another {part}", "this one"

    def _other_settings(self, plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the setting that differs, before and now; note the parts that an earlier version did not store."""
        missing = []
        for part, now in self._settings_now().items():
            if not isinstance(was := plan.get(part), dict):
                missing.append("job configuration" if part == "job" else part)
                continue
            seed = self.study.user_attrs["seed"]
            if part == "sampler" and was.get("seed", 0) is None and now["seed"] == seed:
                now = now | {"seed": None}  # noqa: PLW2901 # the command names the seed that was drawn then
            if part == "code":
                continue
            prefix = "" if part in self.plan else f"hydra.sweeper.{part}."
            changed = difference(was, now, prefix, self.settings["may_differ"])
            if changed:
                yield changed
        if missing:
            self.note = f"started by an earlier version, which did not record the {', '.join(missing)}: not compared"

    # For the driver

    def _load(self) -> None:
        """Take over the trials of earlier launches."""
        trials = self.trials()
        self._ids: dict[int, int] = {trial.number: trial._trial_id for trial in trials}
        self._counts = Counter(trial.state for trial in trials)
        self.seconds = sum(map(_seconds, trials))  # of computing
        self._again = sum("retry_of" in trial.user_attrs for trial in trials)
        self.ranked: list[tuple[Any, ...]] = []  # completed trials, the best first; with several directions the front
        for trial in trials:
            self._rank(trial)
        retried = {trial.user_attrs.get("retry_of") for trial in trials}
        failed = [t for t in trials if t.state == TrialState.FAIL and t.number not in retried]
        again = [trial for trial in failed if self.settings["retry_failed"] and self._is_earlier(trial)]
        self.failed = [trial.number for trial in failed if trial not in again]
        self._retries = deque(again)
        points = {json.dumps(trial.params, sort_keys=True) for trial in trials}
        todo = [point for point in self.points or () if json.dumps(point, sort_keys=True) not in points]
        self._todo = deque(todo)
        self._created = len(trials) - self._again

    def _is_earlier(self, trial: FrozenTrial) -> bool:
        return trial.datetime_complete is not None and trial.datetime_complete < self._launched

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, by number."""
        return self.study.get_trials(deepcopy=False)

    def trial(self, number: int) -> FrozenTrial:
        """Return one trial."""
        return self._storage.get_trial(self._ids[number])

    @property
    def depends_on_order(self) -> bool:
        """Whether a search that its user wants to repeat depends on the order in which trials end."""
        sampler, pruner = (str(self.settings[key].get("_target_")) for key in ("sampler", "pruner"))
        is_adaptive = self.points is None and sampler.rpartition(".")[2] not in INDEPENDENT
        is_seeded = self.points is not None or self.settings["sampler"].get("seed") is not None
        return is_seeded and (is_adaptive or not pruner.endswith("NopPruner"))

    @property
    def total(self) -> int:
        """The number of trials of the study, not counting retries."""
        return len(self.points) if self.points is not None else int(self.settings["n_trials"])

    @property
    def ended(self) -> int:
        """The number of trials that have ended, retries included."""
        return sum(count for state, count in self._counts.items() if state.is_finished())

    @property
    def goal(self) -> int:
        """The number of trials that end in all, retries included."""
        return max(self.total, self._created) + self._again + len(self._retries)

    @property
    def left(self) -> int:
        """How many trials have not ended."""
        return max(0, self.goal - self.ended)

    def counts(self) -> dict[TrialState, int]:
        """Return the number of trials by state."""
        counts = Counter(trial.state for trial in self.trials())
        return {state: counts[state] for state in TrialState if counts[state]}

    @property
    def max_failures(self) -> int | None:
        """The number of failed trials that stops the sweep; None if there is no limit."""
        share, count = self.settings.get("max_failure_rate"), self.settings["max_failures"]
        if share is None:
            return MAX_FAILURES if count == AUTO else count
        return None if share >= 1 else math.floor(share * self.total + ROUNDING) + 1

    def stopped(self) -> str:
        """Return why the sweep must stop, or an empty string."""
        maximum = self.max_failures
        if maximum is None or len(self.failed) < maximum:
            return ""
        last, count = self.failed[-1], "1 trial" if len(self.failed) == 1 else f"{len(self.failed)} trials"
        share = self.settings.get("max_failure_rate")
        limit = f"max_failures={maximum}" if share is None else f"max_failure_rate={share}"
        return (
            f"study {self.name}: {count} failed ({limit}); the last, {last}: "
            f"{self.error(last)}: fix the cause"
            f"{'' if self.settings['retry_failed'] else ', and add hydra.sweeper.retry_failed=true'}"
        )

    def error(self, number: int) -> str:
        """Return why a trial failed."""
        return str(self.trial(number).user_attrs.get("error", "unknown"))

    def may_begin(self) -> bool:
        """Return whether another trial may begin."""
        return not self.stopped()

    def unfinished(self) -> list[Job]:
        """Return the trials that an earlier driver has begun."""
        jobs = []
        for trial in self.trials():
            if trial.state.is_finished():
                continue
            if trial.state == TrialState.WAITING:
                self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            attempts, overrides = trial.user_attrs.get("attempts"), trial.user_attrs.get("overrides")
            if not isinstance(overrides, list):  # the driver was killed while it drew the trial
                overrides, attempts = self._draw(self._optuna_trial(trial.number)), 0
            count = attempts if isinstance(attempts, int) else 1
            jobs.append(Job(trial.number, count, tuple(map(str, overrides)), dict(self.trial(trial.number).params)))
        return jobs

    def take(self) -> Job | None:
        """Draw the next trial; None if there is none."""
        with self._lock:
            if self._retries:
                former = self._retries.popleft()
                self._again += 1
                kept = former.user_attrs.get("overrides")
                overrides = list(map(str, kept)) if isinstance(kept, list) else None
                return self._create(former.params, former.distributions, {"retry_of": former.number}, overrides)
            if self.points is not None:
                if not self._todo:
                    return None
                self._created += 1
                point = self._todo.popleft()
                known = {parameter.name: parameter.distribution for parameter in self.space.parameters()}
                return self._create(point, {name: known[name] for name in point}, {})
            if self._created >= self.total:
                return None
            self._created += 1
            number = len(self._ids)
            self._ids[number] = self._storage.create_new_trial(self._id)
            overrides = self._draw(self._optuna_trial(number))
            return Job(number, 1, tuple(overrides), dict(self.trial(number).params))

    def _create(
        self,
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
        attributes: dict[str, Any],
        known: list[str] | None = None,
    ) -> Job:
        """Begin a trial of known parameters, with one entry in the journal."""
        number = len(self._ids)
        overrides = known or self._with_extra(self.space.overrides(lambda parameter: params[parameter.name]))
        attributes = {**attributes, "overrides": overrides, "attempts": 1}
        template = FrozenTrial(
            number=number,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=params,
            distributions=distributions,
            user_attrs=attributes,
            system_attrs={},
            intermediate_values={},
        )
        self._ids[number] = self._storage.create_new_trial(self._id, template)
        return Job(number, 1, tuple(overrides), params)

    def _optuna_trial(self, number: int) -> optuna.Trial:
        self._set_sampler(number)
        return optuna.Trial(self.study, self._ids[number])

    def _set_sampler(self, number: int) -> None:
        self.study.sampler = make_sampler(self.settings["sampler"], self._seed, number, self._allowed)

    def _draw(self, trial: optuna.Trial) -> list[str]:
        """Draw the parameters that a trial does not have yet; return its overrides."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                warnings.filterwarnings("ignore", "Clip non-finite values")  # of the GP sampler; a job may return inf
                overrides = self._with_extra(self.space.draw(trial, self._extend))
        except (TypeError, ValueError) as error:  # settings that Optuna rejects only when it uses them
            raise SweepError(f"study {self.name}: {error}") from error
        trial.set_user_attr("attempts", 1)
        trial.set_user_attr("overrides", overrides)
        return overrides

    def _with_extra(self, overrides: list[str]) -> list[str]:
        keys = {line.partition("=")[0].lstrip("+") for line in overrides}
        return overrides + [line for line in self.extra if line.partition("=")[0] not in keys]

    def begin(self, job: Job) -> None:
        """Record that another attempt begins."""
        with self._lock:
            self._set(job.number, "attempts", job.attempt)

    def suspend(self, jobs: list[Job]) -> None:
        """Record that these trials were interrupted together with their driver; none is left running."""
        with self._lock:
            for job in jobs:
                self._set(job.number, "attempts", job.attempt - 1)
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                self._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def end(self, outcome: Outcome, place: str) -> None:
        """Record how a trial ended."""
        values, state, error = self._result(outcome)
        with self._lock:
            for key, value in {"worker": place, "seconds": round(outcome.seconds, 3), "error": error}.items():
                if value:
                    self._set(outcome.number, key, value)
            if outcome.folder not in ("", str(outcome.number)):
                self._set(outcome.number, "folder", outcome.folder)
            self._set_sampler(outcome.number)
            self.study.tell(outcome.number, values, state=state)
            trial = self.trial(outcome.number)
            self._counts[trial.state] += 1
            self.seconds += _seconds(trial)
            if trial.state == TrialState.FAIL:
                self.failed.append(trial.number)
            self._rank(trial)
            self.on_end(trial.number)

    def _result(self, outcome: Outcome) -> tuple[list[float] | None, TrialState, str]:
        if outcome.kind == "pruned":
            return None, TrialState.PRUNED, ""
        if outcome.kind == "failed":
            return None, TrialState.FAIL, outcome.error
        values = outcome.value if isinstance(outcome.value, list) else [outcome.value]
        if not all(isinstance(value, float) for value in values):
            shown = str(outcome.value)[:100]
            return None, TrialState.FAIL, f"the job returned {shown}: must be a number, or a list of them"
        if len(values) != len(self.directions):
            wanted = len(self.directions)
            return None, TrialState.FAIL, f"the job returned {len(values)} scores for {wanted} directions"
        if any(math.isnan(value) for value in values):
            return None, TrialState.PRUNED, "the score is not a number (NaN)"
        return values, TrialState.COMPLETE, ""

    def _rank(self, trial: FrozenTrial) -> None:
        """Insert a completed trial; those with an infinite score come last, whatever the direction."""
        if trial.state != TrialState.COMPLETE:
            return
        losses = tuple(sign * value for sign, value in zip(self._signs, trial.values, strict=True))
        key = (any(map(math.isinf, losses)), losses, trial.number)
        if len(losses) > 1:
            if any(_dominates(other[1], losses) for other in self.ranked):
                return
            self.ranked = [other for other in self.ranked if not _dominates(losses, other[1])]
        bisect.insort(self.ranked, key)

    @property
    def best(self) -> list[int]:
        """The completed trials, the best first; with several directions the Pareto front."""
        return [number for _, _, number in self.ranked]

    def returns(self) -> dict[int, tuple[list[str], Outcome]]:
        """Return the overrides of each trial, and how it ended."""
        kinds = {TrialState.COMPLETE: "returned", TrialState.PRUNED: "pruned"}
        return {
            trial.number: (
                list(map(str, trial.user_attrs.get("overrides", []))),
                Outcome(
                    trial.number,
                    1,
                    kinds.get(trial.state, "failed"),
                    trial.values[0] if trial.values and len(trial.values) == 1 else trial.values,
                    str(trial.user_attrs.get("error", "")),
                    str(trial.user_attrs.get("folder", "")),
                ),
            )
            for trial in self.trials()
        }

    # For the jobs

    def answer(self, message: dict[str, Any]) -> Any:
        """Answer a message from a job."""
        with self._lock:
            match message.get("ask"):
                case "begin":
                    return self._is_current(message)
                case "study":
                    return {k: v for k, v in self.study.user_attrs.items() if k not in ("plan", "seed")}
                case "set" if message["key"] in OWN or len(json.dumps(message["value"])) > MAX_TEXT:
                    return {
                        "error": f"{message['key']}: an attribute of the sweep itself, or a value that is too large"
                    }
                case "set" if message["of"] == "study":
                    self.study.set_user_attr(str(message["key"]), message["value"])
                case "set" if self._is_current(message):
                    self._set(int(message["number"]), str(message["key"]), message["value"])
                case "constrain" if self._is_current(message):
                    trial = optuna.Trial(self.study, self._ids[int(message["number"])])
                    trial.set_constraint(str(message["key"]), float(message["value"]))
                case "report" if self._is_current(message):
                    return self._report(message)
        return {"prune": False}

    def _is_current(self, message: dict[str, Any]) -> bool:
        trial = self.trial(int(message["number"]))
        return not trial.state.is_finished() and trial.user_attrs.get("attempts") == message["attempt"]

    def _report(self, message: dict[str, Any]) -> dict[str, Any]:
        if len(self.directions) > 1:
            return {"error": "a search with several objectives takes no scores of steps, and prunes nothing"}
        number, step = int(message["number"]), int(message["step"])
        if step not in self.trial(number).intermediate_values:
            self._storage.set_trial_intermediate_value(self._ids[number], step, float(message["value"]))
        return {"prune": bool(self._pruner.prune(self.study, self.trial(number)))}

    def _set(self, number: int, key: str, value: Any) -> None:
        self._storage.set_trial_user_attr(self._ids[number], key, value)


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _seconds(trial: FrozenTrial) -> float:
    value = trial.user_attrs.get("seconds")
    return value if isinstance(value, float) and math.isfinite(value) else 0.0


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _described(part: dict[str, Any], key: str) -> str:
    value = part.get(key)
    if value is None:
        return f"no {key}"
    if isinstance(value, dict) and {"name", "attributes"} <= value.keys():
        return f"{key}: {value['name']} {value['attributes']}"
    return value if isinstance(value, str) else f"{key}: {value}"
