"""Several optimizer steps per training step: the same weights, scores and logs as with Lightning's own steps."""

import csv
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.plugins.precision import MixedPrecision
from tests.support.weights import same, weights, without_time

from ziffern.training.callbacks.checkpoints import RunCheckpoints
from ziffern.training.fast_steps.steps import PlainPrecision
from ziffern.training.module import ImageClassifier
from ziffern.training.trainer import make_trainer


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize(
    "setting",
    [
        "model/scheduler=onecycle",
        "model/scheduler=exponential",
        "trainer.gradient_clip_val=0.05",
        "trainer.gradient_clip_val=0.001 +trainer.gradient_clip_algorithm=value",
        "callbacks=ema",
        "model/augment=affine",
        "trainer.log_every_n_steps=7",
        "callbacks.early_stopping.patience=1 trainer.max_epochs=8",
        "trainer.precision=bf16-mixed",
    ],
)
def test_several_steps_a_training_step_change_nothing(run, setting: str) -> None:
    settings = (*setting.split(), "model.net.dropout=0.3", "data.batch_size=7")
    plain, fast = (run(*settings, f"trainer.micro_steps={k}", folder=str(k)) for k in (1, 4))
    assert same(weights(plain.folder), weights(fast.folder))
    assert len(fast.history) == 2  # that with early stopping, too
    assert without_time(plain.history) == without_time(fast.history)


def test_several_steps_a_training_step_log_at_the_same_steps(run, tmp_path: Path) -> None:
    csv_logger = "{csv: {_target_: pytorch_lightning.loggers.CSVLogger, save_dir: LOGS, name: K}}"
    settings = ("trainer.log_every_n_steps=3", "data.batch_size=7")
    logged = []
    for k in (1, 4):
        logger = csv_logger.replace("LOGS", str(tmp_path)).replace("K", f"steps{k}")
        run(*settings, f"trainer.micro_steps={k}", f"+logger={logger}", folder=str(k))
        (path,) = (tmp_path / f"steps{k}").rglob("metrics.csv")
        logged.append([row for row in csv.DictReader(path.read_text().splitlines()) if row["train/loss"]])
    assert [int(row["step"]) for row in logged[0]] == [*range(3, 36, 3), *range(38, 71, 3)]
    assert logged[0] == logged[1]


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipping_sees_gradients_that_are_not_scaled(run, monkeypatch, algorithm: str) -> None:
    def with_scaler(*arguments: Any) -> pl.Trainer:  # like 16-mixed on a GPU
        trainer = make_trainer(*arguments)
        trainer.strategy.precision_plugin = MixedPrecision("16-mixed", "cpu")
        return trainer

    monkeypatch.setattr("ziffern.training.trainer.make_trainer", with_scaler)
    settings = ("model/optimizer=sgd", "trainer.gradient_clip_val=0.05", "trainer.precision=bf16-mixed")
    settings += (f"+trainer.gradient_clip_algorithm={algorithm}",)
    plain, fast = (run(*settings, f"trainer.micro_steps={k}", folder=str(k)) for k in (1, 4))
    assert same(weights(plain.folder), weights(fast.folder))


@pytest.mark.parametrize(("k", "is_used"), [(1, True), (4, True), (4, False)])
def test_a_callback_with_a_hook_is_called_at_every_step(run, monkeypatch, k: int, is_used: bool) -> None:
    steps: list[int] = []
    hook = "on_before_optimizer_step" if is_used else "on_train_batch_start"
    monkeypatch.setattr(RunCheckpoints, hook, lambda _, trainer, *rest: steps.append(trainer.global_step))
    plain: list[bool] = []
    plugin = "on_train_end", lambda self: plain.append(isinstance(self.trainer.precision_plugin, PlainPrecision))
    monkeypatch.setattr(ImageClassifier, *plugin, raising=False)
    own: list[int] = []  # the module's own hook, which Lightning calls in the same place
    own_hook = "on_before_optimizer_step", lambda self, _: own.append(self.global_step)
    monkeypatch.setattr(ImageClassifier, *own_hook, raising=False)
    run("data.batch_size=7", f"trainer.micro_steps={k}", "trainer.max_epochs=1")
    assert plain == [not is_used]
    assert own == (list(range(35)) if is_used else [])
    assert not is_used or steps == own


def test_clipping_changes_the_weights(run) -> None:
    clipped, free = run("trainer.gradient_clip_val=0.05", folder="a"), run(folder="b")
    assert not same(weights(clipped.folder), weights(free.folder))


def test_auto_gives_the_weights_of_lightnings_own_steps(run) -> None:
    plain, auto = (run("model.net.dropout=0.3", f"trainer.micro_steps={k}", folder=str(k)) for k in (1, "auto"))
    assert same(weights(plain.folder), weights(auto.folder))
