"""The LightningModule, for any architecture.

Decisions: normalization is the first step, so a checkpoint takes raw uint8 images; the random stream of an epoch
(dropout) depends on the seed and the epoch alone, so a run that was killed and resumed ends with the weights of an
uninterrupted one; training scores are computed every `trainer.log_every_n_steps` batches, since logging at each step
costs more than the step of a small net. The optimization of short steps is separate (`ziffern.training.fast_steps`).
"""

import math
from pathlib import Path
from typing import Any, Self

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ziffern.data.batches import Batch, derived_seed
from ziffern.data.datamodule import ImageDataModule
from ziffern.errors import DivergedError, InputError
from ziffern.files.untrusted import open_below, reading
from ziffern.models.normalization import Normalize
from ziffern.records.checkpoint import MAX_BYTES
from ziffern.records.reader import CONFIG, read_configuration
from ziffern.training.loading import load_model
from ziffern.training.optimizers import Optimization, OptimizerMaker, SchedulerMaker
from ziffern.training.scores import Scores, scores_of


class ImageClassifier(pl.LightningModule):
    """Normalizes images, runs the net, computes the loss, and keeps the scores.

    Args:
        net: Maps float images (B, C, H, W) to logits (B, classes).
        optimizer: Makes the optimizer from the net's parameters (a partial).
        scheduler: Makes the learning-rate scheduler from the optimizer (a partial), or None. One whose
            constructor takes `total_steps` receives them.
        normalize: The first step of the model; fitted to the data before training.
        augment: Maps uint8 images (B, C, H, W) of training batches to float ones in levels from 0 to 255.
        loss: Mean loss of logits (B, classes) and labels (B,); None is cross-entropy.
        seed: Seed of the random streams in training.
        fuse: Use the optimizer's fused kernel where it has one.
        scheduler_interval: `step` or `epoch`; None is the scheduler's usual interval.
        monitor: The validation score that ReduceLROnPlateau follows.

    Raises:
        InputError: The optimizer or the scheduler refuses its settings (a negative rate, say).
        DivergedError: While training: the loss is no longer finite.
    """

    _jit_is_scripting = True  # Lightning's: `trainer` is None, not an error, which torch.jit.trace would run into

    def __init__(
        self,
        net: nn.Module,
        optimizer: OptimizerMaker,
        scheduler: SchedulerMaker | None = None,
        normalize: Normalize | None = None,
        augment: nn.Module | None = None,
        loss: nn.Module | None = None,
        seed: int = 0,
        fuse: bool = True,
        scheduler_interval: str | None = None,
        monitor: str = "val/loss",
    ) -> None:
        super().__init__()
        # channels_last: convolutions are up to a quarter faster on the CPU; nothing else is affected.
        self.net = net.to(memory_format=torch.channels_last)
        self.normalize = normalize or Normalize()
        self.augment = augment
        self.loss = loss or nn.CrossEntropyLoss()
        self.train_scores = Scores()
        self.seed = seed
        self.batches_seen = 0  # in this epoch
        self.provenance: dict[str, bool | int | float | str] = {}  # plain values that every checkpoint carries
        self.epoch_scores: dict[str, float] = {}  # training scores of the latest finished epoch
        self.val_outputs: list[tuple[Tensor, Tensor]] = []  # logits and labels of each batch
        self.test_outputs: list[tuple[Tensor, Tensor]] = []
        self.optimization = Optimization(optimizer, scheduler, fuse, scheduler_interval, monitor)
        # Bad settings are refused now.
        self.optimization.make_scheduler(self.optimization.make_optimizer(self.net.parameters()), total_steps=100)

    @property
    def parameter_count(self) -> int:
        """Trainable and frozen parameters of the net."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **kwargs: Any,
    ) -> Self:
        """Return the model of a checkpoint in a run folder, whose configuration replaces Lightning's hyperparameters.

        With arguments of `__init__` in `kwargs`, such as `net`, it is Lightning's own method, for any checkpoint.

        Raises:
            InputError: The checkpoint is not in a run folder, or is damaged, or does not fit its configuration.
        """
        if kwargs or hparams_file is not None or not isinstance(checkpoint_path, str | Path):
            return super().load_from_checkpoint(
                checkpoint_path, map_location, hparams_file, strict, weights_only, **kwargs
            )
        path = Path(checkpoint_path).expanduser().absolute()
        folder = path.parent.parent
        if not (folder / CONFIG).is_file():
            raise InputError("training.weights.no_run", path=path)
        with reading(path):
            file = open_below(folder, f"{path.parent.name}/{path.name}", MAX_BYTES)
        with file:
            model = load_model(cls, read_configuration(folder)["model"], file, path)
        # Weights are read to the CPU, where a mapping of devices, or a function, would have them.
        device = map_location.get("cpu") if isinstance(map_location, dict) else map_location
        return model.to(None if callable(device) else device).train()  # Lightning's is in training mode too

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes) of images (B, C, H, W).

        Their levels are 0 to 255, uint8 or float; floats of which none is above 1 are taken for shares of 255.
        """
        if images.is_floating_point():
            images = images * torch.where(images.amax() <= 1, 255.0, 1.0)
        return self._logits(images)

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(self.normalize(images))
        return logits

    def loss_of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean loss and the logits (B, classes) of a training batch."""
        images, labels = batch
        logits = self._logits(images if self.augment is None else self.augment(images))
        return self.loss(logits, labels), logits

    def setup(self, stage: str) -> None:
        """Fit the normalization where a Trainer is used on its own; `train` has done it before."""
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and not self.provenance and isinstance(data, ImageDataModule):
            self.normalize.fit(data.dataset.images, data.parts.train)

    def on_train_start(self) -> None:
        """Let a restored cosine end with the epochs of this run."""
        if self.optimization.scheduler:
            self.optimization.adopt(self.lr_schedulers())

    def on_train_epoch_start(self) -> None:
        """Seed the epoch's random stream."""
        torch.manual_seed(derived_seed(self.seed, self.current_epoch, self.global_rank))
        self.batches_seen = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch for Lightning to step on."""
        return self.scored_loss(batch)

    def scored_loss(self, batch: Batch) -> Tensor:
        """Return the loss of a training batch and add it to the scores, which are logged every few batches."""
        loss, logits = self.loss_of(batch)
        self.train_scores.add(loss, logits, batch[1])
        self.batches_seen += 1
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # 0 is Lightning's value for never
        if every and self.batches_seen % every == 0:
            scores = self.train_scores.settle(self.loss)
            self._check_finite("train/loss", scores["loss"])
            self._log({f"train/{name}": value for name, value in scores.items()}, self.trainer.global_step + 1)
        return loss

    def on_train_epoch_end(self) -> None:
        """Step an epoch's scheduler before the checkpoint is saved; Lightning would do it after."""
        scheduler: Any = self.lr_schedulers() if self.optimization.scheduler else None
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(self.trainer.callback_metrics[self.optimization.monitor])
        elif scheduler is not None and not self.optimization.steps_each_batch:
            scheduler.step()

    def on_validation_start(self) -> None:
        """Drop the outputs of an earlier validation; compute and log the training scores of the epoch that it ends."""
        self.val_outputs = []
        if self._is_fitting():
            self.epoch_scores = self.train_scores.compute(self.loss)
            self._check_finite("train/loss", self.epoch_scores["loss"])
            scores = {f"train/{name}_epoch": value for name, value in self.epoch_scores.items()}
            self._log(scores, self.trainer.global_step)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the logits (B, classes) and labels, to be scored together."""
        images, labels = batch
        self.val_outputs.append((self(images), labels))

    def on_validation_epoch_end(self) -> None:
        """Log `val/loss` and `val/acc`."""
        scores = scores_of(self.loss, self.val_outputs, self.trainer.world_size)
        self._check_finite("val/loss", scores["loss"])
        values = {f"val/{name}": value for name, value in scores.items()}
        # For callbacks that monitor them; equal in all processes already, which sync_dist tells Lightning.
        self.log_dict(values, logger=False, sync_dist=True)
        if self._is_fitting():
            self._log(values, self.trainer.global_step)
        self.val_outputs = []

    def on_test_start(self) -> None:
        """Drop the outputs of an earlier test."""
        self.test_outputs = []

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the logits (B, classes) and labels, to be recorded and scored together."""
        self.test_outputs.append((self(batch[0]).float(), batch[1]))

    def on_test_epoch_end(self) -> None:
        """Log `test/loss` and `test/acc` for those who use a Trainer on its own."""
        scores = scores_of(self.loss, self.test_outputs, 1)
        self.log_dict({f"test/{name}": value for name, value in scores.items()}, logger=False, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return the optimizer, with its scheduler where there is one."""
        optimizer = self.optimization.make_optimizer(self.net.parameters())
        if self.optimization.scheduler is None:
            return optimizer
        scheduler = self.optimization.make_scheduler(optimizer, self.total_steps())
        interval = "step" if self.optimization.steps_each_batch else "epoch"
        monitor = {"monitor": self.optimization.monitor} if self.automatic_optimization else {}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval, **monitor}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Step a scheduler that steps every batch; others step in `on_train_epoch_end`."""
        if self.optimization.steps_each_batch:
            scheduler.step()

    def total_steps(self) -> int:
        """Return the optimizer steps of the whole run in this process, if nothing stops it early."""
        return int(self.trainer.estimated_stepping_batches)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the settings and data that the weights come from."""
        checkpoint["ziffern"] = dict(self.provenance)

    def _is_fitting(self) -> bool:
        return self.trainer.state.fn == TrainerFn.FITTING and not self.trainer.sanity_checking

    def _log(self, values: dict[str, float], step: int) -> None:
        """Log at an optimizer step; Lightning's own logging counts calls of `training_step`."""
        for logger in self.trainer.loggers:
            logger.log_metrics(values, step=step)

    def _check_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise DivergedError("training.diverged", metric=name, value=value, epoch=self.current_epoch + 1)
