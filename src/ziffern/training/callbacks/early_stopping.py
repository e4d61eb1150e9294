"""Early stopping on a validation score."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning import callbacks

from ziffern.errors import InputError
from ziffern.training.optimizers import monitor_mode

NEVER = 2**62  # epochs


class EarlyStopping(callbacks.EarlyStopping):
    """Stop after `patience` epochs without a better validation score.

    Args:
        monitor: The validation score.
        patience: Epochs without improvement; None never stops, and `make_trainer` omits this callback.
        min_delta: The smallest change that counts as an improvement.

    Raises:
        InputError: `patience` is below 1.
    """

    def __init__(self, monitor: str, patience: int | None, min_delta: float = 0.0) -> None:
        if patience is not None and patience < 1:
            raise InputError("training.early_stopping.patience_too_small", patience=patience)
        super().__init__(monitor, min_delta, NEVER if patience is None else patience, mode=monitor_mode(monitor))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the score to beat and the epochs without one; the patience is this run's own."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the resumed run had already run out of patience."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience
