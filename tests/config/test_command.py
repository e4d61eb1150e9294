"""The command of the running job, from Hydra's context."""

import shlex
import sys
from pathlib import Path

import pytest

from ziffern.config.command import invocation, is_multirun, this_command

QUICK = ("data=mnist5k", "model=nn", "trainer=cpu", "logger=none", "report=null")


@pytest.fixture
def commands(command_line, monkeypatch: pytest.MonkeyPatch):
    """Run a command line whose jobs train nothing; return what each job takes for its command, and `is_multirun`."""

    def collect(*arguments: str) -> list[tuple[str, str, bool]]:
        jobs = []

        def run_experiment(*_: object) -> float:
            jobs.append((this_command(), this_command(seed=7, ckpt_path="a b/last.ckpt"), is_multirun()))
            return 0.0

        monkeypatch.setattr("ziffern.experiment.run.run_experiment", run_experiment)
        code, _, errors = command_line(*arguments)
        assert (code, errors) == (0, "")
        return jobs

    return collect


def test_a_run_is_described_by_its_overrides(commands) -> None:
    ((plain, replaced, several),) = commands(*QUICK, "seed=1", "hydra.run.dir=run", "objective='${monitor}'")
    typed = ["python", "train.py", *QUICK, "seed=1", "objective='${monitor}'", "hydra.run.dir=run"]
    assert shlex.split(plain) == typed
    assert shlex.split(replaced) == [
        *(item for item in typed if item != "seed=1"),
        "seed=7",
        "ckpt_path='a b/last.ckpt'",
    ]
    assert not several


def test_a_job_of_several_is_described_as_one_run(commands) -> None:
    found = commands("-m", *QUICK, "seed=1,2", "hydra/sweeper/engine=inline")
    assert [command for command, _, _ in found] == [f"python train.py {' '.join(QUICK)} seed={n}" for n in (1, 2)]
    assert all(several for _, _, several in found)


def test_options_of_configurations_are_part_of_the_command(commands, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mine.yaml").write_text("# @package _global_\ndefaults: [train, _self_]\nseed: 3")
    ((command, _, _),) = commands("--config-dir", "own", "--config-name", "mine", *QUICK)
    assert command == f"python train.py --config-dir own --config-name mine {' '.join(QUICK)}"


def test_the_console_script_is_called_by_its_name(commands) -> None:
    token = invocation.set("ziffern train")
    try:
        assert commands(*QUICK)[0][0].startswith("ziffern train data=mnist5k")
    finally:
        invocation.reset(token)


def test_outside_of_hydra_it_is_the_command_line_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["notebook.py", "a b"])
    assert this_command(seed=1) == "python notebook.py 'a b' seed=1"
    assert not is_multirun()
