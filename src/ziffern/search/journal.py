"""Reading Optuna's journal files, which are never changed.

Decisions: a journal is read line by line against a schema, since Optuna's own storage trusts every line and takes
quadratic time for many parameters; a line that does not fit the schema is an error that names its number, since a study
without that line would be a different study.
"""

import json
import warnings
from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
import optuna
from msgspec import Meta, Struct
from optuna.distributions import json_to_distribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular
from ziffern.search.copies import DAMAGE, MAX_OBJECTIVES, Name, StoredStudy, Text

MAX_BYTES = 256 * 2**20  # 10,000 trials of 100 reports each
MAX_LINE = 2**20  # bytes
MAX_STUDIES = 1000
MAX_TRIALS = 100_000
MAX_NAMES = 10  # of other studies in a message

_Id = Annotated[int, Meta(ge=0, le=2**31)]
_distribution = lru_cache(maxsize=1000)(json_to_distribution)


class _Operation(IntEnum):  # Optuna's codes
    CREATE_STUDY = 0
    DELETE_STUDY = 1
    SET_STUDY_USER_ATTR = 2
    SET_STUDY_SYSTEM_ATTR = 3
    CREATE_TRIAL = 4
    SET_TRIAL_PARAM = 5
    SET_TRIAL_STATE_VALUES = 6
    SET_TRIAL_INTERMEDIATE_VALUE = 7
    SET_TRIAL_USER_ATTR = 8
    SET_TRIAL_SYSTEM_ATTR = 9  # a sampler's, which no report shows
    DISCARDED = 10  # of another implementation, which Optuna skips too


REQUIRED: tuple[set[str], ...] = (  # fields of an entry, by its operation
    *({"study_name", "directions"}, {"study_id"}, {"study_id", "user_attr"}, {"study_id", "system_attr"}),
    *({"study_id", "datetime_start"}, {"trial_id", "param_name", "param_value_internal", "distribution"}),
    *({"trial_id", "state", "values"}, {"trial_id", "step", "intermediate_value"}, {"trial_id", "user_attr"}),
    *({"trial_id"}, set()),
)


class _Entry(Struct):
    op_code: _Operation
    study_name: Text = ""
    directions: Annotated[list[Annotated[int, Meta(ge=1, le=2)]], Meta(min_length=1, max_length=MAX_OBJECTIVES)] = []
    study_id: _Id = 0
    trial_id: _Id = 0
    state: Annotated[int, Meta(ge=0, le=4)] = TrialState.RUNNING
    datetime_start: datetime | None = None
    datetime_complete: datetime | None = None
    value: float | None = None
    values: list[float] | None = None
    param_name: Name = ""
    param_value_internal: float = 0
    distribution: str = ""
    params: dict[Name, float] = {}
    distributions: dict[Name, Text] = {}
    step: int = 0
    intermediate_value: float = 0
    intermediate_values: dict[int, float] = {}
    user_attr: dict[str, Any] = {}
    user_attrs: dict[str, Any] = {}
    system_attr: dict[str, Any] = {}


def read_journal(path: Path, name: str) -> optuna.Study:
    """Return a copy of the study called `name` in one of Optuna's journal files, which is only read.

    Raises:
        InputError: There is no such study, or the file is not a journal of Optuna's or is too large.
        OSError: It cannot be opened.
    """
    journal = _Journal()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, about invalid choices, which the copy refuses
        for number, line in _lines(path):
            try:
                journal.apply(_read_entry(line))
            except DAMAGE as error:
                raise InputError("search.journal.line", path=path, line=number, why=error) from error
    studies = {study.name: study for study in journal.studies.values()}
    if not studies:
        raise InputError("search.journal.empty", path=path)
    if name not in studies:
        raise InputError("search.journal.no_study", path=path, name=name, names=list(studies)[:MAX_NAMES])
    return studies[name].checked_copy(path)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered complete lines of a journal; an incomplete last line is still being written."""
    with open_regular(path, MAX_BYTES) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1):
            if line.endswith(b"\n"):
                yield number, line
            elif len(line) == MAX_LINE:
                raise InputError("search.journal.line_too_long", path=path, line=number, limit=MAX_LINE)


def _read_entry(line: bytes) -> _Entry:
    """Return the entry in a line of a journal; raises ValueError if it does not fit the schema of its operation."""
    try:
        plain = msgspec.json.decode(line)
    except (ValueError, RecursionError):  # NaN and infinity, which Optuna writes and JSON does not know
        plain = json.loads(line)
    operation = plain.get("op_code") if isinstance(plain, dict) else None
    if not isinstance(operation, int) or operation not in range(len(REQUIRED)):
        raise InputError("search.journal.not_an_operation")
    if missing := REQUIRED[operation] - plain.keys():
        raise InputError("records.field.missing", key=min(missing))
    return msgspec.convert(plain, _Entry, str_keys=True)


class _Journal:
    """The studies of a journal by Optuna's numbers, built by applying one entry after the other."""

    def __init__(self) -> None:
        self.studies: dict[int, StoredStudy] = {}
        self._trials: list[FrozenTrial] = []
        self._created = 0

    def apply(self, entry: _Entry) -> None:
        """Apply an entry; as in Optuna, an entry for an unknown study or a finished trial has no effect."""
        if entry.op_code == _Operation.CREATE_STUDY:
            if self._created >= MAX_STUDIES:
                raise InputError("search.journal.too_many_studies", limit=MAX_STUDIES)
            if entry.study_name not in {study.name for study in self.studies.values()}:
                directions = [StudyDirection(direction) for direction in entry.directions]
                self.studies[self._created] = StoredStudy(entry.study_name, directions)
                self._created += 1
        elif entry.op_code <= _Operation.CREATE_TRIAL:
            if entry.study_id in self.studies:
                self._apply_to_study(entry, self.studies[entry.study_id])
        elif entry.trial_id < len(self._trials) and not self._trials[entry.trial_id].state.is_finished():
            _apply_to_trial(entry, self._trials[entry.trial_id])

    def _apply_to_study(self, entry: _Entry, study: StoredStudy) -> None:
        match entry.op_code:
            case _Operation.DELETE_STUDY:
                del self.studies[entry.study_id]
            case _Operation.SET_STUDY_USER_ATTR:
                study.user_attrs |= entry.user_attr
            case _Operation.SET_STUDY_SYSTEM_ATTR:
                study.metric_names = entry.system_attr.get("study:metric_names", study.metric_names)
            case _Operation.CREATE_TRIAL:
                if len(self._trials) >= MAX_TRIALS:
                    raise InputError("search.journal.too_many_trials", limit=MAX_TRIALS)
                study.trials.append(_new_trial(entry))
                self._trials.append(study.trials[-1])


def _new_trial(entry: _Entry) -> FrozenTrial:
    distributions = {name: _distribution(text) for name, text in entry.distributions.items()}
    return FrozenTrial(
        number=0,
        trial_id=0,
        state=TrialState(entry.state),
        value=None if entry.values is not None else entry.value,
        values=entry.values,
        datetime_start=_local(entry.datetime_start),
        datetime_complete=_local(entry.datetime_complete),
        params={name: distributions[name].to_external_repr(value) for name, value in entry.params.items()},
        distributions=distributions,
        user_attrs=dict(entry.user_attrs),
        system_attrs={},
        intermediate_values=dict(entry.intermediate_values),
    )


def _apply_to_trial(entry: _Entry, trial: FrozenTrial) -> None:
    match entry.op_code:
        case _Operation.SET_TRIAL_PARAM:
            trial.distributions[entry.param_name] = known = _distribution(entry.distribution)
            trial.params[entry.param_name] = known.to_external_repr(entry.param_value_internal)
        case _Operation.SET_TRIAL_INTERMEDIATE_VALUE:
            trial.intermediate_values[entry.step] = entry.intermediate_value
        case _Operation.SET_TRIAL_USER_ATTR:
            trial.user_attrs.update(entry.user_attr)
        case _Operation.SET_TRIAL_STATE_VALUES if not entry.state == trial.state == TrialState.RUNNING:
            trial.state = TrialState(entry.state)
            trial.datetime_start = _local(entry.datetime_start) or trial.datetime_start
            trial.datetime_complete = _local(entry.datetime_complete) or trial.datetime_complete
            trial.values = trial.values if entry.values is None else entry.values


def _local(time: datetime | None) -> datetime | None:
    """Return a time as Optuna stores it: local, without a time zone."""
    return None if time is None else time.astimezone().replace(tzinfo=None)
