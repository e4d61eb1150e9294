"""The entries of Optuna's journal files: one declaration per operation, against which each line is checked."""

import json
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from optuna.trial import TrialState

from ziffern.errors import InputError
from ziffern.search.copies import MAX_OBJECTIVES, Name, Text

MAX_LINE = 2**20  # bytes

Id = Annotated[int, Meta(ge=0, le=2**31)]
State = Annotated[int, Meta(ge=0, le=4)]


class Entry(Struct, frozen=True, tag_field="op_code"):
    """A line of a journal; the operation codes are Optuna's."""


class CreateStudy(Entry, frozen=True, tag=0):
    """A new study."""

    study_name: Text
    directions: Annotated[list[Annotated[int, Meta(ge=1, le=2)]], Meta(min_length=1, max_length=MAX_OBJECTIVES)]


class DeleteStudy(Entry, frozen=True, tag=1):
    """The deletion of a study."""

    study_id: Id


class StudyUserAttr(Entry, frozen=True, tag=2):
    """A study attribute set by the application."""

    study_id: Id
    user_attr: dict[str, Any]


class StudySystemAttr(Entry, frozen=True, tag=3):
    """A study attribute set by Optuna, such as the names of the metrics."""

    study_id: Id
    system_attr: dict[str, Any]


class CreateTrial(Entry, frozen=True, tag=4):
    """A new trial, which may already have ended."""

    study_id: Id
    datetime_start: datetime | None
    datetime_complete: datetime | None = None
    state: State = TrialState.RUNNING
    value: float | None = None
    values: list[float] | None = None
    distributions: dict[Name, Text] = {}
    params: dict[Name, float] = {}
    user_attrs: dict[str, Any] = {}
    intermediate_values: dict[int, float] = {}


class SetParam(Entry, frozen=True, tag=5):
    """A parameter's value."""

    trial_id: Id
    param_name: Name
    param_value_internal: float
    distribution: Annotated[str, Meta(max_length=MAX_LINE)]


class SetState(Entry, frozen=True, tag=6):
    """A trial's state, and its scores at the end."""

    trial_id: Id
    state: State
    values: list[float] | None
    datetime_start: datetime | None = None
    datetime_complete: datetime | None = None


class SetIntermediate(Entry, frozen=True, tag=7):
    """A score that a trial reported before its end."""

    trial_id: Id
    step: int
    intermediate_value: float


class TrialUserAttr(Entry, frozen=True, tag=8):
    """A trial attribute set by the application."""

    trial_id: Id
    user_attr: dict[str, Any]


class Ignored(Entry, frozen=True, tag=9):
    """A trial attribute set by a sampler."""


class Discarded(Entry, frozen=True, tag=10):
    """An operation of another implementation, which Optuna skips too."""


ENTRIES: dict[Any, type[Entry]] = {  # by operation code: decoding to their union takes ten times as long
    kind.__struct_config__.tag: kind
    for kind in (
        *(CreateStudy, DeleteStudy, StudyUserAttr, StudySystemAttr, CreateTrial, SetParam, SetState),
        *(SetIntermediate, TrialUserAttr, Ignored, Discarded),
    )
}


def read_entry(line: bytes) -> Entry:
    """Return the entry in a line of a journal; raises ValueError if it does not fit the schema of its operation."""
    plain = json.loads(line)
    operation = plain.get("op_code") if isinstance(plain, dict) else None
    kind = ENTRIES.get(operation, Entry) if isinstance(operation, int) else Entry
    if kind is Entry:
        raise InputError("search.journal.not_an_operation")
    return msgspec.convert(plain, kind, str_keys=True)
