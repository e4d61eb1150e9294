"""The module learns, with any optimizer and precision, from the training part alone."""

from pathlib import Path

import numpy as np
import pytest
from tests.support.weights import weights

from ziffern.errors import InputError


def test_it_learns(run) -> None:
    assert run("trainer.max_epochs=10").metrics["test/acc"] > 0.9


def test_divergence_is_reported_in_one_line(run) -> None:
    with pytest.raises(InputError, match=r"training diverged: .* is (nan|inf) in epoch 1: lower model\.optimizer"):
        run("model.optimizer.lr=1e30", "model/optimizer=sgd")


def test_bf16_and_gradient_clipping_train(run) -> None:
    finished = run("trainer.precision=bf16-mixed", "trainer.gradient_clip_val=1.0")
    assert finished.metrics["epochs"] == 2


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_every_precision_trains(run, precision: str) -> None:
    assert run(f"trainer.precision={precision}", "model=cnn").metrics["epochs"] == 2


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", ["RMSprop", "NAdam", "RAdam", "Adagrad", "Adadelta", "ASGD"])
def test_other_optimizers_train_by_target(run, name: str) -> None:
    assert run(f"model.optimizer._target_=torch.optim.{name}", "trainer.max_epochs=1").metrics["epochs"] == 1


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("model", ["nn", "cnn", "dnn"])
def test_one_batch_is_learnt_by_heart(run, model: str) -> None:
    one_batch = ("data.fractions=[0.04,0.48,0.48]", "data.batch_size=16", "trainer.max_epochs=80")
    calm = ("model.net.dropout=0.0", "model.optimizer.lr=0.003", *(["model.net.conv_dropout=0.0"] * (model == "cnn")))
    finished = run(f"model={model}", *one_batch, *calm)
    assert finished.metrics["data/train"] == 16
    assert finished.history[-1]["train/acc"] == 1.0
    assert finished.history[-1]["train/loss"] < 0.05


def test_the_normalization_is_fitted_on_the_training_part(run, digits_npz: Path) -> None:
    with np.load(digits_npz) as file:
        images = np.concatenate([file["x_train"], file["x_test"]])
    for fit_on, count in (("train", 240), ("all", 400)):
        finished = run(f"model.normalize.fit_on={fit_on}", "trainer.max_epochs=1", folder=fit_on)
        pixels = images if fit_on == "all" else images[np.random.RandomState(0).permutation(400)[:240]]
        assert len(pixels) == count
        assert weights(finished.folder)["normalize.mean"].item() == pytest.approx(pixels.mean(), rel=1e-6)
        assert weights(finished.folder)["normalize.std"].item() == pytest.approx(pixels.std(), rel=1e-6)
