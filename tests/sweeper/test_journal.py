"""The file that a driver writes: whole lines, whatever happens in the middle of one."""

import os
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hydra_study.journal import JOURNAL, open_journal
from hydra_study.lines import Lines

FULL = OSError(28, "No space left on device")


def test_a_journal_survives_half_a_line_and_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / JOURNAL
    optuna.create_study(study_name="study", storage=open_journal(tmp_path)).set_user_attr("a", 1)
    with path.open("ab") as file:
        file.write(b'{"op_code": 2, "half')
    again = optuna.load_study(study_name="study", storage=open_journal(tmp_path))
    again.set_user_attr("b", 2)
    running = again.ask()
    size, write = path.stat().st_size, os.write

    def full(file: int, *data: bytes) -> int:
        raise FULL

    def half(file: int, data: bytes) -> int:
        return write(file, data[: len(data) // 2])

    for name, broken in (("fsync", full), ("write", full), ("write", half)):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, broken)
            with pytest.raises(OSError, match="No space"):
                again.tell(running, 3)
        assert path.stat().st_size == size
    again.set_user_attr("d", 4)
    last = optuna.load_study(study_name="study", storage=JournalStorage(JournalFileBackend(str(path))))
    assert {"a": 1, "b": 2, "d": 4}.items() <= last.user_attrs.items()
    assert last.trials[0].state == optuna.trial.TrialState.RUNNING


def test_a_study_is_what_optuna_reads_back(tmp_path: Path) -> None:
    made = optuna.create_study(study_name="study", storage=open_journal(tmp_path))
    for number in range(3):
        trial = made.ask()
        trial.suggest_float("x", 0, 1)
        trial.report(number / 7, 0)
        made.tell(trial, number)
    read = optuna.load_study(study_name="study", storage=JournalStorage(JournalFileBackend(str(tmp_path / JOURNAL))))
    assert [vars(trial) for trial in read.trials] == [vars(trial) for trial in made.trials]


def test_lines_are_appended_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "lines"
    lines = Lines(path)
    lines.append([{"a": 1}, {"b": "\n"}])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: 3)
        with pytest.raises(OSError, match="No space"):
            lines.append([{"c": 1}, {"d": 1}])
    lines.append([])
    assert Lines(path).read() == [{"a": 1}, {"b": "\n"}]


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"x\n", b'{"a": \n}\n'])
def test_what_is_no_json_is_an_error_of_value(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lines").write_bytes(content)
    with pytest.raises(ValueError, match=r"decode|Expecting"):
        Lines(tmp_path / "lines").read()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lines").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="lines"):
        Lines(tmp_path / "lines")
    assert not (tmp_path / "victim").exists()
