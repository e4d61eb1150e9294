"""Pictures and charts of a run in TensorBoard, and the hyperparameters of every logger.

Decisions: `default_hp_metric` is off, and the same final metrics are announced before training and filled in after it,
so HParams has one correct row per run, even for a run that crashed; train and validation share a chart.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from ziffern.analysis.metrics import Place, registered
from ziffern.analysis.outcome import Outcome

LAYOUT = {
    "train and validation": {
        "loss": ["Multiline", ["train/loss_epoch", "val/loss"]],
        "accuracy": ["Multiline", ["train/acc_epoch", "val/acc"]],
    }
}


def final_tags() -> dict[str, str]:
    """Return the tag of each final metric by its key: `hp/test_acc`, `hp/val_acc_best`, beside the curves' tags."""
    return {
        metric.key: f"hp/{metric.name}" + ("_best" if metric.stage == "val" else "")
        for metric in registered(Place.TENSORBOARD)
    }


def log_layout(loggers: Sequence[Logger]) -> None:
    """Put train and validation curves into one chart each (tab Custom Scalars)."""
    for logger in _tensorboards(loggers):
        logger.experiment.add_custom_scalars(LAYOUT)


def log_hyperparameters(loggers: Sequence[Logger], settings: dict[str, Any]) -> None:
    """Log flat settings; for TensorBoard with NaN in place of the outcome."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(settings, dict.fromkeys(final_tags().values(), math.nan))
        else:
            logger.log_hyperparams(settings)


def log_outcome(loggers: Sequence[Logger], metrics: dict[str, Any]) -> None:
    """Log the outcome, for which `log_hyperparameters` left NaN."""
    outcome = {tag: metrics[key] for key, tag in final_tags().items() if metrics.get(key) is not None}
    for logger in loggers:
        logger.log_metrics(outcome, step=0 if isinstance(logger, TensorBoardLogger) else None)
        logger.save()


def log_results(
    loggers: Sequence[Logger], images: NDArray[np.uint8], outcome: Outcome, class_names: Sequence[str]
) -> None:
    """Log the test part's confusion matrix, its misclassified images, and a PR curve per class.

    Args:
        loggers: TensorBoard's are used.
        images: (N, C, H, W) uint8.
        outcome: The model's predictions for them.
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
