"""Resuming equals an uninterrupted run, and a checkpoint that does not fit is refused."""

import shutil
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from tests.support.runs import compose_config, run_in
from tests.support.weights import same, weights

from ziffern.errors import InputError
from ziffern.training.callbacks.history import History


class Killer(pl.Callback):
    """Stop the process's work in the middle of an epoch, as a kill does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("killed")


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("micro_steps", [pytest.param(1, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize("scheduler", ["none", "onecycle", "exponential", "plateau"])
def test_resuming_equals_an_uninterrupted_run(run, monkeypatch, scheduler: str, micro_steps: int) -> None:
    settings = ("trainer.max_epochs=4", "model.net.dropout=0.3", f"model/scheduler={scheduler}", "data.batch_size=7")
    settings += (f"trainer.micro_steps={micro_steps}",)
    if scheduler == "plateau":
        plateau = "{_target_: torch.optim.lr_scheduler.ReduceLROnPlateau, _partial_: true, patience: 0, threshold: 9}"
        settings = (*settings[:2], f"model.scheduler={plateau}", *settings[3:])
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


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["model.net.hidden=[17]"], "another architecture"),
        (["data.split_seed=5"], "the split .*split_seed 0 of the same data, and this run uses .*split_seed 5"),
        (["model.optimizer.lr=0.5"], r"has model\.optimizer\.lr=0\.001 and this run model\.optimizer\.lr=0\.5"),
        (["model/optimizer=sgd"], "has model.optimizer"),
        (["model.normalize.kind=unit"], r"has model\.normalize\.kind=standardize"),
        (["trainer.max_epochs=1"], "2 epochs, more than trainer.max_epochs=1"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(run, trained, changed: list[str], message: str) -> None:
    finished = trained(folder="first")
    with pytest.raises(InputError, match=message):
        run(*changed, f"ckpt_path={finished.folder}/checkpoints/last.ckpt", folder="second")


@pytest.mark.slow
def test_a_checkpoint_continued_with_other_threads_is_noted(run, capsys) -> None:
    """And the number that the note names continues without one, to the very weights of an uninterrupted run."""
    checkpoint = run("threads=1", "trainer.max_epochs=1", folder="a").folder / "checkpoints/last.ckpt"
    capsys.readouterr()
    other = run("threads=2", f"ckpt_path={checkpoint}", folder="b")
    assert "NOTE: the checkpoint was trained with threads=1, and this run continues with threads=2:" in (
        " ".join(capsys.readouterr().out.split())
    )
    assert other.metrics["threads"] == 2
    resumed, straight = run("threads=1", f"ckpt_path={checkpoint}", folder="c"), run("threads=1", folder="d")
    assert "NOTE" not in capsys.readouterr().out
    assert same(weights(resumed.folder), weights(straight.folder))


RATHER = ["callbacks=ema", "callbacks.ema.decay=0.9", "trainer.gradient_clip_val=1.0", "monitor=val/loss"]


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["callbacks.ema.decay=0.5"], "has callbacks.ema.decay=0.9 and this run callbacks.ema.decay=0.5:"),
        (["callbacks=default"], "has callbacks.ema=EMA and this run callbacks.ema=None:"),
        (["trainer.gradient_clip_val=2.0"], "has trainer.gradient_clip_val=1.0 and this run .*val=2.0:"),
        (["trainer.gradient_clip_val=null"], "has trainer.gradient_clip_val=1.0 and this run .*val=None:"),
        (["+trainer.gradient_clip_algorithm=value"], "algorithm=None and this run .*algorithm=value:"),
        (["trainer.precision=bf16-mixed"], "has trainer.precision=32-true and this run trainer.precision=bf16-mixed:"),
        (["+trainer.accumulate_grad_batches=2"], "batches=None and this run trainer.accumulate_grad_batches=2:"),
        (["+trainer.deterministic=true"], "has trainer.deterministic=None and this run trainer.deterministic=True:"),
        (["monitor=val/acc"], "has monitor=val/loss and this run monitor=val/acc:"),
        (["trainer.devices=2"], "has trainer.devices=1 and this run trainer.devices=2:"),
    ],
)
def test_a_checkpoint_of_another_way_of_training_is_refused(shared_checkpoint, run, changed, message: str) -> None:
    kept = [item for item in RATHER if item.split("=")[0] != changed[0].split("=")[0]]
    if "callbacks=default" in changed:
        kept = [item for item in kept if not item.startswith("callbacks")]
    with pytest.raises(InputError, match=message) as caught:
        run(*kept, *changed, f"ckpt_path={shared_checkpoint}", folder="second")
    assert "\n" not in str(caught.value)


def test_what_ends_a_run_may_change_when_it_goes_on(shared_checkpoint, run) -> None:
    """With the settings that wrote the checkpoint, as the refusal advises."""
    more = ["trainer.max_epochs=3", "callbacks.early_stopping.patience=7", "data.eval_batch_size=50"]
    assert run(*RATHER, *more, f"ckpt_path={shared_checkpoint}").metrics["epochs"] == 3


def test_what_an_early_checkpoint_does_not_say_is_not_compared(shared_checkpoint, run, tmp_path: Path) -> None:
    checkpoint = torch.load(shared_checkpoint, weights_only=True)
    checkpoint["ziffern"] = {
        key: value
        for key, value in checkpoint["ziffern"].items()
        if key in ("data", "fingerprint", "split", "seed") or key.startswith(("model", "data."))
    }
    torch.save(checkpoint, tmp_path / "early.ckpt")
    other_clipping = [item for item in RATHER if "clip" not in item]
    assert run("trainer.max_epochs=3", *other_clipping, f"ckpt_path={tmp_path}/early.ckpt").metrics["epochs"] == 3
    with pytest.raises(InputError, match=r"has seed=0 and this run seed=1"):
        run("seed=1", f"ckpt_path={tmp_path}/early.ckpt", folder="other")


@pytest.fixture(scope="module")
def shared_checkpoint(digits_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared") / "run"
    run_in(folder, compose_config(digits_npz, *RATHER))
    return folder / "checkpoints/last.ckpt"


def test_a_moved_run_goes_on_with_its_best(run, tmp_path: Path) -> None:
    settings = ("model.optimizer.lr=0.01", "data.batch_size=7")
    first = run(*settings, "trainer.max_epochs=2", folder="first")
    moved = first.folder.rename(tmp_path / "moved")
    (moved / "metrics.json").unlink()  # as if it had been stopped before its test
    again = run(*settings, "trainer.max_epochs=2", f"ckpt_path={moved}/checkpoints/last.ckpt", folder="second")
    for name in ("best", "last"):
        assert same(weights(moved, name), weights(again.folder, name))


def test_a_run_that_had_stopped_early_does_not_go_on(run) -> None:
    settings = ("trainer.max_epochs=9", "callbacks.early_stopping.patience=2", "model.optimizer.lr=0")
    first = run(*settings, folder="first")
    again = run(*settings, f"ckpt_path={first.folder}/checkpoints/last.ckpt", folder="second")
    assert again.metrics["epochs"] == first.metrics["epochs"] == 3


def test_a_complete_run_with_nothing_left_to_train_is_not_tested_again(run, trained) -> None:
    finished = trained("trainer.max_epochs=1")
    last = finished.folder / "checkpoints/last.ckpt"
    with pytest.raises(InputError, match=r"this run is complete.*raise it to at least 2") as error:
        run("trainer.max_epochs=1", f"ckpt_path={last}", folder="again")
    assert "ziffern report" in str(error.value)
    assert run("trainer.max_epochs=2", f"ckpt_path={last}", folder="more").metrics["epochs"] == 2


def test_data_that_stood_in_are_continued_by_their_own_name(run, trained) -> None:
    finished = trained("trainer.max_epochs=1")
    last = finished.folder / "checkpoints/last.ckpt"
    content = torch.load(last, weights_only=True)
    content["ziffern"] |= {"data.source": "Torchvision", "data.source.dataset": "mnist"}
    torch.save(content, last)
    assert run("trainer.max_epochs=2", f"ckpt_path={last}", folder="more").metrics["epochs"] == 2


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("name", ["Adafactor", "SGD", "NAdam", "ASGD"])
def test_optimizers_with_other_states_go_on(run, name: str) -> None:
    typed = (f"model.optimizer._target_=torch.optim.{name}", "trainer.max_epochs=1")
    last = run(*typed).folder / "checkpoints/last.ckpt"
    assert run(typed[0], "trainer.max_epochs=2", f"ckpt_path={last}", folder="more").metrics["epochs"] == 2


def test_another_split_is_refused_without_a_fix_that_is_refused_too(trained, composed, tmp_path: Path) -> None:
    """The message recommended init_from, which refuses weights of another split."""
    checkpoint = trained(folder="other").folder / "checkpoints/last.ckpt"
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "new", composed(f"ckpt_path={checkpoint}", "data.split_seed=1", "trainer.max_epochs=9"))
    assert caught.value.code == "training.checkpoint.other_split"
    assert "split_seed 0 of the same data, and this run uses" in str(caught.value)
    assert "init_from" not in str(caught.value)
