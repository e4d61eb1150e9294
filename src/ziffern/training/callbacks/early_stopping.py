"""Early stopping on a validation score."""

import pytorch_lightning as pl
from pytorch_lightning import callbacks

from ziffern.errors import InputError


def better(monitor: str) -> str:
    """Return `max` where a higher score is better, or `min`."""
    return "min" if monitor.endswith("loss") else "max"


class EarlyStopping(callbacks.EarlyStopping):
    """Stop after `patience` epochs without a better validation score.

    Args:
        monitor: The validation score.
        patience: Epochs; with None, the trainer leaves this callback out.
        min_delta: A score is better if it improves by more than this.

    Raises:
        InputError: A patience below 1.
    """

    def __init__(self, monitor: str, patience: int | None, min_delta: float = 0.0) -> None:
        if patience is None or patience < 1:
            raise InputError("training.early_stopping.patience_too_small", patience=patience)
        super().__init__(monitor, min_delta, patience, mode=better(monitor))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the run had run out of patience before it was resumed."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience
