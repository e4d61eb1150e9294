"""Checked copies of untrusted Optuna studies.

Decisions: a copy is in memory and contains only checked values, so reports need not check it again; only the attributes
that a report shows are copied; texts are made printable; Optuna itself checks that a trial is consistent.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import optuna
from msgspec import Meta
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ziffern.errors import InputError
from ziffern.records.convert import from_plain
from ziffern.text.printable import printable

MAX_PARAMETERS = 100
MAX_CHOICES = 10_000  # of a parameter
MAX_STEPS = 10_000  # intermediate values of a trial
MAX_STEP = 2**31
MAX_OBJECTIVES = 20
LARGE, SMALL = 1e100, 1e-100  # limits of numbers that are safe to calculate with
DAMAGE = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError)  # raised for invalid values

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Text = Annotated[str, Meta(max_length=10_000)]


class _StudyAttributes(TypedDict, total=False):
    about: Text | None
    about_by_language: Annotated[dict[Name, Text], Meta(max_length=20)] | None
    metric_names: Annotated[list[Name], Meta(min_length=1, max_length=MAX_OBJECTIVES)] | None


class _TrialAttributes(TypedDict, total=False):
    overrides: Annotated[list[Text], Meta(max_length=1000)] | None
    error: Text | None
    worker: Annotated[str, Meta(max_length=100)] | None  # that ran the last attempt
    seconds: Annotated[float, Meta(ge=0, le=1e9)] | None  # of the last attempt
    attempts: Annotated[int, Meta(ge=1, le=1_000_000)] | None


class _Checked(FrozenTrial):
    """A checked trial, which nobody else holds: Optuna's storage, which copies each trial deeply, need not."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Checked":
        return self


@dataclass
class StoredStudy:
    """A study as its storage contains it, unchecked."""

    name: str
    directions: Sequence[StudyDirection]
    user_attrs: dict[str, Any] = field(default_factory=dict)
    metric_names: Any = None
    trials: list[FrozenTrial] = field(default_factory=list)

    def checked_copy(self, source: object) -> optuna.Study:
        """Return a checked copy; `source` is its origin, for messages.

        Raises:
            InputError: It contains a value that no search writes.
        """
        parameters: set[str] = set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metric names are experimental in Optuna
            try:
                study = self._without_trials()
            except DAMAGE as error:
                raise InputError("search.study.damaged", source=source, why=error) from error
            for number, trial in enumerate(self.trials):
                parameters |= trial.params.keys()
                try:
                    if len(parameters) > MAX_PARAMETERS:
                        raise InputError("search.study.too_many_parameters", limit=MAX_PARAMETERS)
                    study.add_trial(_checked(trial))
                except DAMAGE as error:
                    raise InputError("search.trial.damaged", source=source, trial=number, why=error) from error
        return study

    def _without_trials(self) -> optuna.Study:
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would log the creation of the copy
        try:
            study = optuna.create_study(study_name=printable(self.name), directions=list(self.directions))
        finally:
            optuna.logging.set_verbosity(verbosity)
        attributes = _known(self.user_attrs | {"metric_names": self.metric_names}, _StudyAttributes)
        if names := attributes.pop("metric_names", None):
            study.set_metric_names(names)
        for key, value in attributes.items():
            study.set_user_attr(key, value)
        return study


def _checked(trial: FrozenTrial) -> _Checked:
    """Return a checked copy of a trial; raises one of DAMAGE for a value that no search writes."""
    is_finished, steps = trial.state.is_finished(), trial.intermediate_values
    has_values = trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.values is not None
    if len(steps) > MAX_STEPS:
        raise InputError("search.trial.too_many_steps", limit=MAX_STEPS)
    if wrong := [step for step in steps if not 0 <= step <= MAX_STEP]:
        raise InputError("search.trial.step", step=wrong[0], limit=MAX_STEP)
    return _Checked(
        number=trial.number,
        trial_id=trial.number,
        state=trial.state,
        value=None,
        values=_bounded(trial.values) if has_values else None,
        datetime_start=trial.datetime_start or (trial.datetime_complete if is_finished else None),  # dropped: no start
        datetime_complete=trial.datetime_complete if is_finished else None,
        params={printable(name): _printable(value) for name, value in trial.params.items()},
        distributions={printable(name): _usable(known) for name, known in trial.distributions.items()},
        user_attrs=_known(trial.user_attrs, _TrialAttributes),
        system_attrs={},
        intermediate_values=dict(zip(steps, _bounded(steps.values()), strict=True)),
    )


def _usable(distribution: Any) -> BaseDistribution:
    """Return a distribution with printable choices; raises InputError if a report could not show it."""
    if isinstance(distribution, CategoricalDistribution):
        if len(distribution.choices) > MAX_CHOICES:
            raise InputError("search.trial.too_many_choices", limit=MAX_CHOICES)
        return CategoricalDistribution([_printable(choice) for choice in distribution.choices])
    for number in (distribution.low, distribution.high, distribution.step):
        if number and not SMALL <= abs(number) <= LARGE:
            raise InputError("search.number.extreme", value=str(number)[:20], low=SMALL, high=LARGE)
    return distribution  # type: ignore[no-any-return]


def _printable(value: Any) -> Any:
    """Return a parameter's value, a text printable; raises TypeError for a container."""
    if not (value is None or isinstance(value, bool | int | float | str)):
        raise TypeError(f"{type(value).__name__}: not a value of a parameter")
    return printable(value) if isinstance(value, str) else value


def _known(attributes: dict[str, Any], schema: Any) -> dict[str, Any]:
    """Return the attributes that a schema declares, checked and printable."""
    return {key: value for key, value in from_plain(attributes, schema).items() if value is not None}


def _bounded(scores: Iterable[float]) -> list[float]:
    """Return scores, infinite where they are too large to calculate with."""
    return [math.copysign(math.inf, score) if abs(score) > LARGE else float(score) for score in scores]
