"""The journal of a study, which any program that knows Optuna can read; only the driver writes it."""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation

from hydra_study.errors import SweepError
from hydra_study.lines import Lines

JOURNAL = "study.journal"
DAMAGED = (ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError, RecursionError)


class _Journal(BaseJournalBackend):
    """Optuna's own backend reads back what it has just written, locks, and appends to a half-written last line."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self._logs = self._lines.read()
        self._first = 0  # number of the first entry that is kept

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the entries from a number on, and forget those before it."""
        del self._logs[: log_number_from - self._first]
        self._first = log_number_from
        return list(self._logs)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append whole lines to the file, or nothing; only what becomes of a trial is worth waiting for the disk."""
        to_disk = any(log["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES for log in logs)
        self._logs += map(json.loads, self._lines.append(logs, to_disk))  # as they will be read later


def open_journal(folder: Path) -> JournalStorage:
    """Open the journal of a sweep folder; create it if there is none.

    Raises:
        SweepError: The file is not a journal.
        OSError: It cannot be opened, or is a link.
    """
    path = folder / JOURNAL
    if path.exists() and not path.is_file():
        raise SweepError(f"{path}: not a file: remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return JournalStorage(_Journal(path))
    except DAMAGED as error:
        raise SweepError(f"{path}: not a study's journal ({error or 'a line contradicts others'})") from error
