"""What a run shows in TensorBoard beyond its scalars, and the hyperparameters of every logger.

Decisions (each against a measured trap): `default_hp_metric` is off and the same two metrics are announced
before training and filled in after it, so HParams has one correct row a run, also for one that crashed;
the layout puts train and validation into one chart.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from ziffern.analysis.outcome import Outcome

OUTCOME = {"hp/val_acc_best": "val/acc", "hp/test_acc": "test/acc"}
LAYOUT = {
    "train and validation": {
        "loss": ["Multiline", ["train/loss_epoch", "val/loss"]],
        "accuracy": ["Multiline", ["train/acc_epoch", "val/acc"]],
    }
}


def log_layout(loggers: Sequence[Logger]) -> None:
    """Put train and validation curves into one chart each (tab Custom Scalars)."""
    for logger in _tensorboards(loggers):
        logger.experiment.add_custom_scalars(LAYOUT)


def log_hyperparameters(loggers: Sequence[Logger], settings: dict[str, Any]) -> None:
    """Log flat settings; for TensorBoard with the outcome still open."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(settings, dict.fromkeys(OUTCOME, math.nan))
        else:
            logger.log_hyperparams(settings)


def log_outcome(loggers: Sequence[Logger], metrics: dict[str, Any]) -> None:
    """Fill in the outcome that `log_hyperparameters` left open."""
    outcome = {name: metrics[source] for name, source in OUTCOME.items() if source in metrics}
    for logger in loggers:
        logger.log_metrics(outcome, step=0 if isinstance(logger, TensorBoardLogger) else None)
        logger.save()


def log_results(
    loggers: Sequence[Logger], images: NDArray[np.uint8], outcome: Outcome, class_names: Sequence[str]
) -> None:
    """Show the test part's confusion matrix, its misclassified images, and a PR curve a class.

    Args:
        loggers: Those of TensorBoard are used.
        images: (N, C, H, W) uint8.
        outcome: What the model said of them.
        class_names: C names.
    """
    for logger in _tensorboards(loggers):
        from ziffern.training.figures import confusion_figure, mistakes_figure

        board = logger.experiment
        board.add_figure("test/confusion", confusion_figure(outcome.confusion, class_names), close=False)
        board.add_figure("test/misclassified", mistakes_figure(images, outcome, class_names), close=False)
        for number, name in enumerate(class_names):
            board.add_pr_curve(f"test/pr/{name}", outcome.target == number, outcome.probability[:, number])


def _tensorboards(loggers: Sequence[Logger]) -> list[TensorBoardLogger]:
    return [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]
