"""Stops unpromising trials of a search."""

from typing import Protocol

import pytorch_lightning as pl


class Trial(Protocol):
    """A trial of a search, such as Optuna's."""

    def report(self, value: float, step: int) -> None:
        """Record the score of a step."""

    def should_prune(self) -> bool:
        """Return whether to stop here."""


class Pruning(pl.Callback):
    """Reports a validation score after each epoch, and stops training when the trial is pruned.

    Under DDP, the first process decides and broadcasts the decision. A trial is never pruned after its last
    epoch, since that would save nothing.

    Args:
        trial: The trial in the first process; None in the others.
        monitor: The validation score.

    Raises:
        optuna.TrialPruned: At the end of `fit`, if it was stopped.
    """

    def __init__(self, trial: Trial | None, monitor: str) -> None:
        self._trial, self._monitor = trial, monitor
        self._stopped_after = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the score, and stop all processes if the trial is pruned."""
        epochs = trainer.current_epoch + 1
        stop = False
        if trainer.is_global_zero and self._trial is not None:
            self._trial.report(float(trainer.callback_metrics[self._monitor]), epochs)
            stop = epochs != trainer.max_epochs and self._trial.should_prune()
        if trainer.strategy.broadcast(stop):
            self._stopped_after = epochs
            trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the pruning to Optuna."""
        if self._stopped_after:
            from optuna import TrialPruned

            raise TrialPruned(f"after epoch {self._stopped_after}: other trials scored better by then")
