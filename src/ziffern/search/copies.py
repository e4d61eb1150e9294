"""Checked copies of an Optuna study that somebody else may have written.

Decisions: a copy lies in memory and holds only checked values, so whoever shows it need not check it again; of the
attributes only those that a page shows are copied; texts are made printable.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec
import optuna
from msgspec import Meta, Struct
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ziffern.errors import InputError
from ziffern.search.distributions import LARGE, Value, read_distribution
from ziffern.text.printable import printable

MAX_PARAMETERS = 100
MAX_STEPS = 10_000  # intermediate values of a trial
MAX_STEP = 2**31
MAX_OBJECTIVES = 20
DAMAGE = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError)  # raised by checks of values

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Text = Annotated[str, Meta(max_length=10_000)]


class _StudyAttributes(Struct, omit_defaults=True):
    about: Text | None = None
    about_by_language: Annotated[dict[Name, Text], Meta(max_length=20)] | None = None


class _SystemAttributes(Struct, rename={"metric_names": "study:metric_names"}):
    metric_names: Annotated[list[Name], Meta(min_length=1, max_length=MAX_OBJECTIVES)] | None = None


class _TrialAttributes(Struct, omit_defaults=True):
    overrides: Annotated[list[Text], Meta(max_length=1000)] | None = None
    error: Text | None = None


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
        """Copy a trial that Optuna has read; raises one of DAMAGE where it holds a value that no search writes."""
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
        """Add a parameter by its number in Optuna; raises one of DAMAGE where its distribution lacks the value."""
        known = read_distribution(distribution)
        if not math.isfinite(internal) or not known._contains(internal):
            raise InputError("search.trial.value_outside", name=name, value=internal, distribution=known)
        self.params[printable(name)] = known.to_external_repr(internal)
        self.distributions[printable(name)] = known

    def add_step(self, step: int, value: float) -> None:
        """Add an intermediate value; raises InputError for a step out of range, or too many of them."""
        if not 0 <= step <= MAX_STEP:
            raise InputError("search.trial.step", step=step, limit=MAX_STEP)
        if len(self.steps) >= MAX_STEPS:
            raise InputError("search.trial.too_many_steps", limit=MAX_STEPS)
        self.steps[step] = _bounded(value)

    def add_attributes(self, attributes: dict[str, Any]) -> None:
        """Add the user attributes that a page shows; raises one of DAMAGE where one is of another kind."""
        self.attributes |= _known(attributes, _TrialAttributes)

    def frozen(self, number: int, objectives: int) -> FrozenTrial:
        """Return Optuna's own trial; raises ValueError where it contradicts itself."""
        state = TrialState(self.state)
        values = self.values if state in (TrialState.COMPLETE, TrialState.PRUNED) else None
        if values is not None and len(values) != objectives:
            raise InputError("search.trial.scores", count=len(values), objectives=objectives)
        start = self.start or (self.complete if state.is_finished() else None)  # it was dropped while it waited
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
    """A study."""

    directions: list[StudyDirection]
    attributes: dict[str, Any] = field(default_factory=dict)
    metric_names: list[str] | None = None
    trials: list[TrialCopy] = field(default_factory=list)

    def add_attributes(self, user: dict[str, Any], system: dict[str, Any]) -> None:
        """Add the attributes that a page shows; raises one of DAMAGE where one is of another kind."""
        self.attributes |= _known(user, _StudyAttributes)
        if "study:metric_names" in system:
            names = msgspec.convert(system, _SystemAttributes).metric_names
            if names is not None and len(names) != len(self.directions):
                raise InputError("search.study.metric_names", count=len(names), objectives=len(self.directions))
            self.metric_names = None if names is None else list(map(printable, names))

    def in_memory(self, name: str, source: object) -> optuna.Study:
        """Return the study as Optuna's own, in memory.

        Args:
            name: Of the study.
            source: Where it comes from, for messages.

        Raises:
            InputError: A trial contradicts itself.
        """
        storage = optuna.storages.InMemoryStorage()
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")  # metric names are experimental
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
    """Raise InputError where there are more parameters than a page could show."""
    if len(names) > MAX_PARAMETERS:
        raise InputError("search.study.too_many_parameters", limit=MAX_PARAMETERS)


def checked(study: optuna.Study, source: object) -> optuna.Study:
    """Return a checked copy of a study from a database.

    Args:
        study: As Optuna reads it.
        source: Where it comes from, for messages.

    Raises:
        InputError: It holds a value that no search writes.
    """
    try:
        copy = StudyCopy(list(study.directions))
        copy.add_attributes(study.user_attrs, {"study:metric_names": study.metric_names})
    except DAMAGE as error:
        raise InputError("search.study.damaged", source=source, why=error) from error
    parameters: set[str] = set()
    for trial in study.get_trials(deepcopy=False):
        parameters |= trial.params.keys()
        try:
            check_parameters(parameters)
            copy.trials.append(TrialCopy.of(trial))
        except DAMAGE as error:
            raise InputError("search.trial.damaged", source=source, trial=trial.number, why=error) from error
    return copy.in_memory(study.study_name, source)


def _known(attributes: dict[str, Any], schema: type[Struct]) -> dict[str, Any]:
    """Return the attributes of a schema, checked and printable."""
    given = {key: value for key, value in attributes.items() if key in schema.__struct_fields__}
    plain = msgspec.to_builtins(msgspec.convert(given, schema))
    return {key: _printable(value) for key, value in plain.items()}


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {printable(key): printable(text) for key, text in value.items()}
    return list(map(printable, value)) if isinstance(value, list) else printable(value)


def _bounded(value: float) -> float:
    """Return a score; an infinite one where it is too large to be calculated with."""
    return math.copysign(math.inf, value) if abs(value) > LARGE else value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing the copy."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
