"""An Optuna study that somebody else may have written: read, checked and copied, and never changed.

Decisions: the result is a copy in memory that holds only checked values, so whoever shows a study need not check it
again; a journal is read line by line against a schema, since Optuna's own storage trusts every line and takes quadratic
time for many parameters; a line that does not fit the schema is refused with its number, since a study without it would
be a different study; texts are made printable.
"""

import json
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
import optuna
from msgspec import Meta, Struct
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular
from ziffern.text.printable import one_line, printable, reason

MAX_BYTES = 128 * 2**20  # of a journal
MAX_LINE = 2**20  # bytes
MAX_STUDIES = 1000
MAX_TRIALS = 100_000
MAX_PARAMETERS = 100
MAX_STEPS = 10_000  # intermediate values of a trial
MAX_OBJECTIVES = 20
LARGE, SMALL = 1e100, 1e-100  # limits of numbers safe to calculate with; larger scores count as infinite
DAMAGE = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError)  # raised by checks of values

Id = Annotated[int, Meta(ge=0, le=2**31)]
Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Text = Annotated[str, Meta(max_length=10_000)]
Value = None | bool | int | float | str


class _Float(Struct, frozen=True):
    low: float
    high: float
    log: bool = False
    step: float | None = None


class _Int(Struct, frozen=True):
    low: int
    high: int
    log: bool = False
    step: int = 1


class _Choices(Struct, frozen=True):
    choices: Annotated[list[Value], Meta(min_length=1, max_length=10_000)]


class _FloatDistribution(Struct, frozen=True, tag_field="name", tag="FloatDistribution"):
    attributes: _Float


class _IntDistribution(Struct, frozen=True, tag_field="name", tag="IntDistribution"):
    attributes: _Int


class _CategoricalDistribution(Struct, frozen=True, tag_field="name", tag="CategoricalDistribution"):
    attributes: _Choices


class _StudyNotes(Struct):
    about: Text = ""


class _SystemNotes(Struct, rename={"metric_names": "study:metric_names"}):
    metric_names: Annotated[list[Name], Meta(min_length=1, max_length=MAX_OBJECTIVES)] | None = None


class _TrialNotes(Struct, omit_defaults=True):
    overrides: Annotated[list[Text], Meta(max_length=1000)] | None = None
    error: Text | None = None


class _Entry(Struct, frozen=True, tag_field="op_code"):
    """A line of a journal; the numbers of the operations are Optuna's."""


class _CreateStudy(_Entry, frozen=True, tag=0):
    study_name: Text
    directions: Annotated[list[Annotated[int, Meta(ge=1, le=2)]], Meta(min_length=1, max_length=MAX_OBJECTIVES)]


class _DeleteStudy(_Entry, frozen=True, tag=1):
    study_id: Id


class _StudyUserAttr(_Entry, frozen=True, tag=2):
    study_id: Id
    user_attr: dict[str, Any]


class _StudySystemAttr(_Entry, frozen=True, tag=3):
    study_id: Id
    system_attr: dict[str, Any]


class _CreateTrial(_Entry, frozen=True, tag=4):
    study_id: Id
    datetime_start: datetime | None
    datetime_complete: datetime | None = None
    state: Annotated[int, Meta(ge=0, le=4)] = TrialState.RUNNING
    value: float | None = None
    values: list[float] | None = None
    distributions: dict[Name, Text] = {}
    params: dict[Name, float] = {}
    user_attrs: dict[str, Any] = {}
    intermediate_values: dict[int, float] = {}


class _SetParam(_Entry, frozen=True, tag=5):
    trial_id: Id
    param_name: Name
    param_value_internal: float
    distribution: Annotated[str, Meta(max_length=MAX_LINE)]


class _SetState(_Entry, frozen=True, tag=6):
    trial_id: Id
    state: Annotated[int, Meta(ge=0, le=4)]
    values: list[float] | None
    datetime_start: datetime | None = None
    datetime_complete: datetime | None = None


class _SetIntermediate(_Entry, frozen=True, tag=7):
    trial_id: Id
    step: int
    intermediate_value: float


class _TrialUserAttr(_Entry, frozen=True, tag=8):
    trial_id: Id
    user_attr: dict[str, Any]


class _Ignored(_Entry, frozen=True, tag=9):
    """A trial's system attribute: a sampler's notes."""


class _Discarded(_Entry, frozen=True, tag=10):
    """Of another implementation; Optuna skips it too."""


ENTRIES: dict[Any, type[_Entry]] = {  # by operation: decoding to their union takes ten times as long
    kind.__struct_config__.tag: kind
    for kind in (
        *(_CreateStudy, _DeleteStudy, _StudyUserAttr, _StudySystemAttr, _CreateTrial, _SetParam, _SetState),
        *(_SetIntermediate, _TrialUserAttr, _Ignored, _Discarded),
    )
}


@dataclass
class _Trial:
    """A trial as read; times are local."""

    state: int = TrialState.WAITING
    values: list[float] | None = None
    start: datetime | None = None
    complete: datetime | None = None
    params: dict[str, Value] = field(default_factory=dict)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    steps: dict[int, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def add_param(self, name: str, internal: float, distribution: str) -> None:
        """Keep a parameter; raise ValueError where its value is not in its distribution."""
        found = _distribution(distribution)
        if not math.isfinite(internal) or not found._contains(internal):
            raise ValueError(f"{one_line(name)}: {internal} is not in {one_line(found)}")
        self.params[printable(name)] = found.to_external_repr(internal)
        self.distributions[printable(name)] = found

    def add_step(self, step: int, value: float) -> None:
        """Keep an intermediate value."""
        if not 0 <= step <= 2**31 or len(self.steps) >= MAX_STEPS:
            raise ValueError(f"step {step}: must be 0 or more, and at most {MAX_STEPS:,} of them")
        self.steps[step] = _bounded(value)

    def add_notes(self, attributes: dict[str, Any]) -> None:
        """Keep the attributes that a page shows."""
        kept = {key: value for key, value in attributes.items() if key in _TrialNotes.__struct_fields__}
        for key, value in msgspec.to_builtins(msgspec.convert(kept, _TrialNotes)).items():
            self.notes[key] = list(map(printable, value)) if isinstance(value, list) else printable(value)

    def frozen(self, number: int, objectives: int) -> FrozenTrial:
        """Return Optuna's own trial; raise ValueError where it contradicts itself."""
        state = TrialState(self.state)
        values = self.values if state in (TrialState.COMPLETE, TrialState.PRUNED) else None
        if values is not None and len(values) != objectives:
            raise ValueError(f"{len(values)} values for {objectives} objectives")
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
            user_attrs=self.notes,
            system_attrs={},
            intermediate_values=self.steps,
        )


@dataclass
class _Study:
    """A study as read."""

    directions: list[StudyDirection]
    about: str = ""
    metric_names: list[str] | None = None
    trials: list[_Trial] = field(default_factory=list)

    def add_notes(self, user: dict[str, Any], system: dict[str, Any]) -> None:
        """Keep the attributes that a page shows."""
        if "about" in user:
            self.about = printable(msgspec.convert(user, _StudyNotes).about)
        if "study:metric_names" in system:
            names = msgspec.convert(system, _SystemNotes).metric_names
            if names is not None and len(names) != len(self.directions):
                raise ValueError(f"{len(names)} metric names for {len(self.directions)} objectives")
            self.metric_names = None if names is None else list(map(printable, names))

    def copied(self, name: str, source: str) -> optuna.Study:
        """Return the study in memory.

        Raises:
            InputError: A trial contradicts itself.
        """
        storage = optuna.storages.InMemoryStorage()
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")  # metric names are experimental
            study = optuna.create_study(study_name=printable(name), storage=storage, directions=self.directions)
            if self.metric_names:
                study.set_metric_names(self.metric_names)
            if self.about:
                study.set_user_attr("about", self.about)
            for number, trial in enumerate(self.trials):
                try:
                    study.add_trial(trial.frozen(number, len(self.directions)))
                except DAMAGE as error:
                    raise InputError(f"{source}: trial {number}: {reason(error)}: was it changed by hand?") from error
        return study


class _quiet:  # noqa: N801 # a context manager
    """Keep Optuna from announcing the copy."""

    def __enter__(self) -> None:
        self._before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)

    def __exit__(self, *_: object) -> None:
        optuna.logging.set_verbosity(self._before)


class _Journal:
    """The studies of a journal, as Optuna counts them; `apply` takes one entry after the other."""

    def __init__(self) -> None:
        self.studies: dict[int, tuple[str, _Study]] = {}
        self.trials: list[_Trial] = []
        self._created = 0
        self._parameters: set[str] = set()

    def apply(self, entry: Any) -> None:
        """Apply an entry; one for a study or trial that does not exist has no effect, as in Optuna."""
        if isinstance(entry, _CreateStudy):
            if self._created >= MAX_STUDIES:
                raise ValueError(f"more than {MAX_STUDIES:,} studies, the most that are read")
            if entry.study_name not in (name for name, _ in self.studies.values()):
                directions = [StudyDirection(direction) for direction in entry.directions]
                self.studies[self._created] = entry.study_name, _Study(directions)
                self._created += 1
        elif isinstance(entry, _DeleteStudy):
            self.studies.pop(entry.study_id, None)
        elif isinstance(entry, _StudyUserAttr | _StudySystemAttr | _CreateTrial):
            if entry.study_id in self.studies:
                self._apply_to_study(entry, self.studies[entry.study_id][1])
        elif isinstance(entry, _SetParam | _SetState | _SetIntermediate | _TrialUserAttr):
            trial = self.trials[entry.trial_id] if entry.trial_id < len(self.trials) else None
            if trial is not None and not TrialState(trial.state).is_finished():
                self._apply_to_trial(entry, trial)

    def _apply_to_study(self, entry: Any, study: _Study) -> None:
        if isinstance(entry, _StudyUserAttr):
            study.add_notes(entry.user_attr, {})
        elif isinstance(entry, _StudySystemAttr):
            study.add_notes({}, entry.system_attr)
        else:
            if len(self.trials) >= MAX_TRIALS:
                raise ValueError(f"more than {MAX_TRIALS:,} trials, the most that are read")
            values = entry.values if entry.values is not None else None if entry.value is None else [entry.value]
            trial = _Trial(entry.state, values, _local(entry.datetime_start), _local(entry.datetime_complete))
            for name, internal in entry.params.items():
                self._add_param(trial, name, internal, entry.distributions[name])
            for step, value in entry.intermediate_values.items():
                trial.add_step(step, value)
            trial.add_notes(entry.user_attrs)
            self.trials.append(trial)
            study.trials.append(trial)

    def _apply_to_trial(self, entry: Any, trial: _Trial) -> None:
        if isinstance(entry, _SetParam):
            self._add_param(trial, entry.param_name, entry.param_value_internal, entry.distribution)
        elif isinstance(entry, _SetIntermediate):
            trial.add_step(entry.step, entry.intermediate_value)
        elif isinstance(entry, _TrialUserAttr):
            trial.add_notes(entry.user_attr)
        elif not entry.state == trial.state == TrialState.RUNNING:
            trial.state = entry.state
            trial.start = _local(entry.datetime_start) or trial.start
            trial.complete = _local(entry.datetime_complete) or trial.complete
            trial.values = trial.values if entry.values is None else entry.values

    def _add_param(self, trial: _Trial, name: str, internal: float, distribution: str) -> None:
        self._parameters.add(name)
        if len(self._parameters) > MAX_PARAMETERS:
            raise ValueError(f"more than {MAX_PARAMETERS} parameters, the most that are read")
        trial.add_param(name, internal, distribution)


def read_journal(path: Path, name: str) -> optuna.Study:
    """Return a copy of the study called `name` in one of Optuna's journal files, which is only read.

    Raises:
        InputError: There is no such study, the file is not a journal of Optuna's, or it is too large.
        OSError: It cannot be opened.
    """
    shown, journal = one_line(path), _Journal()
    for number, line in _lines(path):
        try:
            journal.apply(_entry(json.loads(line)))
        except DAMAGE as error:
            raise InputError(
                f"{shown}: line {number} cannot be read: {reason(error)}: was it changed by hand?"
            ) from error
    for found, study in journal.studies.values():
        if found == name:
            return study.copied(name, shown)
    names = ", ".join(one_line(found) for found, _ in [*journal.studies.values()][:10]) or "none"
    raise InputError(f"{shown}: no study {one_line(name)} in it, only: {names}")


def _entry(found: Any) -> _Entry:
    """Return a line's entry; raise ValueError where it does not fit the schema of its operation."""
    operation = found.get("op_code") if isinstance(found, dict) else None
    kind = ENTRIES.get(operation, _Entry) if isinstance(operation, int) else _Entry
    if kind is _Entry:
        raise ValueError("not an operation of Optuna's")
    return msgspec.convert(found, kind, str_keys=True)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered whole lines of a journal; half a line at the end is one that is being written."""
    with open_regular(path, MAX_BYTES) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1):
            if line.endswith(b"\n"):
                yield number, line
            elif len(line) == MAX_LINE:
                raise InputError(f"{one_line(path)}, line {number}: longer than {MAX_LINE:,} bytes: is it a journal?")


def checked(study: optuna.Study, source: str) -> optuna.Study:
    """Return a checked copy of a study from a database.

    Args:
        study: As Optuna reads it.
        source: Where it lies, for messages.

    Raises:
        InputError: It holds a value that no search writes.
    """
    try:
        copy = _Study(list(study.directions))
        copy.add_notes(study.user_attrs, {"study:metric_names": study.metric_names})
    except DAMAGE as error:
        raise InputError(f"{source}: {reason(error)}: was it changed by hand?") from error
    parameters: set[str] = set()
    for found in study.get_trials(deepcopy=False):
        parameters |= found.params.keys()
        try:
            if len(parameters) > MAX_PARAMETERS:
                raise ValueError(f"more than {MAX_PARAMETERS} parameters, the most that are read")
            copy.trials.append(_of_frozen(found))
        except DAMAGE as error:
            raise InputError(f"{source}: trial {found.number}: {reason(error)}: was it changed by hand?") from error
    return copy.copied(study.study_name, source)


def _of_frozen(found: FrozenTrial) -> _Trial:
    values = None if found.values is None else msgspec.convert(found.values, list[float])
    trial = _Trial(found.state, values, found.datetime_start, found.datetime_complete)
    for name, value in found.params.items():
        distribution = found.distributions[name]
        text = optuna.distributions.distribution_to_json(distribution)
        trial.add_param(name, distribution.to_internal_repr(value), text)
    for step, value in found.intermediate_values.items():
        trial.add_step(step, float(value))
    trial.add_notes(found.user_attrs)
    return trial


@lru_cache(maxsize=1000)
def _distribution(text: str) -> BaseDistribution:
    """Return the distribution that Optuna wrote as `text`."""
    found: Any = msgspec.convert(json.loads(text), _FloatDistribution | _IntDistribution | _CategoricalDistribution)
    found = found.attributes
    if isinstance(found, _Choices):
        choices = [printable(choice) if isinstance(choice, str) else choice for choice in found.choices]
        return CategoricalDistribution(choices)
    for number in (found.low, found.high, found.step):
        _moderate(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a range that the step does not divide is shortened
        if isinstance(found, _Int):
            return IntDistribution(found.low, found.high, log=found.log, step=found.step)
        return FloatDistribution(found.low, found.high, log=found.log, step=found.step)


def _moderate(value: Value) -> Value:
    """Return a value; raise ValueError where it is a number that is not finite, or too large or small to draw."""
    if isinstance(value, int | float) and value != 0 and not SMALL <= abs(value) <= LARGE:
        raise ValueError(f"{str(value)[:20]}: a parameter's number must be from {SMALL} to {LARGE}")
    return value


def _bounded(value: float) -> float:
    """Return a score; an infinite one where it is too large to be calculated with."""
    return math.copysign(math.inf, value) if abs(value) > LARGE else value


def _local(time: datetime | None) -> datetime | None:
    """Return a time as Optuna has it: this machine's, without a zone."""
    return None if time is None else time.astimezone().replace(tzinfo=None)
