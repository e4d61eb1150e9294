"""The LightningModule: wraps any architecture and knows none.

Decisions: normalization is the first step, so a checkpoint takes raw uint8 images; the random stream of an epoch
(dropout) depends on the seed and the epoch alone, so a run that was killed and resumed ends with the weights of an
uninterrupted one; training scores are computed every `trainer.log_every_n_steps` batches, since logging at each step
costs more than the step of a small net. What makes short steps fast is not here (`ziffern.training.fast_steps`).
"""

import math
import sys
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ziffern.data.batches import Batch, derived_seed
from ziffern.errors import DivergedError
from ziffern.models.normalization import Normalize
from ziffern.training import optimizers
from ziffern.training.scores import Scores


class ImageClassifier(pl.LightningModule):
    """Normalize, run the net, take the loss, and keep score.

    Args:
        net: Maps float images (B, 1, 28, 28) to logits (B, C).
        optimizer: Makes the optimizer from the net's parameters (a partial).
        scheduler: Makes the learning-rate scheduler from the optimizer (a partial), or None. One whose
            constructor takes `total_steps` receives them and steps every batch; others step every epoch.
        normalize: The first step of the model; fitted to the data before training.
        augment: Changes uint8 images (B, 28, 28) of training batches into float gray levels (B, 28, 28).
        loss: Mean loss of logits (B, C) and labels (B,); cross-entropy where None.
        seed: Seed of the random streams in training.
        fuse: Use the optimizer's fused kernel where it has one.

    Raises:
        InputError: The optimizer or the scheduler refuses its settings (a negative rate, say).
        DivergedError: While training: the loss is no longer finite.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: optimizers.OptimizerMaker,
        scheduler: optimizers.SchedulerMaker | None = None,
        normalize: Normalize | None = None,
        augment: nn.Module | None = None,
        loss: nn.Module | None = None,
        seed: int = 0,
        fuse: bool = True,
    ) -> None:
        super().__init__()
        # channels_last: convolutions are up to a quarter faster on the CPU; nothing else is affected.
        self.net = net.to(memory_format=torch.channels_last)
        self.normalize = normalize or Normalize()
        self.augment = augment
        self.loss = loss or nn.CrossEntropyLoss()
        self.train_scores, self.val_scores = Scores(), Scores()
        self.seed, self.fuse = seed, fuse
        self.batches_seen = 0  # in this epoch
        self.provenance: dict[str, bool | int | float | str] = {}  # plain values that every checkpoint carries
        self.window: dict[str, float] = {}  # training scores of the latest batches that were scored together
        self.epoch_scores: dict[str, float] = {}  # training scores of the latest finished epoch
        self.test_logits: list[Tensor] = []
        self._optimizer_maker, self._scheduler_maker = optimizer, scheduler
        self._score_every = 1  # batches
        self.make_scheduler(self.make_optimizer(), total_steps=100)  # refuses bad settings now

    @property
    def parameter_count(self) -> int:
        """Trainable and frozen parameters of the net."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of images (B, 28, 28) in gray levels, uint8 or float32."""
        logits: Tensor = self.net(self.normalize(images))
        return logits

    def loss_of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean loss and the logits (B, C) of a training batch."""
        images, labels = batch
        logits = self.forward(images if self.augment is None else self.augment(images))
        return self.loss(logits, labels), logits

    def on_train_start(self) -> None:
        """Take over how often to score; 0 is Lightning's value for never, so for once per epoch."""
        self._score_every = self.trainer.log_every_n_steps or sys.maxsize  # type: ignore[attr-defined]

    def on_train_epoch_start(self) -> None:
        """Seed the epoch's random stream."""
        torch.manual_seed(derived_seed(self.seed, self.current_epoch, self.global_rank))
        self.batches_seen = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch for Lightning to step on."""
        loss = self.scored_loss(batch)
        if self.trainer.is_last_batch:
            self.finish_epoch(self.trainer.global_step + 1)
        return loss

    def scored_loss(self, batch: Batch) -> Tensor:
        """Return the loss of a training batch after keeping its score; log the scores of every so many batches."""
        loss, logits = self.loss_of(batch)
        self.train_scores.add(loss, logits, batch[1])
        self.batches_seen += 1
        if self.batches_seen % self._score_every == 0:
            self._score_window()
            self._log({f"train/{name}": value for name, value in self.window.items()}, self.trainer.global_step + 1)
        return loss

    def finish_epoch(self, step: int) -> None:
        """Compute the training scores of the epoch, and log them at an optimizer step."""
        self._score_window()  # of too few batches to be logged
        self.epoch_scores = self.train_scores.compute()
        self._log({f"train/{name}_epoch": value for name, value in self.epoch_scores.items()}, step)

    def on_train_epoch_end(self) -> None:
        """Step an epoch's scheduler before the checkpoint is saved; Lightning would do it after."""
        scheduler: Any = self.lr_schedulers() if self._scheduler_maker else None
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(self.trainer.callback_metrics["val/loss"])
        elif scheduler is not None and not self.steps_each_batch:
            scheduler.step()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the score of a batch."""
        images, labels = batch
        logits = self(images)
        self.val_scores.add(self.loss(logits, labels), logits, labels)

    def on_validation_epoch_end(self) -> None:
        """Log `val/loss` and `val/acc`."""
        scores = self.val_scores.compute()
        if not math.isfinite(scores["loss"]):
            raise self._diverged("val/loss", scores["loss"])
        values = {f"val/{name}": value for name, value in scores.items()}
        # For callbacks that monitor them; equal in all processes already, which sync_dist tells Lightning.
        self.log_dict(values, logger=False, sync_dist=True)
        if self.trainer.state.fn == TrainerFn.FITTING:
            self._log(values, self.trainer.global_step)

    def on_test_start(self) -> None:
        """Drop the logits of an earlier test."""
        self.test_logits = []

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the logits (B, C), which are recorded and scored together."""
        self.test_logits.append(self(batch[0]).float().cpu())

    def make_optimizer(self) -> Optimizer:
        """Return a fresh optimizer of the net's parameters."""
        return optimizers.make_optimizer(self._optimizer_maker, self.net.parameters(), self.fuse)

    def make_scheduler(self, optimizer: Optimizer, total_steps: int) -> Any:
        """Return the scheduler of an optimizer, or None."""
        return optimizers.make_scheduler(self._scheduler_maker, optimizer, total_steps)

    @property
    def steps_each_batch(self) -> bool:
        """Whether the scheduler steps every batch, and not every epoch."""
        return optimizers.steps_each_batch(self._scheduler_maker)

    def configure_optimizers(self) -> Any:
        """Return the optimizer, with its scheduler where there is one."""
        optimizer = self.make_optimizer()
        if self._scheduler_maker is None:
            return optimizer
        scheduler = self.make_scheduler(optimizer, self.total_steps())
        interval = "step" if self.steps_each_batch else "epoch"
        monitor = {"monitor": "val/loss"} if self.automatic_optimization else {}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval, **monitor}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Step for Lightning a scheduler that steps every batch; others step in `on_train_epoch_end`."""
        if self.steps_each_batch:
            scheduler.step()

    def total_steps(self) -> int:
        """Return the optimizer steps of the whole run in this process, if nothing stops it early."""
        return int(self.trainer.estimated_stepping_batches)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the settings and data that the weights come from."""
        checkpoint["ziffern"] = dict(self.provenance)

    def _score_window(self) -> None:
        """Score the batches since the last call."""
        if scores := self.train_scores.settle():
            self.window = scores
            if not math.isfinite(scores["loss"]):
                raise self._diverged("train/loss", scores["loss"])

    def _log(self, values: dict[str, float], step: int) -> None:
        """Log at an optimizer step; Lightning's own logging counts calls of `training_step`."""
        for logger in self.trainer.loggers:
            logger.log_metrics(values, step=step)

    def _diverged(self, name: str, value: float) -> DivergedError:
        return DivergedError("training.diverged", metric=name, value=value, epoch=self.current_epoch + 1)
