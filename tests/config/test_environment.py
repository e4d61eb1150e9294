"""The file `.env` in the launch folder."""

import os
from pathlib import Path

import pytest

from ziffern.config.environment import load_environment
from ziffern.errors import InputError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_variables_are_set_unless_they_are_already(tmp_path: Path) -> None:
    os.environ["HELD"] = "before"
    lines = ("# keys", "", "export A=1", "B = two words # a remark", "C='${A} #'", 'D="${A}#b"', "E=", "HELD=after")
    (tmp_path / ".env").write_text("\n".join(lines))
    load_environment(tmp_path)
    got = {name: os.environ[name] for name in ("A", "B", "C", "D", "E", "HELD")}
    assert got == {"A": "1", "B": "two words", "C": "${A} #", "D": "1#b", "E": "", "HELD": "before"}


def test_the_last_value_counts_and_a_default_is_used(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nA=2\nB=${A}${NOWHERE:-3}")
    load_environment(tmp_path)
    assert (os.environ["A"], os.environ["B"]) == ("2", "23")


def test_nothing_is_set_by_a_file_with_a_mistake(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NOWHERE=1\nB=a\0b")
    with pytest.raises(InputError, match="line 2 is not NAME=VALUE"):
        load_environment(tmp_path)
    assert "NOWHERE" not in os.environ


def test_no_other_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NOWHERE=1")
    (tmp_path / "below/.env").mkdir(parents=True)
    load_environment(tmp_path / "below")
    assert "NOWHERE" not in os.environ


@pytest.mark.parametrize(
    "name", ["ZIFFERN_TARGETS", "PYTHONPATH", "LD_PRELOAD", "PATH", "GIT_CONFIG_COUNT", "MPLBACKEND"]
)
def test_what_is_executed_is_not_chosen_by_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"{name}=evil")
    with pytest.raises(InputError) as caught:
        load_environment(tmp_path)
    assert caught.value.code == "config.environment.code"
    assert os.environ.get(name) != "evil"


def test_a_line_that_is_none_names_its_number_and_not_its_content(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nsecret words")
    with pytest.raises(InputError, match="line 2 is not NAME=VALUE") as caught:
        load_environment(tmp_path)
    assert "secret" not in str(caught.value)
