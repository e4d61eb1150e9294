"""Reading Optuna's journal files, which are never changed.

Decisions: a journal is read line by line against a schema, since Optuna's own storage trusts every line and takes
quadratic time for many parameters; a line that does not fit the schema is an error that names its number, since a study
without that line would be a different study.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular
from ziffern.search import entries
from ziffern.search.copies import DAMAGE, StudyCopy, TrialCopy, check_parameters
from ziffern.search.entries import MAX_LINE, read_entry

MAX_BYTES = 128 * 2**20
MAX_STUDIES = 1000
MAX_TRIALS = 100_000
MAX_NAMES = 10  # of other studies in a message


def read_journal(path: Path, name: str) -> optuna.Study:
    """Return a copy of the study called `name` in one of Optuna's journal files, which is only read.

    Raises:
        InputError: There is no such study, or the file is not a journal of Optuna's or is too large.
        OSError: It cannot be opened.
    """
    journal = _Journal()
    for number, line in _lines(path):
        try:
            journal.apply(read_entry(line))
        except DAMAGE as error:
            raise InputError("search.journal.line", path=path, line=number, why=error) from error
    studies = dict(journal.studies.values())
    if not studies:
        raise InputError("search.journal.empty", path=path)
    if name not in studies:
        raise InputError("search.journal.no_study", path=path, name=name, names=list(studies)[:MAX_NAMES])
    return studies[name].in_memory(name, path)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered complete lines of a journal; an incomplete last line is still being written."""
    with open_regular(path, MAX_BYTES) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1):
            if line.endswith(b"\n"):
                yield number, line
            elif len(line) == MAX_LINE:
                raise InputError("search.journal.line_too_long", path=path, line=number, limit=MAX_LINE)


class _Journal:
    """The studies of a journal by Optuna's numbers, built by applying one entry after the other."""

    def __init__(self) -> None:
        self.studies: dict[int, tuple[str, StudyCopy]] = {}
        self.trials: list[TrialCopy] = []
        self._created = 0
        self._parameters: set[str] = set()

    def apply(self, entry: Any) -> None:
        """Apply an entry; as in Optuna, an entry for an unknown study or trial has no effect."""
        if isinstance(entry, entries.CreateStudy):
            if self._created >= MAX_STUDIES:
                raise InputError("search.journal.too_many_studies", limit=MAX_STUDIES)
            if entry.study_name not in (name for name, _ in self.studies.values()):
                directions = [StudyDirection(direction) for direction in entry.directions]
                self.studies[self._created] = entry.study_name, StudyCopy(directions)
                self._created += 1
        elif isinstance(entry, entries.DeleteStudy):
            self.studies.pop(entry.study_id, None)
        elif isinstance(entry, entries.StudyUserAttr | entries.StudySystemAttr | entries.CreateTrial):
            if entry.study_id in self.studies:
                self._apply_to_study(entry, self.studies[entry.study_id][1])
        elif isinstance(entry, entries.SetParam | entries.SetState | entries.SetIntermediate | entries.TrialUserAttr):
            trial = self.trials[entry.trial_id] if entry.trial_id < len(self.trials) else None
            if trial is not None and not TrialState(trial.state).is_finished():
                self._apply_to_trial(entry, trial)

    def _apply_to_study(self, entry: Any, study: StudyCopy) -> None:
        if isinstance(entry, entries.StudyUserAttr):
            study.add_attributes(entry.user_attr, {})
        elif isinstance(entry, entries.StudySystemAttr):
            study.add_attributes({}, entry.system_attr)
        else:
            if len(self.trials) >= MAX_TRIALS:
                raise InputError("search.journal.too_many_trials", limit=MAX_TRIALS)
            values = entry.values if entry.values is not None else None if entry.value is None else [entry.value]
            trial = TrialCopy(entry.state, values, _local(entry.datetime_start), _local(entry.datetime_complete))
            for name, internal in entry.params.items():
                self._add_param(trial, name, internal, entry.distributions[name])
            for step, value in entry.intermediate_values.items():
                trial.add_step(step, value)
            trial.add_attributes(entry.user_attrs)
            self.trials.append(trial)
            study.trials.append(trial)

    def _apply_to_trial(self, entry: Any, trial: TrialCopy) -> None:
        if isinstance(entry, entries.SetParam):
            self._add_param(trial, entry.param_name, entry.param_value_internal, entry.distribution)
        elif isinstance(entry, entries.SetIntermediate):
            trial.add_step(entry.step, entry.intermediate_value)
        elif isinstance(entry, entries.TrialUserAttr):
            trial.add_attributes(entry.user_attr)
        elif not entry.state == trial.state == TrialState.RUNNING:
            trial.state = entry.state
            trial.start = _local(entry.datetime_start) or trial.start
            trial.complete = _local(entry.datetime_complete) or trial.complete
            trial.values = trial.values if entry.values is None else entry.values

    def _add_param(self, trial: TrialCopy, name: str, internal: float, distribution: str) -> None:
        self._parameters.add(name)
        check_parameters(self._parameters)
        trial.add_param(name, internal, distribution)


def _local(time: datetime | None) -> datetime | None:
    """Return a time as Optuna stores it: local, without a time zone."""
    return None if time is None else time.astimezone().replace(tzinfo=None)
