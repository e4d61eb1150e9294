"""Early stopping on a validation score."""

import pytorch_lightning as pl
from pytorch_lightning import callbacks

from ziffern.errors import InputError


def better(monitor: str) -> str:
    """Return whether more of a score is better (`max`) or less (`min`)."""
    return "min" if monitor.endswith("loss") else "max"


class EarlyStopping(callbacks.EarlyStopping):
    """Stop after `patience` epochs without a better validation score.

    Args:
        monitor: The validation score.
        patience: Epochs. With None the run leaves this callback out.
        min_delta: What counts as better is more than this.

    Raises:
        InputError: A patience below 1.
    """

    def __init__(self, monitor: str, patience: int | None, min_delta: float = 0.0) -> None:
        if patience is None or patience < 1:
            raise InputError(
                f"callbacks.early_stopping.patience={patience}: must be at least 1 epoch, or null for never"
            )
        super().__init__(monitor, min_delta, patience, mode=better(monitor))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once where the run that is continued had already run out of patience."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience
