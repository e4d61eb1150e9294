"""Trials that take turns in one process, and what they compute together."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hydra_plugins.hydra_optuna_queue._together import Meeting
from ziffern.search import open_study
from ziffern.stack import Stacked

APP = Path(__file__).with_name("sweep_app.py")
GRID = ("hydra/sweeper=ziffern", "hydra/sweeper/sampler=grid")
QUICK = ("trainer=cpu", "trainer.max_epochs=2", "logger=none", "threads=1", "data.batch_size=8")


def test_who_meets_whom() -> None:
    meeting, met, ended = Meeting(), [], []

    def worker(name: str, keys: str, pauses: float = 0.0) -> None:
        if pauses:
            meeting.pause(pauses)
        for key in keys:
            meeting.meet(key, name, met.append)
        ended.append(name)

    meeting.run([lambda: worker("a", "xxy"), lambda: worker("b", "xy"), lambda: worker("c", "yyz", 0.05)])
    assert met[0] == ["a", "b"]  # who pauses is not waited for
    assert sorted(ended) == ["a", "b", "c"]
    assert sorted(name for group in met for name in group) == [*"aaabbccc"]


def test_a_failure_reaches_those_who_worked_together() -> None:
    meeting, caught, ended = Meeting(), [], []

    def fail(works: list[str]) -> None:
        if "a" in works:
            raise ZeroDivisionError

    def worker(name: str, key: str) -> None:
        try:
            meeting.meet(key, name, fail)
        except ZeroDivisionError:
            caught.append(name)
        meeting.meet("end", name, ended.append)

    meeting.run([lambda: worker("a", "x"), lambda: worker("b", "x"), lambda: worker("c", "y")])
    assert caught == ["a", "b"]
    assert ended == [["a", "b", "c"]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_end_of_one_is_the_end_of_all(error: type[BaseException]) -> None:
    meeting, codes = Meeting(), []

    def waits() -> None:
        try:
            meeting.meet("never", None, lambda works: meeting.pause(60))
        except SystemExit as end:
            codes.append(end.code)
            raise

    def fails() -> None:
        raise error

    with pytest.raises(error):
        meeting.run([waits, waits, fails, waits])
    assert codes == [143, 143]  # the last one has not begun


def test_each_has_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHOSE", "nobody's")
    handlers = []

    def worker(name: str) -> None:
        sys.stdout, sys.argv, before = io.StringIO(), [name], sys.stdout
        os.environ["WHOSE"] = os.environ[f"OF_{name}"] = name
        (tmp_path / name).mkdir()
        os.chdir(tmp_path / name)
        signal.signal(signal.SIGTERM, lambda *_: handlers.append(name))
        meeting.meet("all", name, lambda works: print(*works))
        print(name, *sys.argv, os.environ["WHOSE"], sorted(key for key in os.environ if key.startswith("OF_")))
        signal.raise_signal(signal.SIGTERM)
        assert Path.cwd().name == name
        told.append(sys.stdout.getvalue())
        sys.stdout = before

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    handler = signal.getsignal(signal.SIGTERM)
    told: list[str] = []
    try:
        meeting = Meeting()
        meeting.run([lambda: worker("a"), lambda: worker("b")])
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert told == ["a b\na a a ['OF_a']\n", "b b b ['OF_b']\n"]
    assert handlers == ["a", "b"]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs each stacked step was for."""
    counts: list[int] = []
    call = Stacked.__call__

    def counting(self: Stacked, *given: object) -> torch.Tensor:
        counts.append(self.count)
        return call(self, *given)

    monkeypatch.setattr(Stacked, "__call__", counting)
    return counts


def weights(folder: Path, number: int) -> dict[str, torch.Tensor]:
    return torch.load(folder / f"{number}/checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture
def search(command_line, digits_npz: Path):
    """Run `python train.py -m ARGS` as a study; return its folder and trials."""

    def run(name: str, *arguments: str) -> tuple[Path, list[optuna.trial.FrozenTrial]]:
        given = ("-m", "data=local", f"data.dir={digits_npz}", *QUICK, *GRID, f"hydra.sweeper.study_name={name}")
        code, _, err = command_line(*given, "hydra.sweeper.keep_best=null", *arguments)
        assert code == 0, err
        return Path("outputs/sweeps") / name, open_study(Path("outputs/sweeps") / name).trials

    return run


def test_a_search_together_is_the_search_one_by_one(search, steps: list[int]) -> None:
    """With dropout, other seeds, and a rate at which a trial diverges."""
    given = ("model=cnn", "model/optimizer=sgd", "model.optimizer.lr=choice(1e30,0.05,0.01)", "seed=choice(1,2)")
    alone, expected = search("alone", *given)
    assert not steps
    together, found = search("together", *given, "hydra.sweeper.together=3")
    assert steps.count(3) >= 60
    assert [trial.state for trial in found] == [trial.state for trial in expected]
    assert [trial.state.name for trial in found] == ["PRUNED"] * 2 + ["COMPLETE"] * 4
    for number, (trial, other) in enumerate(zip(found, expected, strict=True)):
        assert trial.params == other.params
        assert (together / f"logs/{number}.log").read_text().count("parameters, up to 2 epochs") == 1
        if trial.state.name == "COMPLETE":
            assert trial.value == other.value
            mine, its = weights(together, number), weights(alone, number)
            for name, value in its.items():
                torch.testing.assert_close(mine[name], value, rtol=1e-3, atol=1e-5, msg=f"{number} {name}")
            log = (together / f"{number}/train.log").read_text()
            assert re.findall(r"epoch (\d) of 2", log) == ["1", "2"]
            sizes = [(folder / f"{number}/checkpoints/last.ckpt").stat().st_size for folder in (alone, together)]
            assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_a_pruned_trial_leaves_the_others_as_they_are(search, steps: list[int]) -> None:
    given = ("model=nn", "model.net.hidden=[8]", "model/optimizer=sgd", "trainer.max_epochs=4")
    given += ("model.optimizer.lr=choice(0.003,0.0000001,0.01)",)
    alone, _ = search("alone", *given)
    pruning = ("hydra/sweeper/pruner=successive_halving", "hydra.sweeper.pruner.reduction_factor=2")
    together, found = search("together", *given, *pruning, "hydra.sweeper.together=3")
    assert found[1].state.name == "PRUNED"
    assert {2, 3} <= set(steps)
    complete = [trial.number for trial in found if trial.state.name == "COMPLETE"]
    assert complete
    for number in complete:
        for name, value in weights(alone, number).items():
            torch.testing.assert_close(weights(together, number)[name], value, rtol=1e-3, atol=1e-5)


def test_what_cannot_be_stacked_trains_alone(search, steps: list[int]) -> None:
    given = ("model=nn", "model.net.hidden=[8]", "seed=choice(1,2)", "hydra.sweeper.together=2")
    folder, trials = search("plain", *given, "trainer.micro_steps=1")
    assert "this run trains alone: its steps are Lightning's own" in (folder / "1/train.log").read_text()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 2
    assert not steps


def test_together_is_checked(command_line, digits_npz: Path) -> None:
    given = ("-m", "data=local", f"data.dir={digits_npz}", *QUICK, *GRID, "seed=1,2")
    for wrong, line in (("0", "must be a whole number of at least 1"), ("2", "beside isolate=true")):
        more = ("hydra.sweeper.isolate=true",) if wrong == "2" else ()
        code, _, err = command_line(*given, f"hydra.sweeper.together={wrong}", *more)
        assert code == 2
        assert f"hydra.sweeper.together={wrong}" in err
        assert line in err


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    given = ("-m", "hydra/sweeper=optuna", "hydra.sweep.dir=sweep", "hydra.sweeper.study_name=study")
    command = [sys.executable, str(APP), *given, "hydra/sweeper/sampler=grid", "x=range(0,5)", *arguments]
    with (folder / "output.log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, text=True)


def states(folder: Path) -> list[str]:
    storage = JournalStorage(JournalFileBackend(str(folder / "sweep/study.journal")))
    return [trial.state.name for trial in optuna.load_study(study_name="study", storage=storage).trials]


@pytest.mark.slow
def test_jobs_that_fail_or_exit_fail_alone(tmp_path: Path) -> None:
    given = ("hydra.sweeper.together=3", "meet=3", "fail=[1]", "nan=[3]")
    assert start(tmp_path, *given).wait(120) == 0, (tmp_path / "output.log").read_text()
    assert states(tmp_path) == ["COMPLETE", "FAIL", "COMPLETE", "PRUNED", "COMPLETE"]
    assert (tmp_path / "met.log").read_text().startswith("[0, 1, 2]\n" * 3)
    assert "on <purpose>" in (tmp_path / "sweep/logs/1.log").read_text()
    assert (tmp_path / "sweep/logs/2.log").read_text().count("hello from 2") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "n_jobs", "left"),
    [
        (signal.SIGINT, 1, "WAITING"),
        (signal.SIGINT, 2, "WAITING"),
        (signal.SIGTERM, 2, "WAITING"),
        (signal.SIGKILL, 1, "RUNNING"),
    ],
)
def test_what_was_interrupted_is_taken_up(tmp_path: Path, number: int, n_jobs: int, left: str) -> None:
    given = ("hydra.sweeper.together=2", f"hydra.sweeper.n_jobs={n_jobs}", "hydra.sweeper.may_differ=[meet]")
    process = start(tmp_path, *given, "meet=100000")
    end = time.monotonic() + 120
    while not (tmp_path / "met.log").exists() or (tmp_path / "met.log").read_text().count(", ") < 5 * n_jobs:
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
    assert states(tmp_path) == [left] * 2 * n_jobs
    assert start(tmp_path, *given, "meet=3").wait(120) == 0, (tmp_path / "output.log").read_text()
    assert states(tmp_path) == ["COMPLETE"] * 5


def test_seconds_that_are_shared_are_no_objective(command_line, digits_npz: Path) -> None:
    given = ("-m", "data=local", f"data.dir={digits_npz}", *QUICK, *GRID, "seed=choice(1,2)")
    code, _, errors = command_line(*given, "objective=train_seconds", "hydra.sweeper.together=2")
    assert code == 2
    assert "together=2 beside objective=train_seconds" in errors
