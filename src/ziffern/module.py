"""The LightningModule: wraps any architecture, knows none.

Decisions: the first step is the normalisation, so a checkpoint takes raw uint8 images; the random stream of
an epoch (dropout) is a function of seed and epoch alone, so that a run that was killed and resumed ends
with the very weights of one that was not; training scores are settled every `trainer.log_every_n_steps`
batches, since logging at each step costs more than the step.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ziffern.data.batches import Batch, derived_seed
from ziffern.errors import InputError
from ziffern.normalize import Normalize
from ziffern.scores import Scores


class DigitClassifier(pl.LightningModule):
    """Normalise, run the net, take the loss, and keep score.

    Args:
        net: Maps float images (B, 1, 28, 28) to logits (B, C).
        optimizer: Makes the optimizer from the net's parameters (a partial).
        scheduler: Makes the learning-rate scheduler from the optimizer (a partial), or None. One whose
            constructor takes `total_steps` is told them and steps every batch; others step every epoch.
        normalize: The first step of the model; fitted before training by whoever has the data.
        loss: Mean loss of logits (B, C) and labels (B,); cross-entropy where None.
        seed: Seed of the random streams in training.

    Raises:
        InputError: The optimizer refuses its settings (a negative rate, say); from `training_step`: the
            loss is no longer finite.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[[Iterator[nn.Parameter]], Optimizer],
        scheduler: Callable[..., Any] | None = None,
        normalize: Normalize | None = None,
        loss: nn.Module | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        # channels_last: convolutions are up to a quarter faster on the CPU; nothing else is touched by it.
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.normalize = normalize or Normalize()
        self.loss = loss or nn.CrossEntropyLoss()
        self.train_scores, self.val_scores = Scores(self.loss), Scores(self.loss)
        self.seed = seed
        self.provenance: dict[str, str | int] = {}  # plain values that every checkpoint carries
        self.window: dict[str, float] = {}  # training scores of the batches last settled
        self.epoch_scores: dict[str, float] = {}  # training scores of the epoch last finished
        self.test_logits: list[Tensor] = []
        self._make_optimizer, self._make_scheduler = optimizer, scheduler
        self.make_optimizer()

    @property
    def parameter_count(self) -> int:
        """Trainable and frozen parameters of the net."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    def make_optimizer(self) -> Optimizer:
        """Return a fresh optimizer of the net's parameters."""
        try:
            return self._make_optimizer(self.net.parameters())
        except (ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"model.optimizer: {error}") from error

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of uint8 images (B, 28, 28)."""
        logits: Tensor = self.net(self.normalize(images))
        return logits

    def on_train_epoch_start(self) -> None:
        """Seed the epoch's random stream."""
        torch.manual_seed(derived_seed(self.seed, self.current_epoch, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of one batch; settle the scores every so many."""
        images, labels = batch
        logits = self(images)
        self.train_scores.add(logits, labels)
        if (batch_idx + 1) % self.trainer.log_every_n_steps == 0 or self.trainer.is_last_batch:
            self._settle_training()
        loss: Tensor = self.loss(logits, labels)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep score of one batch."""
        images, labels = batch
        self.val_scores.add(self(images), labels)

    def on_validation_epoch_end(self) -> None:
        """Log `val/loss` and `val/acc`."""
        scores = self.val_scores.compute()
        self.log_dict({f"val/{name}": value for name, value in scores.items()})

    def on_test_start(self) -> None:
        """Forget the logits of an earlier test."""
        self.test_logits = []

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the logits (B, C); the run records them and scores them once."""
        self.test_logits.append(self(batch[0]).float().cpu())

    def configure_optimizers(self) -> Any:
        """Return the optimizer, with its scheduler where there is one."""
        optimizer = self.make_optimizer()
        if self._make_scheduler is None:
            return optimizer
        maker = getattr(self._make_scheduler, "func", self._make_scheduler)
        by_step = "total_steps" in inspect.signature(maker).parameters
        steps = {"total_steps": int(self.trainer.estimated_stepping_batches)} if by_step else {}
        try:
            scheduler = self._make_scheduler(optimizer, **steps)
        except (ValueError, TypeError) as error:
            raise InputError(f"model.scheduler: {error}") from error
        how = {"scheduler": scheduler, "interval": "step" if by_step else "epoch", "monitor": "val/loss"}
        return {"optimizer": optimizer, "lr_scheduler": how}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add where the weights come from, as plain values."""
        checkpoint["ziffern"] = dict(self.provenance)

    def _settle_training(self) -> None:
        self.window = self.train_scores.settle()
        if not math.isfinite(self.window["loss"]):
            raise InputError(
                f"training diverged: train/loss is {self.window['loss']} in epoch {self.current_epoch + 1}: "
                "lower model.optimizer.lr, or set trainer.gradient_clip_val=1"
            )
        values = {f"train/{name}": value for name, value in self.window.items()}
        for logger in self.trainer.loggers:
            logger.log_metrics(values, step=self.global_step)
        if self.trainer.is_last_batch:
            self.epoch_scores = self.train_scores.compute()
