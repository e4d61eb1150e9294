"""A run as a whole: its contract, its reproducibility, and its scores."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.weights import same, weights

from ziffern.experiment.run import run_experiment
from ziffern.runs.run import Run

CONTRACT = {
    *("val/acc", "val/loss", "test/acc", "test/loss", "test/correct", "test/total", "train/acc", "params", "epochs"),
    *("train_seconds", "data/name", "data/fingerprint", "data/train", "data/val", "data/test", "seed", "baseline/acc"),
}


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
    assert [event["event"] for event in events if event["event"] != "step"] == [
        *("start", "epoch", "epoch", "trained", "end")
    ]
    assert {"command", "versions", "threads", "device", "git_commit"} <= json.loads(
        (folder / "environment.json").read_text()
    ).keys()
    assert not list(folder.rglob("*.part"))


def test_the_score_that_comes_back_is_the_best_validation_score(composed, tmp_path: Path) -> None:
    score = run_experiment(composed("trainer.max_epochs=3"), tmp_path / "a", "nn")
    rows = (tmp_path / "a" / "history.csv").read_text().splitlines()[1:]
    assert score == max(float(row.split(",")[5]) for row in rows)


def test_monitoring_the_loss_chooses_by_the_loss(composed, tmp_path: Path) -> None:
    score = run_experiment(composed("monitor=val/loss"), tmp_path / "a", "nn")
    rows = (tmp_path / "a" / "history.csv").read_text().splitlines()[1:]
    assert score == min(float(row.split(",")[4]) for row in rows)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(run) -> None:
    first, again, other = run(folder="a"), run(folder="b"), run("seed=1", folder="c")
    assert same(weights(first.folder), weights(again.folder))
    assert not same(weights(first.folder), weights(other.folder))


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
    assert "NOTE: DATA LEAK" in capsys.readouterr().out


def test_without_test_nothing_of_the_test_part_is_looked_at(run) -> None:
    finished = run("test=false")
    assert not [name for name in finished.metrics if name.startswith("test/")]
    assert not (finished.folder / "predictions.npz").exists()


def test_threads_are_recorded_and_do_not_leak_into_the_next_run(run, capsys) -> None:
    """Without `threads`, a run has torch's own number (1 in these tests), whatever the run before it had."""
    first, second, again = run("threads=2", folder="a"), run(folder="b"), run("threads=1", folder="c")
    assert [each.metrics["threads"] for each in (first, second, again)] == [2, 1, 1]
    assert [each.threads for each in (first, second, again)] == [2, 1, 1]
    assert "on cpu (2 threads)" in capsys.readouterr().out
    assert same(weights(second.folder), weights(again.folder))
    events = (first.folder / "progress.jsonl").read_text().splitlines()
    assert json.loads(events[0])["threads"] == 2
    environment = first.folder / "environment.json"
    metrics = {key: value for key, value in first.metrics.items() if key != "threads"}
    (first.folder / "metrics.json").write_text(json.dumps(metrics))  # as an early version wrote it
    environment.write_text(json.dumps(json.loads(environment.read_text()) | {"threads": 7}))
    assert Run(first.folder).threads == 7
    environment.write_text(json.dumps(json.loads(environment.read_text()) | {"threads": "many"}))
    assert Run(first.folder).threads is None


def test_class_names_are_not_taken_for_formulas(run, tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a$x$", "b_{"):
            folder = tmp_path / "own" / part / name
            folder.mkdir(parents=True)
            for number in range(10):
                Image.fromarray(random.integers(0, 255, (28, 28), np.uint8)).save(folder / f"{number}.png")
    own = (f"data.dir={tmp_path}/own", "data.num_classes=2", "data.batch_size=5")
    board = ("logger=tensorboard", f"logger.tensorboard.save_dir={tmp_path}/run")
    assert run(*own, *board, "trainer.max_epochs=1").metrics["test/total"] == 8
