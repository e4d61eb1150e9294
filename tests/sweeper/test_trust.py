"""A study that somebody else may have written is gone on with: nothing in it is run, followed or printed raw."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from tests.support.sweeps import GRID, states, study

from hydra_study.conf import SAMPLERS
from hydra_study.errors import SweepError
from hydra_study.objects import make_sampler

CMAES = "hydra/sweeper/sampler=cmaes"


class Payload:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(Path("unpickled").absolute()),)


def add_attributes(number: int, **attributes: Any) -> None:
    """Write attributes of a finished trial into the journal, as an editor could."""
    lines = Path("sweep/study.journal").read_text().splitlines()
    ends = [at for at, line in enumerate(lines) if json.loads(line)["op_code"] == 6]
    (end,) = [at for at in ends if (found := json.loads(lines[at]))["trial_id"] == number and found["state"] == 1]
    for kind, value in attributes.items():
        entry = {"op_code": 9 if kind == "system_attr" else 8, "worker_id": "", "trial_id": number, kind: value}
        lines.insert(end, json.dumps(entry))
    Path("sweep/study.journal").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_cmaes_does_not_unpickle_what_a_study_holds(sweep) -> None:
    given = (CMAES, "x=interval(0,1)", "y=interval(0,1)", "hydra.sweeper.sampler.seed=1")
    sweep(*given, "hydra.sweeper.n_trials=2")
    add_attributes(1, system_attr={"cmawm:optimizer:0": pickle.dumps(Payload()).hex()})
    attributes = study().trials[1].system_attrs
    assert "cmawm:optimizer:0" in attributes
    found = sweep(*given, "hydra.sweeper.n_trials=14")
    assert states(found) == ["COMPLETE"] * 14
    assert not Path("unpickled").exists()
    kept = {key for trial in found.trials[2:] for key in trial.system_attrs}
    assert "cmawm:told:0" in kept
    assert not any("optimizer" in key for key in kept)
    pickle.loads(bytes.fromhex(attributes["cmawm:optimizer:0"]))  # the payload would have worked
    assert Path("unpickled").exists()


@pytest.mark.slow
def test_damaged_state_of_cmaes_is_one_line(sweep) -> None:
    given = (CMAES, "x=interval(0,1)", "y=interval(0,1)", "hydra.sweeper.sampler.popsize=4")
    sweep(*given, "hydra.sweeper.n_trials=5")
    add_attributes(2, system_attr={"x_for_tell": ["x", {}]})
    with pytest.raises(SweepError, match="trial 2: its x_for_tell is not a list of numbers"):
        sweep(*given, "hydra.sweeper.n_trials=6")


@pytest.mark.parametrize("change", [{}, {"with_margin": False}, {"with_margin": False, "use_separable_cma": True}])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_cmaes_draws_the_points_of_optunas_own(change: dict[str, Any]) -> None:
    """Up to rounding."""
    config = {**SAMPLERS["cmaes"], "popsize": 4, **change}
    options = {key: value for key, value in config.items() if key not in ("_target_", "seed")}

    def points(own: bool) -> list[list[float]]:
        made, drawn = optuna.create_study(), []
        for number in range(24):
            seed = int(np.random.SeedSequence([7, number]).generate_state(1)[0])
            made.sampler = (
                make_sampler(config, 7, number) if own else optuna.samplers.CmaEsSampler(seed=seed, **options)
            )
            trial = made.ask()
            x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 1e-3, 1, log=True)
            drawn.append([x, y, trial.suggest_int("z", 1, 9)])
            made.tell(trial, (x - 0.3) ** 2 + y)
        return drawn

    np.testing.assert_allclose(points(own=True), points(own=False), rtol=1e-9)


def test_cmaes_finds_the_minimum_whatever_the_order_in_which_trials_end() -> None:
    made, waiting = optuna.create_study(), []
    for number in range(150):
        made.sampler = make_sampler(SAMPLERS["cmaes"], 7, number)
        trial = made.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        waiting.append((trial, (x - 0.3) ** 2 + (y - 0.8) ** 2))
        if len(waiting) > 5:
            trial, value = waiting.pop(number * 7 % 6)
            made.tell(trial, value)
    assert made.best_value < 1e-3


def test_a_link_in_the_sweep_folder_is_not_written_through(sweep, begun, tmp_path: Path) -> None:
    begun(GRID, "x=range(0,2)")
    victim = tmp_path / "victim"
    names = ("multirun.yaml", "study.journal", "logs/0.log", "logs/0.json", "experiment/best.yaml")
    for name in (*names, ".driver", ".driver.new", ".driver.lock", ".driver.json", ".workers", "jobs.jsonl"):
        path = Path("sweep") / name
        kept = tmp_path / "kept"
        victim.write_text(path.read_text() if name == "multirun.yaml" else "kept")
        before = victim.read_text()
        exists = path.exists()
        if exists:
            path.rename(kept)
        path.symlink_to(victim)
        with pytest.raises(SweepError, match=f"{path.name}: a symbolic link.*remove it"):
            sweep(GRID, "x=range(0,2)")
        assert victim.read_text() == before
        path.unlink()
        if exists:
            kept.rename(path)
    sweep(GRID, "x=range(0,2)")


def test_a_link_in_place_of_hydras_folder_of_a_trial_is_not_written_through(sweep, begun, tmp_path: Path) -> None:
    begun(GRID, "x=range(0,2)")
    shutil.rmtree("sweep/1/.hydra")
    Path("sweep/1/.hydra").symlink_to(tmp_path)
    with pytest.raises(SweepError, match=r"1/\.hydra: a symbolic link"):
        sweep(GRID, "x=range(0,2)")


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize(
    "name", ["multirun.yaml", "study.journal", "logs/2.log", "logs/2.json", ".driver", ".driver.lock", ".workers"]
)
def test_a_pipe_in_the_sweep_folder_keeps_no_sweep_waiting(sweep, begun, name: str) -> None:
    begun("x=interval(0,1)", "hydra.sweeper.n_trials=2")
    path = Path("sweep") / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(SweepError, match=f"{path.name}: (neither a file nor a folder.*remove it|not a file)"):
        sweep("x=interval(0,1)", "hydra.sweeper.n_trials=3")


def test_aliases_that_multiply_are_not_followed(sweep, begun) -> None:
    begun(GRID, "x=range(0,2)")
    lines = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    config = Path("sweep/multirun.yaml")
    config.write_text("\n".join(["a0: &a0 [x]", *lines, config.read_text()]))
    with pytest.raises(SweepError, match=r"multirun\.yaml: cannot be read, perhaps because it was edited"):
        sweep(GRID, "x=range(0,2)")


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("folder", ["absolute", "../outside", "link"])
def test_only_what_lies_in_the_sweep_folder_is_discarded(sweep, tmp_path: Path, folder: str) -> None:
    given = (GRID, "x=range(0,2)", "fail=[1]", "hydra.sweeper.keep_best=0", "hydra.sweeper.discard=weights")
    sweep(*given)
    weights = tmp_path / "outside/weights"
    weights.mkdir(parents=True)
    Path("sweep/link").symlink_to(tmp_path / "outside")
    add_attributes(0, user_attr={"folder": str(tmp_path / "outside") if folder == "absolute" else folder})
    if folder == "link":  # a link beside the trials is refused before anything is discarded
        with pytest.raises(SweepError, match="a symbolic link"):
            sweep(*given, "hydra.sweeper.retry_failed=true")
    Path("sweep/link").unlink()
    sweep(*given, "hydra.sweeper.retry_failed=true")
    assert weights.is_dir()
    assert not Path("sweep/1/weights").exists()


@pytest.mark.slow
def test_texts_of_a_study_do_not_control_the_terminal(sweep, capsys: pytest.CaptureFixture[str]) -> None:
    given = (GRID, "x=range(0,2)", "fail=[1]")
    sweep(*given)
    raw = "\x1b[2J\x1b]0;title\x07\nline"
    lines = Path("sweep/study.journal").read_text().splitlines()
    notes = [{"user_attr": {"about": raw}}, {"system_attr": {"study:metric_names": [raw]}}]
    for op_code, note in zip((2, 3), notes, strict=True):
        lines.append(json.dumps({"op_code": op_code, "worker_id": "", "study_id": 0, **note}))
    Path("sweep/study.journal").write_text("\n".join(lines) + "\n")
    add_attributes(0, user_attr={"error": raw})
    add_attributes(0, user_attr={"worker": raw})
    capsys.readouterr()
    sweep(*given, "hydra.sweeper.retry_failed=true")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert r"\x1b[2J\x1b]0;title\x07\nline" in out
    assert str(SweepError(f"error {raw}")) == r"error \x1b[2J\x1b]0;title\x07 line"


@pytest.mark.slow
def test_a_study_whose_plan_was_edited_is_one_line(sweep, begun) -> None:
    for key, value in (("plan", "x"), ("plan", [1]), ("seed", "x"), ("seed", -1), ("plan", {"search": {"y": 3}})):
        begun(GRID, "x=range(0,2)")
        with Path("sweep/study.journal").open("a") as file:
            file.write(json.dumps({"op_code": 2, "worker_id": "", "study_id": 0, "user_attr": {key: value}}) + "\n")
        with pytest.raises(SweepError, match=r"study study.*hydra\.sweeper\.study_name=study-2"):
            sweep(GRID, "x=range(0,2)")
        shutil.rmtree("sweep")
