"""A run as a whole: its contract, its reproducibility, and what it refuses."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from ziffern.callbacks.history import History
from ziffern.errors import InputError
from ziffern.experiment import run_experiment

CONTRACT = {
    *("val/acc", "val/loss", "test/acc", "test/loss", "test/correct", "test/total", "train/acc", "params", "epochs"),
    *("train_seconds", "data/name", "data/fingerprint", "data/train", "data/val", "data/test", "seed", "baseline/acc"),
}


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_keeps_its_contract(run) -> None:
    finished = run()
    folder, metrics = finished.folder, finished.metrics
    assert metrics.keys() >= CONTRACT
    assert (metrics["data/train"], metrics["data/val"], metrics["data/test"]) == (240, 80, 80)
    assert (metrics["epochs"], metrics["seed"], metrics["data/name"]) == (2, 0, "tiny")
    assert metrics["params"] == 784 * 16 + 16 + 16 * 10 + 10

    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "train/loss", "train/acc", "val/loss", "val/acc", "seconds"]
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "15"), ("2", "30")]
    assert max(float(row["val/acc"]) for row in rows) == metrics["val/acc"]

    said = finished.predictions
    assert said.index.shape == said.target.shape == (80,)
    assert said.probability.shape == (80, 10)
    assert np.allclose(said.probability.sum(1), 1, atol=1e-5)
    assert (said.probability.argmax(1) == said.target).sum() == metrics["test/correct"]
    assert metrics["test/acc"] == metrics["test/correct"] / metrics["test/total"]
    nll = -np.log(said.probability[np.arange(80), said.target]).mean()
    assert metrics["test/loss"] == pytest.approx(nll, abs=1e-5)

    events = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events if event["event"] != "step"] == ["start", "epoch", "epoch", "end"]
    assert {"command", "versions", "threads", "device", "git_commit"} <= json.loads(
        (folder / "environment.json").read_text()
    ).keys()
    assert not list(folder.rglob("*.part"))


def test_it_learns(run) -> None:
    assert run("trainer.max_epochs=10").metrics["test/acc"] > 0.9


def test_the_score_that_comes_back_is_the_best_validation_score(composed, tmp_path: Path) -> None:
    score = run_experiment(composed("trainer.max_epochs=3"), tmp_path / "a", "nn")
    rows = (tmp_path / "a" / "history.csv").read_text().splitlines()[1:]
    assert score == max(float(row.split(",")[5]) for row in rows)


def test_monitoring_the_loss_chooses_by_the_loss(composed, tmp_path: Path) -> None:
    score = run_experiment(composed("monitor=val/loss", "mode=min"), tmp_path / "a", "nn")
    rows = (tmp_path / "a" / "history.csv").read_text().splitlines()[1:]
    assert score == min(float(row.split(",")[4]) for row in rows)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(run) -> None:
    first, again, other = run(folder="a"), run(folder="b"), run("seed=1", folder="c")
    assert same(weights(first.folder), weights(again.folder))
    assert not same(weights(first.folder), weights(other.folder))


@pytest.mark.parametrize("scheduler", ["none", "onecycle", "exponential"])
def test_several_steps_a_training_step_change_nothing(run, scheduler: str) -> None:
    settings = (f"model/scheduler={scheduler}", "model.net.dropout=0.3", "data.batch_size=7")
    plain, fast = (run(*settings, f"trainer.micro_steps={k}", folder=str(k)) for k in (1, 4))
    assert same(weights(plain.folder), weights(fast.folder))
    without_time = [{key: value for key, value in row.items() if key != "seconds"} for row in plain.history]
    assert without_time == [{key: value for key, value in row.items() if key != "seconds"} for row in fast.history]


class Killer(pl.Callback):
    """Stop the process's work in the middle of an epoch, as a kill does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("killed")


@pytest.mark.parametrize("micro_steps", [1, 4])
@pytest.mark.parametrize("scheduler", ["none", "onecycle", "exponential"])
def test_resuming_equals_an_uninterrupted_run(run, monkeypatch, scheduler: str, micro_steps: int) -> None:
    settings = ("trainer.max_epochs=4", "model.net.dropout=0.3", f"model/scheduler={scheduler}", "data.batch_size=7")
    settings += (f"trainer.micro_steps={micro_steps}",)
    straight = run(*settings, folder="straight")

    with monkeypatch.context() as patch:
        patch.setattr(History, "on_train_batch_end", Killer(epoch=2).on_train_batch_end)
        with pytest.raises(RuntimeError, match="killed"):
            run(*settings, folder="killed")
    killed = straight.folder.parent / "killed"
    assert len((killed / "history.csv").read_text().splitlines()) == 3
    assert not (killed / "metrics.json").exists()

    moved = shutil.copytree(killed, straight.folder.parent / "moved")
    for folder, source in (("killed", killed), ("elsewhere", moved)):  # in its own folder, or in a new one
        resumed = run(*settings, f"ckpt_path={source}/checkpoints/last.ckpt", folder=folder)
        for name in ("best", "last"):
            assert same(weights(straight.folder, name), weights(resumed.folder, name))
        assert [row["val/loss"] for row in resumed.history] == [row["val/loss"] for row in straight.history]
        for name in ("test/correct", "best_epoch", "epochs", "val/acc"):
            assert resumed.metrics[name] == straight.metrics[name]


def test_no_epochs_test_the_untrained_model(run) -> None:
    finished = run("trainer.max_epochs=0")
    assert finished.metrics["epochs"] == 0
    assert finished.metrics["train/acc"] is None
    assert finished.history == []
    assert finished.metrics["test/total"] == 80


def test_early_stopping_stops(run) -> None:
    finished = run("trainer.max_epochs=50", "callbacks.early_stopping.patience=2", "model.optimizer.lr=0")
    assert finished.metrics["epochs"] == 3
    assert finished.metrics["best_epoch"] == 1


def test_validation_on_the_test_part_is_marked(run, capsys) -> None:
    finished = run("data.split=official", "data.val_from=test")
    assert "published recipe" in finished.metrics["data/leak"]
    assert "NOTE: LEAK" in capsys.readouterr().out


def test_without_test_nothing_of_the_test_part_is_looked_at(run) -> None:
    finished = run("test=false")
    assert not [name for name in finished.metrics if name.startswith("test/")]
    assert not (finished.folder / "predictions.npz").exists()


def test_bf16_and_gradient_clipping_train(run) -> None:
    finished = run("trainer.precision=bf16-mixed", "trainer.gradient_clip_val=1.0")
    assert finished.metrics["epochs"] == 2


def test_divergence_is_said_in_one_line(run) -> None:
    with pytest.raises(InputError, match=r"training diverged: .* is (nan|inf) in epoch 1: lower model\.optimizer"):
        run("model.optimizer.lr=1e30", "model/optimizer=sgd")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["model.net.hidden=[17]"], "another architecture"),
        (["data.split_seed=5"], "has split=.*split_seed 0"),
        (["trainer.max_epochs=1"], "2 epochs behind it, more than trainer.max_epochs=1"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(run, changed: list[str], message: str) -> None:
    finished = run(folder="first")
    with pytest.raises(InputError, match=message):
        run(*changed, f"ckpt_path={finished.folder}/checkpoints/last.ckpt", folder="second")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04garbage", b"PK\x03\x04" + bytes(40)])
def test_a_damaged_checkpoint_is_refused(run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        run(f"ckpt_path={path}")


def test_a_truncated_checkpoint_is_refused(run) -> None:
    path = run(folder="first").folder / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        run(f"ckpt_path={path}", folder="second")


def test_a_pickle_in_a_checkpoint_is_never_run(run, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "trapped",))

    torch.save({"state_dict": {}, "epoch": 1, "trap": Trap()}, tmp_path / "trap.ckpt")
    with pytest.raises(InputError, match="pickled objects, which are never loaded"):
        run(f"ckpt_path={tmp_path}/trap.ckpt")
    assert not (tmp_path / "trapped").exists()


def test_checkpoints_hold_plain_values_only(run) -> None:
    for name in ("best", "last"):
        content = torch.load(run(folder=name).folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert content["ziffern"]["data"] == "tiny"
