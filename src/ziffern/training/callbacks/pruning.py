"""Ends a trial of a search that has fallen behind the others."""

from typing import Protocol

import pytorch_lightning as pl


class Trial(Protocol):
    """What a trial has to offer; Optuna's does."""

    def report(self, value: float, step: int) -> None:
        """Take the score of a step."""

    def should_prune(self) -> bool:
        """Say whether to stop here."""


class Pruning(pl.Callback):
    """Report a validation score after each epoch, and stop the training where the trial says so.

    Works under DDP: the first process asks, and all of them hear the answer. The last epoch is never
    pruned, since nothing would be saved by it.

    Args:
        trial: Of the first process; None in the others.
        monitor: The validation score.

    Raises:
        optuna.TrialPruned: At the end of `fit`, where it was stopped.
    """

    def __init__(self, trial: Trial | None, monitor: str) -> None:
        self._trial, self._monitor = trial, monitor
        self._stopped_after = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report, ask, and tell the other processes."""
        epochs = trainer.current_epoch + 1
        stop = False
        if trainer.is_global_zero and self._trial is not None:
            self._trial.report(float(trainer.callback_metrics[self._monitor]), epochs)
            stop = epochs != trainer.max_epochs and self._trial.should_prune()
        if trainer.strategy.broadcast(stop):
            self._stopped_after = epochs
            trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise what says that the trial was pruned."""
        if self._stopped_after:
            from optuna import TrialPruned

            raise TrialPruned(f"after epoch {self._stopped_after}: others were better by then")
