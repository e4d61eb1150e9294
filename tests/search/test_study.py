"""Searches of this project: trials are runs that never test, and the best can be repeated."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from omegaconf import OmegaConf
from tests.support.digits import synthetic_digits

from ziffern.cli.main import main as cli
from ziffern.cli.train import train
from ziffern.errors import InputError
from ziffern.experiment.run import run_experiment
from ziffern.experiment.settings import directions
from ziffern.report.run_page import write_report
from ziffern.runs.run import Run
from ziffern.search.study import open_study
from ziffern.training.callbacks.pruning import Pruning

ROOT = Path(__file__).parents[2]
GRID = ("hydra/sweeper=ziffern", "hydra/sweeper/sampler=grid")
QUICK = ("model=nn", "trainer=cpu", "trainer.max_epochs=1", "logger=none", "threads=1")


@pytest.fixture
def search(command_line, digits_npz: Path):
    """Run `python train.py -m ARGS` on the synthetic digits; return output and study."""

    def run(*arguments: str) -> tuple[str, optuna.Study]:
        code, out, err = command_line("-m", "data=local", f"data.dir={digits_npz}", *QUICK, *arguments)
        assert code == 0, err
        (folder,) = Path("outputs/sweeps").iterdir()
        return out, open_study(folder)

    return run


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def finished(search, kept: Path) -> Path:
    """A finished grid of three rates, which is searched once."""
    if (kept / "outputs").exists():
        shutil.copytree(kept / "outputs", "outputs")
    else:
        rates = "model.optimizer.lr=choice(0.00001,0.01,0.001)"
        search(*GRID, "model.net.hidden=[8]", rates, "hydra.sweeper.keep_best=1")
        shutil.copytree("outputs", kept / "outputs")
    return next(Path("outputs/sweeps").iterdir())


@pytest.mark.slow
def test_a_search_from_its_command_to_its_best(search, command_line, digits_npz: Path) -> None:
    given = (*GRID, "model.net.hidden=[8]", "model.optimizer.lr=choice(0.00001,0.01,0.001)")
    out, study = search(*given, "hydra.sweeper.keep_best=1")
    folder = next(Path("outputs/sweeps").iterdir())
    assert "hidden-8_lr-choice-0.00001" in folder.name
    assert study.metric_names == ["val/acc"]
    assert study.direction.name == "MAXIMIZE"
    values = [trial.value for trial in study.trials]
    for number, value in enumerate(values):
        run = Run(folder / str(number))
        assert run.metrics["val/acc"] == value
        assert "test/acc" not in run.metrics
        assert not (run.folder / "predictions.npz").exists()
        assert (run.folder / "checkpoints/best.ckpt").exists() == (value == max(values))
    assert f"ziffern sweep report {folder}" in out
    again = Path("again")
    code, _, err = command_line("--config-dir", str(folder), "experiment=best", f"hydra.run.dir={again}")
    assert code == 0, err
    metrics = Run(again).metrics
    assert metrics["val/acc"] == max(values)
    assert "test/acc" in metrics
    assert OmegaConf.load(again / ".hydra/config.yaml").data.dir == str(digits_npz)
    # The same command again: nothing is run, and the study is the same.
    out, study = search(*given, "hydra.sweeper.keep_best=1")
    assert "3 trials, 3 of them done before" in out
    assert len(study.trials) == 3


@pytest.mark.slow
def test_every_search_of_the_configuration_begins(search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_study.sweep._raise_if", lambda reason: None)  # that trials are left
    monkeypatch.setattr("hydra_study.sweep.Sweep.drive", lambda *given, **named: None)
    searches = sorted(path.stem for path in (ROOT / "conf/hparams_search").glob("*.yaml"))
    assert {"tpe", "lin2024_grid", "pareto"} <= set(searches)
    for name in searches:
        out, study = search(f"hparams_search={name}")
        assert "12 trials; the grid of data.batch_size" in out or "a search of" in out
        assert study.directions
        shutil.rmtree("outputs")


@pytest.mark.slow
def test_a_diverged_trial_is_pruned(search) -> None:
    rates = "model.optimizer.lr=choice(1e30,0.001)"
    _, study = search(*GRID, rates, "model.net.hidden=[8]", "model/optimizer=sgd", "trainer.max_epochs=2")
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]


def test_what_a_search_improves() -> None:
    assert directions("val/loss") == "minimize"
    assert directions(["val/acc", "params"]) == ["maximize", "minimize"]
    for wrong in ("test/acc", ["val/acc", "test/loss"], [], 3):
        with pytest.raises(InputError, match=r"objective=.*must be one of val/acc"):
            directions(wrong)


@pytest.mark.slow
def test_the_wrong_direction_is_refused(command_line, digits_npz: Path) -> None:
    """The plugin's own default is to minimise."""
    sweep = ("hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "model.optimizer.lr=choice(0.01,0.001)")
    code, _, err = command_line("-m", "data=local", f"data.dir={digits_npz}", *QUICK, *sweep)
    assert code == 2
    (line,) = err.strip().splitlines()
    assert "hydra.sweeper.direction=minimize: must be maximize for this objective: use hydra/sweeper=ziffern" in line


@pytest.mark.slow
def test_a_search_goes_on_with_its_own_data_alone(command_line, digits_npz: Path) -> None:
    given = ("-m", "data=local", "data.dir=digits.npz", *QUICK, "model.net.hidden=[8]", "seed=choice(1,2,3)")
    given += ("hydra/sweeper=ziffern", "hydra/sweeper/sampler=random", "hydra.sweeper.study_name=study")
    shutil.copyfile(digits_npz, "digits.npz")
    code, out, err = command_line(*given, "hydra.sweeper.n_trials=1")
    assert code == 0, err
    assert "digits: 270 / 30 images to train / validate" in out
    images, labels = synthetic_digits(400, seed=9)
    np.savez("digits.npz", x_train=images[:300], y_train=labels[:300], x_test=images[300:], y_test=labels[300:])
    code, _, err = command_line(*given, "hydra.sweeper.n_trials=2")
    assert code == 2
    assert "this search was started on digits" in err
    shutil.copyfile(digits_npz, "digits.npz")  # the trial that was refused is not lost
    assert command_line(*given, "hydra.sweeper.n_trials=2")[0] == 0
    assert [trial.state.name for trial in open_study(Path("outputs/sweeps/study")).trials] == ["COMPLETE"] * 2


@pytest.mark.slow
def test_several_objectives(search) -> None:
    _, study = search(*GRID, "objective=[val/acc,params]", "model.net.hidden=choice([4],[8])")
    assert study.metric_names == ["val/acc", "params"]
    sizes = [trial.values[1] for trial in study.trials]
    assert sizes == [784 * 4 + 4 + 50, 784 * 8 + 8 + 90]


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("hparams_search=tpee",), "hparams_search=tpee"),
        (("hparams_search=tpe", "hydra/sweeper/sampler=tpee"), "tpee"),
        (("hparams_search=tpe", "hydra.sweeper.n_trials=0"), "hydra.sweeper.n_trials=0"),
        (("hparams_search=tpe", "model.optimizer.lr=interval(1,0)"), "model.optimizer.lr=interval"),
        (("hparams_search=tpe", "model.optimizer.rate=interval(0,1)"), "model.optimizer.rate"),
        (("hparams_search=tpe", "objective=test/acc"), "objective=test/acc"),
    ],
)
def test_a_mistake_is_one_line(command_line, arguments: tuple[str, ...], named: str) -> None:
    code, _, err = command_line("-m", *arguments)
    assert code == 2
    (line,) = err.strip().splitlines()
    assert line.startswith("error: ")
    assert named in line
    assert not Path("outputs").exists()


class Trial:
    """Prunes at a given step."""

    def __init__(self, prune_at: int) -> None:
        self.prune_at, self.reported = prune_at, {}

    def report(self, value: float, step: int) -> None:
        self.reported[step] = value

    def should_prune(self) -> bool:
        return max(self.reported) == self.prune_at


def test_a_pruned_run_says_so(composed, tmp_path: Path) -> None:
    trial, folder = Trial(prune_at=2), tmp_path / "run"
    config = composed("trainer.max_epochs=4")
    with pytest.raises(optuna.TrialPruned, match="after epoch 2"):
        run_experiment(config, folder, "nn", trial, is_trial=True)
    history = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert {int(row["epoch"]): float(row["val/acc"]) for row in history} == pytest.approx(trial.reported)
    assert len(history) == 2
    assert json.loads((folder / "progress.jsonl").read_text().splitlines()[-1])["event"] == "pruned"
    assert Run(folder).was_pruned
    assert not Run(folder).is_finished
    assert "A search stopped this run early" in write_report(Run(folder)).read_text()


def test_the_last_epoch_is_not_pruned(composed, tmp_path: Path) -> None:
    trial = Trial(prune_at=2)
    score = run_experiment(composed("trainer.max_epochs=2"), tmp_path / "run", "nn", trial, is_trial=True)
    assert score == max(trial.reported.values())


def test_a_trial_goes_on_from_what_a_kill_left(composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = run_experiment(composed("trainer.max_epochs=3"), tmp_path / "straight", "nn", Trial(9), is_trial=True)

    def killed(self: Pruning, trainer, module) -> None:
        if trainer.current_epoch == 2:
            raise RuntimeError("killed")

    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(Pruning, "on_train_epoch_start", killed)
        with pytest.raises(RuntimeError, match="killed"):
            run_experiment(composed("trainer.max_epochs=3"), folder, "nn", Trial(9), is_trial=True)
    trial = Trial(9)
    assert run_experiment(composed("trainer.max_epochs=3"), folder, "nn", trial, is_trial=True) == straight
    assert list(trial.reported) == [3]
    ends = [torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True) for name in ("straight", "killed")]
    for key, weight in ends[0]["state_dict"].items():
        assert torch.equal(weight, ends[1]["state_dict"][key])
    # What another trial left there is no beginning of this one.
    other = composed("trainer.max_epochs=3", "model.optimizer.lr=0.01")
    trial = Trial(9)
    run_experiment(other, folder, "nn", trial, is_trial=True)
    assert list(trial.reported) == [1, 2, 3]


def test_the_report_command(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ziffern", "sweep", "report", str(finished), "--language", "de"])
    cli()
    assert capsys.readouterr().out.strip() == str(finished / "sweep.html")
    page = (finished / "sweep.html").read_text()
    assert 'lang="de"' in page
    assert "experiment=best" in page
    assert "270 Bilder zum Training" in page


def test_a_folder_without_a_study(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="this folder does not exist"):
        open_study(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"not the folder of a search, but it contains some: .*lr-choice"):
        open_study(finished.parent)
    with pytest.raises(InputError, match="a single run, not a search; show it with: ziffern report"):
        open_study(finished / "0")
    (finished / "study.journal").write_text("no journal\n{}\n")
    with pytest.raises(InputError, match="cannot be read"):
        open_study(finished)
    (finished / "study.journal").unlink()
    with pytest.raises(InputError, match="no such file: start the search first"):
        open_study(finished)


@pytest.mark.slow
def test_two_workers_share_the_cores(digits_npz: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "train.py"), "-m", "data=local", f"data.dir={digits_npz}", "logger=none"]
    command += ["model=nn", "trainer.max_epochs=1", *GRID, "seed=0,1,2,3", "hydra.sweeper.n_jobs=2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs/sweeps").iterdir()
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    for number in range(4):
        assert json.loads((folder / str(number) / "environment.json").read_text())["threads"] == threads


@pytest.mark.parametrize("given", [("hparams_search=tpe",), ("engine=ray",), ()])
def test_every_multirun_has_the_shared_settings(given: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    train([*given, "--cfg", "hydra"])
    sweeper = OmegaConf.create(capsys.readouterr().out).hydra.sweeper
    assert sweeper.threads_key == "threads"
    assert {"data.dir", "trainer", "threads", "engine"} <= set(sweeper.may_differ)


@pytest.mark.slow
def test_a_search_and_a_multirun_go_on_with_another_engine_and_in_another_place(
    command_line, digits_npz: Path, tmp_path: Path
) -> None:
    (tmp_path / "moved").mkdir()
    moved = shutil.copy(digits_npz, tmp_path / "moved")
    search = ("hydra/sweeper=ziffern", "hydra/sweeper/sampler=random", "model.optimizer.lr=interval(0.001,0.01)")
    for kind, more in (
        (search, ("hydra.sweeper.n_trials=1", "hydra.sweeper.n_trials=2")),
        (("seed=1,2",), ("hydra.sweeper.n_jobs=1", "hydra.sweeper.n_jobs=2")),
    ):
        given = ("-m", "data=local", *QUICK[:1], "trainer.max_epochs=1", "logger=none", *kind)
        places = ((f"data.dir={digits_npz}", "trainer=cpu"), (f"data.dir={moved}", "trainer=auto", "engine=local"))
        for place, setting, done in zip(places, more, ("trial|job", "1 of them done|nothing left"), strict=True):
            code, out, err = command_line(*given, *place, setting)
            assert code == 0, err
            assert re.search(done, out)
