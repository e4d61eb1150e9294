"""Settings that users of Lightning know: each acts on what is tested and recorded, or is refused."""

import csv
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.support.runs import compose_config, run_in

from ziffern.config.instantiate import build
from ziffern.errors import InputError
from ziffern.records.messages import message_text
from ziffern.training.callbacks.checkpoints import RunCheckpoints
from ziffern.training.callbacks.history import History
from ziffern.training.module import ImageClassifier

WEIGHTS = "++model.loss.weight=[1,1,1,1,1,9,1,1,1,1]"
PLATEAU = "{_target_: torch.optim.lr_scheduler.ReduceLROnPlateau, _partial_: true, patience: 0, factor: 0.5}"
CYCLIC = (
    "{_target_: torch.optim.lr_scheduler.CyclicLR, _partial_: true, base_lr: 0.001, max_lr: 0.1, step_size_up: 5,"
    " cycle_momentum: false}"
)
COSINE = "{_target_: torch.optim.lr_scheduler.CosineAnnealingLR, _partial_: true, T_max: '${trainer.max_epochs}'}"


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate after each epoch."""
    seen: list[float] = []
    save = RunCheckpoints.on_train_epoch_end

    def saving(self: RunCheckpoints, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        save(self, trainer, pl_module)
        seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    monkeypatch.setattr(RunCheckpoints, "on_train_epoch_end", saving)
    return seen


@pytest.mark.slow
def test_a_loss_with_class_weights_is_the_same_for_every_batch_size(run) -> None:
    losses = [
        run(WEIGHTS, f"data.eval_batch_size={size}", folder=str(size)).history[-1]["val/loss"] for size in (80, 13, 1)
    ]
    assert losses == pytest.approx([losses[0]] * 3, abs=2e-6)


@pytest.mark.parametrize(
    ("loss", "code"),
    [
        ("{reduction: sum}", "experiment.loss.sum"),
        ("{_target_: torch.nn.MultiMarginLoss, reduction: sum}", "experiment.loss.sum"),
        ("{_target_: torch.nn.NLLLoss}", "experiment.loss.needs_log_softmax"),
    ],
)
def test_a_loss_that_would_give_wrong_figures_is_refused(composed, tmp_path: Path, loss: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "run", composed(f"model.loss={loss}"))
    assert caught.value.code == code
    assert not (tmp_path / "run/progress.jsonl").exists()


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("monitor", ["val/acc", "val/loss"])
def test_plateau_follows_the_monitored_score(run, rates, monitor: str) -> None:
    finished = run(f"model.scheduler={PLATEAU}", f"monitor={monitor}", "trainer.max_epochs=6", "model.optimizer.lr=0.1")
    best, expected, rate = None, [], 0.1
    for row in finished.history:
        score = row[monitor] if monitor == "val/acc" else -row[monitor]
        threshold = 1e-4 * abs(best) if best is not None else 0
        if best is None or score > best + threshold:
            best = score
        else:
            rate /= 2
        expected.append(rate)
    assert [rate for _, rate in zip(expected, rates, strict=True)] == pytest.approx(expected)
    assert expected[-1] < 0.1


def test_plateau_of_version_0_1_0_follows_the_score_of_this_run(composed) -> None:
    """Its checkpoints hold the best loss, which no accuracy would be better than."""
    optimization = build(composed(f"model.scheduler={PLATEAU}").model, "model", ImageClassifier).optimization
    optimizer = optimization.make_optimizer([torch.nn.Parameter(torch.zeros(1))])
    scheduler, rate = optimization.make_scheduler(optimizer, 100), optimizer.param_groups[0]["lr"]
    scheduler.load_state_dict(scheduler.state_dict() | {"mode": "min", "best": 0.01, "num_bad_epochs": 1})
    optimization.adopt(scheduler)
    for accuracy in (0.5, 0.6, 0.7):
        scheduler.step(accuracy)
    assert optimizer.param_groups[0]["lr"] == rate
    scheduler.step(0.6)
    assert optimizer.param_groups[0]["lr"] == rate / 2


def test_a_model_whose_mode_does_not_fit_still_loads(trained) -> None:
    model = dict(trained().config["model"])
    model["scheduler"] = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "_partial_": True, "mode": "max"}
    assert build({key: value for key, value in model.items() if key != "monitor"}, "model", ImageClassifier)


def test_plateau_with_the_opposite_mode_is_refused(composed, tmp_path: Path) -> None:
    scheduler = PLATEAU.replace("patience", "mode: min, patience")
    with pytest.raises(InputError, match="mode=min: monitor=val/acc needs max"):
        run_in(tmp_path / "run", composed(f"model.scheduler={scheduler}"))


@pytest.mark.parametrize("micro_steps", [1, 4])
def test_a_cyclic_rate_steps_with_each_batch(run, rates, micro_steps: int) -> None:
    run(f"model.scheduler={CYCLIC}", f"trainer.micro_steps={micro_steps}")
    assert rates == pytest.approx([0.1 - 0.0, 0.001])  # after 15 and 30 steps, in cycles of 10


def test_the_interval_can_be_chosen(run, rates, composed, tmp_path: Path) -> None:
    run("model/scheduler=exponential", "model.scheduler.gamma=0.9", "model.scheduler_interval=step")
    assert rates == pytest.approx([0.001 * 0.9**15, 0.001 * 0.9**30])
    with pytest.raises(InputError, match="OneCycleLR counts the steps of the whole run"):
        run_in(tmp_path / "one", composed("model/scheduler=onecycle", "model.scheduler_interval=epoch"))
    with pytest.raises(InputError, match=r"model\.scheduler_interval=batch: must be one of"):
        run_in(tmp_path / "other", composed("model/scheduler=exponential", "model.scheduler_interval=batch"))


def test_a_cosine_follows_the_epochs_of_a_run_that_goes_on(run, rates) -> None:
    first = run(f"model.scheduler={COSINE}", "trainer.max_epochs=2", folder="a")
    assert rates == pytest.approx([0.0005, 0.0], abs=1e-9)
    rates.clear()
    checkpoint = first.folder / "checkpoints/last.ckpt"
    run(f"model.scheduler={COSINE}", "trainer.max_epochs=4", f"ckpt_path={checkpoint}", folder="b")
    assert rates == pytest.approx([0.001 * (1 + torch.cos(torch.tensor(3 * torch.pi / 4)).item()) / 2, 0.0], abs=1e-9)


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("+trainer.val_check_interval=5", "experiment.trainer.val_check_interval"),
        ("+trainer.val_check_interval=1", "experiment.trainer.val_check_interval"),
        ("+trainer.use_distributed_sampler=false", "config.argument.reserved"),
        ("+trainer.num_sanity_val_steps=2", "config.argument.reserved"),
        *(
            (f"+callbacks.x._target_=pytorch_lightning.callbacks.{name}", f"experiment.callbacks.{code}")
            for name, code in (
                ("StochasticWeightAveraging", "ema"),
                ("EMAWeightAveraging", "ema"),
                ("BatchSizeFinder", "batch_size"),
                ("LearningRateFinder", "learning_rate"),
                ("BackboneFinetuning", "finetuning"),
                ("ModelPruning", "pruning"),
                ("GradientAccumulationScheduler", "accumulation"),
                ("TQDMProgressBar", "progress"),
            )
        ),
    ],
)
def test_what_would_change_results_unseen_is_refused(composed, tmp_path: Path, override: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "run", composed(override))
    assert caught.value.code == code


def test_fewer_batches_are_recorded(run) -> None:
    limited = run("+trainer.limit_train_batches=3")
    assert message_text(limited.metrics, "data/limit", "en").startswith("each epoch used 48 of the 240 training images")
    assert message_text(limited.metrics, "data/limit", "de").startswith("Jede Epoche verwendete 48 der 240")
    assert not message_text(run(folder="whole").metrics, "data/limit", "en")


@pytest.mark.slow
def test_overfitting_repeats_the_same_batch_and_validates_on_the_whole_part(run) -> None:
    finished = run("+trainer.overfit_batches=1", "trainer.max_epochs=30", "model.optimizer.lr=0.01")
    assert finished.history[-1]["train/acc"] == 1.0
    assert finished.history[-1]["val/acc"] in [pytest.approx(hits / 80, abs=1e-6) for hits in range(81)]


class Stop(pl.Callback):
    """Asks for the end within an epoch."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        trainer.should_stop = True


@pytest.mark.parametrize("micro_steps", [1, 4])
def test_an_epoch_that_was_cut_short_is_scored_for_what_it_saw(run, monkeypatch, micro_steps: int) -> None:
    monkeypatch.setattr(History, "on_train_batch_end", Stop().on_train_batch_end)
    finished = run(f"trainer.micro_steps={micro_steps}", folder="cut")
    assert [row["step"] for row in finished.history] == [micro_steps]
    assert finished.metrics["val/acc"] == finished.history[0]["val/acc"]
    assert "because a callback stopped it" in message_text(finished.metrics, "ended", "en")
    with pytest.raises(InputError) as caught:
        run(f"ckpt_path={finished.folder}/checkpoints/last.ckpt", f"trainer.micro_steps={micro_steps}", folder="on")
    assert caught.value.code == "training.checkpoint.within_step"


def test_more_patience_continues_a_run_and_the_summary_says_why_it_ended(run, capsys) -> None:
    settings = ("trainer.max_epochs=9", "callbacks.early_stopping.min_delta=1")
    first = run(*settings, "callbacks.early_stopping.patience=1", folder="a")
    assert len(first.history) == 2
    assert "1 epoch without a better val/acc" in " ".join(capsys.readouterr().out.split())
    checkpoint = f"ckpt_path={first.folder}/checkpoints/last.ckpt"
    more = run(*settings, "callbacks.early_stopping.patience=3", checkpoint, folder="b")
    assert len(more.history) == 4


@pytest.mark.slow
def test_the_logs_of_a_run_that_goes_on_are_complete_and_have_each_step_once(run, digits_npz, tmp_path) -> None:
    def log(folder: Path, *overrides: str) -> Path:
        places = f"save_dir: '{folder}', version: ''"
        nodes = [
            f"+logger.csv={{_target_: pytorch_lightning.loggers.CSVLogger, name: csv, {places}}}",
            f"+logger.tb={{_target_: pytorch_lightning.loggers.TensorBoardLogger, name: tb, {places}}}",
        ]
        run_in(folder, compose_config(digits_npz, *nodes, "trainer.log_every_n_steps=5", *overrides))
        return folder

    straight = log(tmp_path / "straight", "trainer.max_epochs=4")
    short = log(tmp_path / "short", "trainer.max_epochs=2")
    (short / "metrics.json").unlink()
    time.sleep(1.1)  # within a second of one process, the names of TensorBoard's files have no order
    log(short, "trainer.max_epochs=4", f"ckpt_path={short}/checkpoints/last.ckpt")

    def steps(folder: Path, column: str) -> list[int]:
        with (folder / "csv/metrics.csv").open() as file:
            return [int(row["step"]) for row in csv.DictReader(file) if row[column]]

    def events(folder: Path, tag: str) -> list[int]:
        board = EventAccumulator(str(folder / "tb"))
        board.Reload()
        return [event.step for event in board.Scalars(tag)]

    for column in ("train/loss", "val/acc"):
        assert steps(short, column) == steps(straight, column) != []
        assert events(short, column) == events(straight, column) != []


def test_an_experiment_of_a_logger_ends_with_the_run(run, monkeypatch, tmp_path: Path) -> None:
    ended: list[str] = []
    monkeypatch.setattr(CSVLogger, "finalize", lambda self, status: ended.append(status))
    run(f"+logger.csv={{_target_: pytorch_lightning.loggers.CSVLogger, save_dir: '{tmp_path}'}}")
    assert ended[-1] == "success"


def test_float_images_in_shares_give_the_logits_of_their_levels(trained) -> None:
    model = trained().load_model()
    levels = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        expected = model(levels)
        for images in (levels.float(), levels.float() / 255, levels.double() / 255):
            assert torch.allclose(model(images).float(), expected, atol=1e-4)
