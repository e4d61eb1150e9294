"""A run as a whole: its contract, its reproducibility, and what it refuses."""

import csv
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from tests.support.runs import compose_config, run_in

from ziffern.errors import InputError
from ziffern.experiment import run as experiment
from ziffern.experiment.run import run_experiment
from ziffern.runs.run import Run
from ziffern.training.callbacks.checkpoints import RunCheckpoints
from ziffern.training.callbacks.history import History
from ziffern.training.module import ImageClassifier

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
    assert [event["event"] for event in events if event["event"] != "step"] == [
        *("start", "epoch", "epoch", "trained", "end")
    ]
    assert {"command", "versions", "threads", "device", "git_commit"} <= json.loads(
        (folder / "environment.json").read_text()
    ).keys()
    assert not list(folder.rglob("*.part"))


def test_a_sigterm_during_the_test_is_no_success(
    composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ImageClassifier, "on_test_start", lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        run_experiment(composed("data.eval_batch_size=20"), tmp_path / "run", "nn")
    assert ended.value.code == 128 + signal.SIGTERM
    assert not (tmp_path / "run/metrics.json").exists()
    assert "stopped after epoch 2; continue with" in capsys.readouterr().out


def test_an_exit_of_a_callback_keeps_its_code(composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageClassifier, "on_train_epoch_start", lambda _: sys.exit(3))
    with pytest.raises(SystemExit) as ended:
        run_experiment(composed(), tmp_path / "run", "nn")
    assert ended.value.code == 3


def test_it_learns(run) -> None:
    assert run("trainer.max_epochs=10").metrics["test/acc"] > 0.9


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


def without_time(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


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


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipping_sees_gradients_that_are_not_scaled(run, monkeypatch, algorithm: str) -> None:
    made = experiment.make_trainer

    def with_scaler(*arguments: Any) -> pl.Trainer:  # what 16-mixed is on a GPU
        trainer = made(*arguments)
        trainer.strategy.precision_plugin = MixedPrecision("16-mixed", "cpu")
        return trainer

    monkeypatch.setattr(experiment, "make_trainer", with_scaler)
    settings = ("model/optimizer=sgd", "trainer.gradient_clip_val=0.05", "trainer.precision=bf16-mixed")
    settings += (f"+trainer.gradient_clip_algorithm={algorithm}",)
    plain, fast = (run(*settings, f"trainer.micro_steps={k}", folder=str(k)) for k in (1, 4))
    assert same(weights(plain.folder), weights(fast.folder))


@pytest.mark.parametrize(("k", "is_heard"), [(1, True), (4, True), (4, False)])
def test_a_callback_that_listens_hears_of_every_step(run, monkeypatch, k: int, is_heard: bool) -> None:
    heard: list[int] = []
    hook = "on_before_optimizer_step" if is_heard else "on_train_batch_start"
    monkeypatch.setattr(RunCheckpoints, hook, lambda _, trainer, *rest: heard.append(trainer.global_step))
    plain = []
    monkeypatch.setattr(ImageClassifier, "on_train_end", lambda self: plain.append(self.step_is_plain), raising=False)
    own: list[int] = []  # the module's own hook, which Lightning calls in the same place
    monkeypatch.setattr(ImageClassifier, "on_before_optimizer_step", lambda self, _: own.append(self.global_step))
    run("data.batch_size=7", f"trainer.micro_steps={k}", "trainer.max_epochs=1")
    assert plain == [not is_heard]
    assert own == (list(range(35)) if is_heard else [])
    assert not is_heard or heard == own


def test_clipping_changes_the_weights(run) -> None:
    clipped, free = run("trainer.gradient_clip_val=0.05", folder="a"), run(folder="b")
    assert not same(weights(clipped.folder), weights(free.folder))


def test_auto_gives_the_weights_of_lightnings_own_steps(run) -> None:
    plain, auto = (run("model.net.dropout=0.3", f"trainer.micro_steps={k}", folder=str(k)) for k in (1, "auto"))
    assert same(weights(plain.folder), weights(auto.folder))


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


@pytest.mark.parametrize("micro_steps", [1, 4])
def test_a_checkpoint_that_owes_a_validation_is_refused(run, monkeypatch, micro_steps: int) -> None:
    settings = ("trainer.max_epochs=3", "data.batch_size=7", f"trainer.micro_steps={micro_steps}")
    killed_at(70, run, monkeypatch, *settings)
    killed = run("trainer.max_epochs=0", folder="other").folder.parent / "killed"
    with pytest.raises(InputError, match="between an epoch's last step and its validation"):
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
    assert "best.ckpt is not there" in caplog.text


class Killer(pl.Callback):
    """Stop the process's work in the middle of an epoch, as a kill does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("killed")


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


def test_no_epochs_test_the_untrained_model(run) -> None:
    finished = run("trainer.max_epochs=0")
    assert finished.metrics["epochs"] == 0
    assert finished.metrics["train/acc"] is None
    assert finished.history == []
    assert finished.metrics["test/total"] == 80


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_checkpoint_at_the_end_of_an_epoch_has_no_middle(run, epochs: int) -> None:
    folder = run(f"trainer.max_epochs={epochs}").folder
    for name in ("best", "last"):
        assert "ziffern_middle" not in torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)


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
        (["data.split_seed=5"], "has (split=.*split_seed 0|data.split_seed=0)"),
        (["model.optimizer.lr=0.5"], r"has model\.optimizer\.lr=0\.001 and this run model\.optimizer\.lr=0\.5"),
        (["model/optimizer=sgd"], "has model.optimizer"),
        (["model.normalize.kind=unit"], r"has model\.normalize\.kind=standardize"),
        (["trainer.max_epochs=1"], "2 epochs behind it, more than trainer.max_epochs=1"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(run, changed: list[str], message: str) -> None:
    finished = run(folder="first")
    with pytest.raises(InputError, match=message):
        run(*changed, f"ckpt_path={finished.folder}/checkpoints/last.ckpt", folder="second")


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


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_every_precision_trains(run, precision: str) -> None:
    assert run(f"trainer.precision={precision}", "model=cnn").metrics["epochs"] == 2


@pytest.mark.parametrize("name", ["RMSprop", "NAdam", "RAdam", "Adagrad", "Adadelta", "ASGD"])
def test_other_optimizers_train_by_target(run, name: str) -> None:
    assert run(f"model.optimizer._target_=torch.optim.{name}", "trainer.max_epochs=1").metrics["epochs"] == 1


@pytest.mark.parametrize("model", ["cnn", "nn", "dnn"])
def test_one_batch_is_learnt_by_heart(run, model: str) -> None:
    one_batch = ("data.fractions=[0.04,0.48,0.48]", "data.batch_size=16", "trainer.max_epochs=80")
    calm = ("model.net.dropout=0.0", "model.optimizer.lr=0.003", *(["model.net.conv_dropout=0.0"] * (model == "cnn")))
    finished = run(f"model={model}", *one_batch, *calm)
    assert finished.metrics["data/train"] == 16
    assert finished.history[-1]["train/acc"] == 1.0
    assert finished.history[-1]["train/loss"] < 0.05


def test_the_normalisation_is_fitted_on_the_training_part(run, digits_npz: Path) -> None:
    with np.load(digits_npz) as file:
        images = np.concatenate([file["x_train"], file["x_test"]])
    for fit_on, count in (("train", 240), ("all", 400)):
        finished = run(f"model.normalize.fit_on={fit_on}", "trainer.max_epochs=1", folder=fit_on)
        pixels = images if fit_on == "all" else images[np.random.RandomState(0).permutation(400)[:240]]
        assert len(pixels) == count
        assert weights(finished.folder)["normalize.mean"].item() == pytest.approx(pixels.mean(), rel=1e-6)
        assert weights(finished.folder)["normalize.std"].item() == pytest.approx(pixels.std(), rel=1e-6)


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


def test_a_complete_run_with_nothing_left_to_train_is_not_tested_again(run) -> None:
    finished = run("trainer.max_epochs=1")
    last = finished.folder / "checkpoints/last.ckpt"
    with pytest.raises(InputError, match=r"this run is complete.*raise it to at least 2") as error:
        run("trainer.max_epochs=1", f"ckpt_path={last}", folder="again")
    assert "ziffern report" in str(error.value)
    assert run("trainer.max_epochs=2", f"ckpt_path={last}", folder="more").metrics["epochs"] == 2


def test_data_that_stood_in_are_continued_by_their_own_name(run, composed, tmp_path: Path) -> None:
    finished = run("trainer.max_epochs=1")
    last = finished.folder / "checkpoints/last.ckpt"
    content = torch.load(last, weights_only=True)
    content["ziffern"] |= {"data.source": "Torchvision", "data.source.dataset": "mnist"}
    torch.save(content, last)
    assert run("trainer.max_epochs=2", f"ckpt_path={last}", folder="more").metrics["epochs"] == 2


@pytest.mark.parametrize("name", ["Adafactor", "SGD", "NAdam", "ASGD"])
def test_optimizers_with_other_states_go_on(run, name: str) -> None:
    typed = (f"model.optimizer._target_=torch.optim.{name}", "trainer.max_epochs=1")
    last = run(*typed).folder / "checkpoints/last.ckpt"
    assert run(typed[0], "trainer.max_epochs=2", f"ckpt_path={last}", folder="more").metrics["epochs"] == 2
