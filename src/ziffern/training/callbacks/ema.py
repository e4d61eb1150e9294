"""An exponential moving average of the parameters: validated, saved and tested in their place."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from ziffern.errors import InputError


class EMA(WeightAveraging):
    """Average after every optimizer step n with the decay min(decay, (1 + n) / (10 + n)).

    The warm-up, with which early averages forget fast, follows An et al. (2020, arXiv 2008.10400) and TensorFlow's
    ExponentialMovingAverage. Buffers (running statistics of batch norm) are not averaged, as published.

    Lightning's callback averages after a `training_step`, which here may hold several optimizer steps; a hook on
    the optimizer runs after each of them.

    Args:
        decay: The largest weight of the old average, in [0, 1).

    Raises:
        InputError: `decay` is out of this range.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise InputError("training.ema.bad_decay", decay=decay)

        def average(averaged: tuple[Tensor, ...] | list[Tensor], current: Any, n: Tensor | int) -> None:
            weight = 1 - min(decay, (1 + int(n)) / (10 + int(n)))
            torch._foreach_lerp_(averaged, current, weight)

        super().__init__(use_buffers=False, multi_avg_fn=average)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Average after each step of the optimizer."""
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(lambda *_: self._update(pl_module))

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the optimizer's hook averages."""

    def _update(self, pl_module: pl.LightningModule) -> None:
        assert self._average_model is not None
        self._average_model.update_parameters(pl_module)
