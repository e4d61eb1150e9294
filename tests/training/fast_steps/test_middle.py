"""A run that was killed in the middle of an epoch equals an uninterrupted one."""

import shutil
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from tests.support.weights import same, weights, without_time

from ziffern.errors import InputError
from ziffern.training.callbacks.history import History


class SaveAt(pl.Callback):
    """Save a checkpoint after a step, and stop there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step >= self.step:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "middle.ckpt")
            raise RuntimeError("killed")


def killed_at(step: int, run, monkeypatch, *settings: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(History, "on_train_batch_end", SaveAt(step).on_train_batch_end)
        with pytest.raises(RuntimeError, match="killed"):
            run(*settings, folder="killed")


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("micro_steps", [1, 4])
@pytest.mark.parametrize("setting", ["model/scheduler=onecycle", "callbacks=ema"])
@pytest.mark.parametrize("step", [36, 62])  # of 35 an epoch
def test_a_run_goes_on_from_the_middle_of_an_epoch(run, monkeypatch, setting: str, micro_steps: int, step: int) -> None:
    settings = ("trainer.max_epochs=3", "model.net.dropout=0.3", "data.batch_size=7", "trainer.log_every_n_steps=5")
    settings += (f"trainer.micro_steps={micro_steps}", setting)
    straight = run(*settings, folder="straight")
    killed_at(step, run, monkeypatch, *settings)
    killed = straight.folder.parent / "killed"
    resumed = run(*settings, f"ckpt_path={killed}/middle.ckpt", folder="killed")
    assert same(weights(straight.folder), weights(resumed.folder))
    assert without_time(resumed.history) == without_time(straight.history)
    assert resumed.metrics["test/correct"] == straight.metrics["test/correct"]
    other = 5 - micro_steps
    with pytest.raises(InputError, match=f"use trainer.micro_steps={micro_steps}"):
        run(*settings, f"trainer.micro_steps={other}", f"ckpt_path={killed}/middle.ckpt", folder="other")


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("micro_steps", [1, 4])
def test_a_checkpoint_that_owes_a_validation_is_refused(run, monkeypatch, micro_steps: int) -> None:
    settings = ("trainer.max_epochs=3", "data.batch_size=7", f"trainer.micro_steps={micro_steps}")
    killed_at(70, run, monkeypatch, *settings)
    killed = run("trainer.max_epochs=0", folder="other").folder.parent / "killed"
    with pytest.raises(InputError, match="before an epoch's validation"):
        run(*settings, f"ckpt_path={killed}/middle.ckpt", folder="resumed")


@pytest.mark.filterwarnings("ignore:.*(called without a model|no last checkpoint)")
def test_a_checkpoint_saved_in_an_exception_is_refused(run) -> None:
    settings = ("trainer.max_epochs=3", "data.batch_size=7", "trainer.micro_steps=1", "model.optimizer.lr=1e30")
    saving = "{_target_: pytorch_lightning.callbacks.OnExceptionCheckpoint, dirpath: FOLDER}"
    folder = run("trainer.max_epochs=0", folder="other").folder.parent
    with pytest.raises(InputError, match="diverged"):
        run(*settings, "trainer.log_every_n_steps=3", f"+callbacks.x={saving.replace('FOLDER', str(folder))}")
    with pytest.raises(InputError, match="within a step"):
        run(*settings, f"ckpt_path={folder}/on_exception.ckpt", folder="resumed")


def test_a_run_goes_on_without_its_best_checkpoint(run, monkeypatch, caplog, tmp_path: Path) -> None:
    settings = ("trainer.max_epochs=3", "data.batch_size=7", "trainer.micro_steps=4")
    killed_at(38, run, monkeypatch, *settings)
    alone = shutil.copyfile(tmp_path / "killed/middle.ckpt", tmp_path / "alone.ckpt")
    resumed = run(*settings, f"ckpt_path={alone}", folder="new")
    assert resumed.metrics["best_epoch"] in (2, 3)
    assert "best.ckpt does not exist" in caplog.text


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_checkpoint_at_the_end_of_an_epoch_has_no_middle(trained, epochs: int) -> None:
    folder = trained(f"trainer.max_epochs={epochs}").folder
    for name in ("best", "last"):
        assert "ziffern_middle" not in torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)
