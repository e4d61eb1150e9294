"""Early stopping that can be left in the configuration, switched off."""

import sys

from pytorch_lightning import callbacks

from ziffern.errors import InputError


class EarlyStopping(callbacks.EarlyStopping):
    """Stop after `patience` epochs without a better validation score; None: never.

    Args:
        monitor: The validation score.
        mode: `max` or `min`, whichever is better.
        patience: Epochs.
        min_delta: What counts as better is more than this.

    Raises:
        InputError: A patience below 1.
    """

    def __init__(self, monitor: str, mode: str = "max", patience: int | None = None, min_delta: float = 0.0) -> None:
        if patience is not None and patience < 1:
            raise InputError(
                f"callbacks.early_stopping.patience={patience}: must be at least 1 epoch, or null for never"
            )
        super().__init__(monitor, min_delta, sys.maxsize if patience is None else patience, mode=mode)
