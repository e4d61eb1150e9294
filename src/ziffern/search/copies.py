"""Checked copies of untrusted Optuna studies.

Decisions: a copy is in memory and contains only checked values, so reports need not check it again; only the attributes
that a report shows are copied; texts are made printable.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, TypedDict

import msgspec
import optuna
from msgspec import Meta
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ziffern.errors import InputError
from ziffern.records.convert import from_plain
from ziffern.search.distributions import LARGE, Value, read_distribution
from ziffern.text.printable import printable

MAX_PARAMETERS = 100
MAX_STEPS = 10_000  # intermediate values of a trial
MAX_STEP = 2**31
MAX_OBJECTIVES = 20
DAMAGE = (
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RecursionError,
)  # raised for invalid values

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Text = Annotated[str, Meta(max_length=10_000)]


class _StudyAttributes(TypedDict, total=False):
    about: Text | None
    about_by_language: Annotated[dict[Name, Text], Meta(max_length=20)] | None


METRIC_NAMES = "study:metric_names"
_MetricNames = Annotated[list[Name], Meta(min_length=1, max_length=MAX_OBJECTIVES)] | None
_SystemAttributes = TypedDict("_SystemAttributes", {METRIC_NAMES: _MetricNames}, total=False)  # type: ignore[misc]


class _TrialAttributes(TypedDict, total=False):
    overrides: Annotated[list[Text], Meta(max_length=1000)] | None
    error: Text | None


@dataclass
class TrialCopy:
    """A trial; times are local."""

    state: int = TrialState.WAITING
    values: list[float] | None = None
    start: datetime | None = None
    complete: datetime | None = None
    params: dict[str, Value] = field(default_factory=dict)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    steps: dict[int, float] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, trial: FrozenTrial) -> "TrialCopy":
        """Copy a trial that Optuna has read; raises one of DAMAGE for a value that no search writes."""
        values = None if trial.values is None else msgspec.convert(trial.values, list[float])
        copy = cls(trial.state, values, trial.datetime_start, trial.datetime_complete)
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            text = optuna.distributions.distribution_to_json(distribution)
            copy.add_param(name, distribution.to_internal_repr(value), text)
        for step, value in trial.intermediate_values.items():
            copy.add_step(step, float(value))
        copy.add_attributes(trial.user_attrs)
        return copy

    def add_param(self, name: str, internal: float, distribution: str) -> None:
        """Add a parameter by Optuna's internal value; raises one of DAMAGE if it is not in the distribution."""
        checked = read_distribution(distribution)
        if not math.isfinite(internal) or not checked._contains(internal):
            raise InputError("search.trial.value_outside", name=name, value=internal, distribution=checked)
        self.params[printable(name)] = checked.to_external_repr(internal)
        self.distributions[printable(name)] = checked

    def add_step(self, step: int, value: float) -> None:
        """Add an intermediate value; raises InputError if the step is out of range or there are too many steps."""
        if not 0 <= step <= MAX_STEP:
            raise InputError("search.trial.step", step=step, limit=MAX_STEP)
        if len(self.steps) >= MAX_STEPS:
            raise InputError("search.trial.too_many_steps", limit=MAX_STEPS)
        self.steps[step] = _bounded(value)

    def add_attributes(self, attributes: dict[str, Any]) -> None:
        """Add the user attributes that a report shows; raises one of DAMAGE if one has the wrong type."""
        self.attributes |= _known(attributes, _TrialAttributes)

    def frozen(self, number: int, objectives: int) -> FrozenTrial:
        """Return Optuna's own trial; raises ValueError if it is inconsistent."""
        state = TrialState(self.state)
        values = self.values if state in (TrialState.COMPLETE, TrialState.PRUNED) else None
        if values is not None and len(values) != objectives:
            raise InputError("search.trial.scores", count=len(values), objectives=objectives)
        start = self.start or (self.complete if state.is_finished() else None)  # dropped while waiting: no start
        return FrozenTrial(
            number=number,
            trial_id=number,
            state=state,
            value=None,
            values=None if values is None else [_bounded(value) for value in values],
            datetime_start=start,
            datetime_complete=self.complete if state.is_finished() else None,
            params=self.params,
            distributions=self.distributions,
            user_attrs=self.attributes,
            system_attrs={},
            intermediate_values=self.steps,
        )


@dataclass
class StudyCopy:
    """A study and its trials."""

    directions: list[StudyDirection]
    attributes: dict[str, Any] = field(default_factory=dict)
    metric_names: list[str] | None = None
    trials: list[TrialCopy] = field(default_factory=list)

    def add_attributes(self, user: dict[str, Any], system: dict[str, Any]) -> None:
        """Add the attributes that a report shows; raises one of DAMAGE if one has the wrong type."""
        self.attributes |= _known(user, _StudyAttributes)
        if METRIC_NAMES in system:
            self.metric_names = names = _known(system, _SystemAttributes).get(METRIC_NAMES)
            if names is not None and len(names) != len(self.directions):
                raise InputError("search.study.metric_names", count=len(names), objectives=len(self.directions))

    def in_memory(self, name: str, source: object) -> optuna.Study:
        """Return the study as Optuna's own, in memory.

        Args:
            name: The name of the study.
            source: Its origin, for messages.

        Raises:
            InputError: A trial is inconsistent.
        """
        storage = optuna.storages.InMemoryStorage()
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")  # metric names are experimental in Optuna
            study = optuna.create_study(study_name=printable(name), storage=storage, directions=self.directions)
            if self.metric_names:
                study.set_metric_names(self.metric_names)
            for key, value in self.attributes.items():
                study.set_user_attr(key, value)
            for number, trial in enumerate(self.trials):
                try:
                    study.add_trial(trial.frozen(number, len(self.directions)))
                except DAMAGE as error:
                    raise InputError("search.trial.damaged", source=source, trial=number, why=error) from error
        return study


def check_parameters(names: set[str]) -> None:
    """Raise InputError if there are more parameters than a report could show."""
    if len(names) > MAX_PARAMETERS:
        raise InputError("search.study.too_many_parameters", limit=MAX_PARAMETERS)


def _known(attributes: dict[str, Any], schema: Any) -> dict[str, Any]:
    """Return the attributes that a schema declares, checked and printable."""
    return {key: value for key, value in from_plain(attributes, schema).items() if value is not None}


def _bounded(value: float) -> float:
    """Return a score, infinite if it is too large to calculate with."""
    return math.copysign(math.inf, value) if abs(value) > LARGE else value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from logging the creation of the copy."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
