from pathlib import Path

import numpy as np
import pytest
import torch

from ziffern.records.checkpoint import read_checkpoint
from ziffern.records.inference import KEY
from ziffern.runs.run import Run


def test_a_run_records_how_it_is_used(trained) -> None:
    run = trained("trainer.max_epochs=2")
    inference = run.load_inference()
    assert inference.counts is not None
    assert inference.counts.models == 2  # validation chose among two epochs
    first = run.metrics["data/val"] // 3
    assert inference.counts.images == run.metrics["data/val"]
    assert inference.counts.tested == run.metrics["data/val"] - first
    assert run.metrics["temperature"] == inference.known_temperature == inference.temperature
    outcome = run.predictions.outcome
    assert run.metrics["test/ece_calibrated"] == pytest.approx(outcome.at(inference.temperature).reliability.ece)


def test_the_weights_are_those_that_were_tested(trained) -> None:
    run = trained("trainer.max_epochs=2")
    weights = read_checkpoint(run.folder / "checkpoints/best.ckpt")
    assert KEY in weights
    model, predictions = run.load_model(), run.predictions
    logits = model(torch.from_numpy(predictions.mistake_image)).softmax(1).detach().numpy()
    np.testing.assert_allclose(logits, predictions.probability[predictions.mistake], atol=1e-5)


def test_the_last_checkpoint_and_old_runs_are_not_calibrated(trained) -> None:
    run = trained("trainer.max_epochs=2")
    inference = run.load_inference("last")
    assert inference.known_temperature is None
    assert inference.temperature == 1.0
    old = Run(next(Path("tests/fixtures/runs_0_1_0").glob("*/")))
    assert old.load_inference().known_temperature is None


@pytest.mark.slow
def test_digits_are_recognized_as_such_and_get_a_not_a_digit_score(run) -> None:
    trained_run = run("data=mnist5k", "data.num_classes=10", "model=nn", "trainer.max_epochs=3")
    inference, metrics = trained_run.load_inference(), trained_run.metrics
    assert (inference.prepare, inference.dark_ground) == ("digit", True)
    assert inference.not_digit is not None
    assert inference.not_digit.auroc == metrics["not_digit/auroc"]
    assert metrics["not_digit/auroc"] > 0.85
    assert metrics["not_digit/false_positives"] < 0.7


def test_planned_epochs_count_though_training_stopped_early(trained) -> None:
    run = trained("trainer.max_epochs=6", "callbacks.early_stopping.patience=1", "model.optimizer.lr=1e-9")
    assert len(run.history) < 6
    assert run.candidates == 6


def test_weights_of_another_run_multiply_the_candidates(trained) -> None:
    source = trained("trainer.max_epochs=2")
    run = trained("trainer.max_epochs=3", f"init_from={source.folder}", folder="tuned")
    assert run.candidates == 6
