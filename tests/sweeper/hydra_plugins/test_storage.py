"""A study's journal, its locks, and a storage out of reach."""

import math
import os
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tests.support.sweeps import Studies

from hydra_study.errors import SweepError
from hydra_study.storage import Journal, Storage, patiently


def test_a_lock_that_was_taken_and_not_counted_is_given_back(studies: Studies, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, acquire = Storage(None, studies.folder, 60), FileLock.acquire

    def interrupted(self: FileLock, *given: Any, **named: Any) -> None:
        acquire(self, *given, **named)
        self._context.lock_counter = 0  # as in the moment before it is counted
        raise KeyboardInterrupt

    monkeypatch.setattr(FileLock, "acquire", interrupted)
    held = []  # whoever handles the error has its frames, and so the lock
    try:
        with storage.lock("study"):
            pass
    except KeyboardInterrupt as error:
        held.append(error)
    monkeypatch.undo()
    with storage.lock("study", 0):
        pass


def test_a_journal_survives_half_a_line_and_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.journal"
    made = optuna.create_study(study_name="study", storage=JournalStorage(Journal(path)))
    made.set_user_attr("a", 1)
    with path.open("ab") as file:
        file.write(b'{"op_code": 2, "half')
    again = optuna.load_study(study_name="study", storage=JournalStorage(Journal(path)))
    again.set_user_attr("b", 2)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    size = path.stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            again.set_user_attr("c", 3)
    assert path.stat().st_size == size
    again.set_user_attr("d", 4)
    last = optuna.load_study(study_name="study", storage=JournalStorage(JournalFileBackend(str(path))))
    assert {"a": 1, "b": 2, "d": 4}.items() <= last.user_attrs.items()
    assert "c" not in last.user_attrs


def test_a_storage_out_of_reach_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    calls: list[int] = []

    def do() -> int:
        calls.append(1)
        if len(calls) < 8:
            raise OSError(28, "No space left on device")
        return 5

    said: list[str] = []
    assert patiently(do, 60, said.append) == 5
    assert said[0] == "waiting for the study's storage ([Errno 28] No space left on device)"
    calls.clear()
    with pytest.raises(SweepError, match=r"No space left.*the same command continues"):
        patiently(do, -math.inf, said.append)
