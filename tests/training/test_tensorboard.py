"""What TensorBoard finds in a run."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2


@pytest.fixture
def board(run, tmp_path: Path) -> EventAccumulator:
    finished = run("logger=tensorboard", f"logger.tensorboard.save_dir={tmp_path}/run", "trainer.log_every_n_steps=5")
    accumulator = EventAccumulator(str(finished.folder / "tensorboard"), size_guidance={"tensors": 0, "images": 0})
    accumulator.Reload()
    return accumulator


def test_curves_of_train_and_validation_share_a_chart(board: EventAccumulator) -> None:
    assert {"train/loss", "train/acc", "val/loss", "val/acc"} <= set(board.Tags()["scalars"])
    assert len(board.Scalars("train/loss")) == 6
    assert [event.step for event in board.Scalars("train/loss")] == [5, 10, 15, 20, 25, 30]
    assert [event.step for event in board.Scalars("val/acc")] == [15, 30], "the same axis as in training"
    assert [event.step for event in board.Scalars("train/acc_epoch")] == [15, 30]
    assert "custom_scalars__config__" in board.Tags()["tensors"]


def test_pictures_and_curves_of_the_test_part(board: EventAccumulator) -> None:
    assert {"test/confusion", "test/misclassified"} <= set(board.Tags()["images"])
    assert {f"test/pr/{digit}" for digit in range(10)} <= set(board.Tags()["tensors"])


def test_one_row_of_hyperparameters_with_its_outcome(board: EventAccumulator) -> None:
    assert [event.value for event in board.Scalars("hp/val_acc_best")][-1] == pytest.approx(
        max(event.value for event in board.Scalars("val/acc")), abs=1e-6
    )
    assert board.Scalars("hp/test_acc")[-1].value > 0
    assert "hp_metric" not in board.Tags()["scalars"]
    content = board.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    started = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert started.hparams["model.optimizer.lr"].number_value == 0.001
    assert started.hparams["model.net"].string_value == "MLP"
