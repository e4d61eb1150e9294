"""The LightningModule: wraps any architecture, knows none.

Decisions: the first step is the normalisation, so a checkpoint takes raw uint8 images; the random stream of
an epoch (dropout) is a function of seed and epoch alone, so that a run that was killed and resumed ends
with the very weights of one that was not; training scores are settled every `trainer.log_every_n_steps`
batches, since logging at each step costs more than the step. Steps are Lightning's own (automatic
optimization); where batches come in lists, the same steps are taken here, several a `training_step`.
"""

import inspect
import math
import sys
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.types import Steppable
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ziffern.data.batches import Batch, derived_seed
from ziffern.errors import DivergedError, InputError
from ziffern.models.normalization import Normalize
from ziffern.training.scores import Scores

HEARD = {  # hooks that Lightning calls at every step, listeners or not
    "backward": ("on_before_backward", "on_after_backward"),
    "step": ("on_before_optimizer_step",),
}


class PlainPrecision(Precision):
    """32 bits, without Lightning's hooks around a step that a model has taken itself and nobody listens to.

    They take 3 % of a small network's step.
    """

    def optimizer_step(  # type: ignore[override]
        self, optimizer: Steppable, model: "ImageClassifier", closure: Callable[[], Any], **kwargs: Any
    ) -> Any:
        """Step the optimizer."""
        if model.step_is_plain:
            return optimizer.step(closure=closure, **kwargs)
        return super().optimizer_step(optimizer, model, closure, **kwargs)


class ImageClassifier(pl.LightningModule):
    """Normalise, run the net, take the loss, and keep score.

    Args:
        net: Maps float images (B, 1, 28, 28) to logits (B, C).
        optimizer: Makes the optimizer from the net's parameters (a partial).
        scheduler: Makes the learning-rate scheduler from the optimizer (a partial), or None. One whose
            constructor takes `total_steps` is told them and steps every batch; others step every epoch.
        normalize: The first step of the model; fitted before training by whoever has the data.
        augment: Changes uint8 images (B, 28, 28) of training batches into float grey levels (B, 28, 28).
        loss: Mean loss of logits (B, C) and labels (B,); cross-entropy where None.
        seed: Seed of the random streams in training.
        fuse: Use the optimizer's fused kernel where it has one.

    Raises:
        InputError: The optimizer refuses its settings (a negative rate, say); from `training_step`: the
            loss is no longer finite.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., Any] | None = None,
        normalize: Normalize | None = None,
        augment: nn.Module | None = None,
        loss: nn.Module | None = None,
        seed: int = 0,
        fuse: bool = True,
    ) -> None:
        super().__init__()
        # channels_last: convolutions are up to a quarter faster on the CPU; nothing else is touched by it.
        self.net = net.to(memory_format=torch.channels_last)
        self.normalize = normalize or Normalize()
        self.augment = augment
        self.loss = loss or nn.CrossEntropyLoss()
        self.train_scores, self.val_scores = Scores(), Scores()
        self.seed, self.fuse = seed, fuse
        self._settle_every, self._batches_seen = 1, 0  # the latter within the epoch
        self._backward: Callable[[Tensor], None] = self.manual_backward
        self.step_is_plain = False
        self._epoch_is_done = False
        self._middle: dict[str, Any] = {}  # of the epoch in which the checkpoint was saved that is gone on from
        self.clip: dict[str, Any] = {}  # arguments of `clip_gradients`, where the steps are taken here
        self.provenance: dict[str, bool | int | float | str] = {}  # plain values that every checkpoint carries
        self.window: dict[str, float] = {}  # training scores of the batches last settled
        self.epoch_scores: dict[str, float] = {}  # training scores of the epoch last finished
        self.test_logits: list[Tensor] = []
        self._make_optimizer, self._make_scheduler = optimizer, scheduler
        self.make_scheduler(self.make_optimizer(), total_steps=100)  # whatever they refuse is said now

    @property
    def parameter_count(self) -> int:
        """Trainable and frozen parameters of the net."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    def make_optimizer(self) -> Optimizer:
        """Return a fresh optimizer of the net's parameters."""
        maker = self._make_optimizer
        given = getattr(maker, "keywords", {})
        takes_fused = "fused" in inspect.signature(getattr(maker, "func", maker)).parameters
        # One kernel for all parameters, where the optimizer has it and nobody chose otherwise.
        more = {"fused": True} if self.fuse and takes_fused and "fused" not in given else {}
        try:
            optimizer = maker(self.net.parameters(), **more)
        except (ValueError, TypeError, RuntimeError) as error:
            lr = given.get("lr", 0.0)
            if not (isinstance(lr, int | float) and 0 <= lr < math.inf):
                raise InputError(f"model.optimizer.lr={lr}: must be a number of at least 0, such as 0.001") from error
            raise InputError(f"model.optimizer: {error}: give it a value that this optimizer takes") from error
        if isinstance(optimizer, LBFGS):
            raise InputError("model.optimizer: LBFGS evaluates a batch several times a step: use another optimizer")
        return optimizer

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of images (B, 28, 28) in grey levels, uint8 or float32."""
        logits: Tensor = self.net(self.normalize(images))
        return logits

    def on_train_start(self) -> None:
        """Ask the trainer how often to settle the scores; it says 0 for never, that is once an epoch."""
        self._settle_every = self.trainer.log_every_n_steps or sys.maxsize  # type: ignore[attr-defined]
        self._backward = Tensor.backward if self.backward_is_plain() else self.manual_backward
        self.step_is_plain = not (self.automatic_optimization or self.clip or self._is_heard("step"))
        if self._middle:
            self._restore_middle()

    def on_train_epoch_start(self) -> None:
        """Seed the epoch's random stream."""
        torch.manual_seed(derived_seed(self.seed, self.current_epoch, self.global_rank))
        self._batches_seen, self._epoch_is_done = 0, False

    def training_step(self, batch: Batch | list[Batch], batch_idx: int) -> Tensor | None:
        """Return the loss of one batch for Lightning to step on, or take the steps of a list of batches."""
        if isinstance(batch, list):
            self._take_steps(batch)
            loss = None
        else:
            loss = self._scored_loss(batch, self.trainer.global_step + 1)
        if self.trainer.is_last_batch:
            self._settle_training(None)
            self.epoch_scores = self.train_scores.compute()
            values = {f"train/{name}_epoch": value for name, value in self.epoch_scores.items()}
            self._log(values, self.trainer.global_step + self.automatic_optimization)
        return loss

    def on_train_epoch_end(self) -> None:
        """Step an epoch's scheduler, before the checkpoint is saved: Lightning would do it after."""
        self._epoch_is_done = True
        scheduler = self._scheduler()
        if scheduler is None or self.steps_each_batch:
            return
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(self.trainer.callback_metrics["val/loss"])
        else:
            scheduler.step()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep score of one batch."""
        images, labels = batch
        logits = self(images)
        self.val_scores.add(self.loss(logits, labels), logits, labels)

    def on_validation_epoch_end(self) -> None:
        """Log `val/loss` and `val/acc`."""
        scores = self.val_scores.compute()
        if not math.isfinite(scores["loss"]):
            raise self._diverged("val/loss", scores["loss"])
        values = {f"val/{name}": value for name, value in scores.items()}
        # For whatever monitors them; equal on all processes already, and sync_dist says so to Lightning.
        self.log_dict(values, logger=False, sync_dist=True)
        if self.trainer.state.fn == TrainerFn.FITTING:
            # Lightning goes on well from a checkpoint saved now, unless the epoch is validated several times.
            self._epoch_is_done = self.trainer.is_last_batch and self.trainer.val_check_interval == 1.0
            self._log(values, self.trainer.global_step)

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
        scheduler = self.make_scheduler(optimizer, self.total_steps())
        how = {"interval": "step" if self.steps_each_batch else "epoch", "monitor": "val/loss"}
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, **(how if self.automatic_optimization else {})},
        }

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients where the steps are taken here: now they are no longer scaled for 16 bits."""
        if self.clip:
            self.clip_gradients(optimizer, **self.clip)

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Step for Lightning the scheduler that steps every batch; the others step in `on_train_epoch_end`."""
        if self.steps_each_batch:
            scheduler.step()

    def total_steps(self) -> int:
        """Return the optimizer steps of the whole run, on this process, if nothing stops it early."""
        planned = int(self.trainer.estimated_stepping_batches)  # also makes the trainer set its loader up
        loader: Any = self.trainer.train_dataloader
        return planned if self.automatic_optimization else loader.steps * int(self.trainer.max_epochs or 0)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add where the weights come from, and within an epoch its random streams and scores, as plain values."""
        checkpoint["ziffern"] = dict(self.provenance)
        current: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        if (
            self._batches_seen
            and not self._epoch_is_done
            and (self.trainer.is_last_batch or current.processed < current.ready)
        ):
            checkpoint["ziffern_middle"] = {"nowhere": True}
        elif self._batches_seen and not self._epoch_is_done:
            cuda = self.device.type == "cuda"
            checkpoint["ziffern_middle"] = {
                "batches": self._batches_seen,
                "loader": self.trainer.train_dataloader.state_dict(),  # type: ignore[union-attr]
                "micro_steps": getattr(self.trainer, "datamodule").micro_steps,  # noqa: B009
                "scores": self.train_scores.state(),
                "random": torch.get_rng_state(),
                "random_cuda": torch.cuda.get_rng_state(self.device) if cuda else None,
            }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what an epoch that was left in its middle goes on with."""
        self._middle = checkpoint.get("ziffern_middle", {})

    def _restore_middle(self) -> None:
        middle, self._middle = self._middle, {}
        self._batches_seen = middle["batches"]
        # Lightning does so only if nobody asked for the number of steps before.
        self.trainer.train_dataloader.load_state_dict(middle["loader"])  # type: ignore[union-attr]
        if self.global_rank:  # a checkpoint is the first process's
            torch.manual_seed(derived_seed(self.seed, self.current_epoch, self.global_rank, self._batches_seen))
            return
        self.train_scores.restore(middle["scores"])
        torch.set_rng_state(middle["random"])
        if self.device.type == "cuda" and middle["random_cuda"] is not None:
            torch.cuda.set_rng_state(middle["random_cuda"], self.device)

    def _take_steps(self, batches: list[Batch]) -> None:
        first = self.trainer.global_step + 1
        optimizer, take_step = self.optimizers(), self.stepper()
        for step, batch in enumerate(batches, start=first):
            loss = self._scored_loss(batch, step)
            optimizer.zero_grad()  # type: ignore[union-attr]
            self._backward(loss)
            take_step()

    def stepper(self) -> Callable[[], None]:
        """Return what steps the optimizer, and the scheduler where it steps every batch."""
        optimizer, scheduler = self.optimizers(), self._scheduler() if self.steps_each_batch else None
        assert isinstance(optimizer, LightningOptimizer)

        def take_step() -> None:
            optimizer.step()
            if scheduler is not None:
                scheduler.step()

        return take_step

    def backward_is_plain(self) -> bool:
        """Say whether Lightning would do nothing around `loss.backward()`: it takes 3 % of a small network's step."""
        single = isinstance(self.trainer.strategy, SingleDeviceStrategy)
        return (
            single
            and type(self.trainer.precision_plugin) in (Precision, PlainPrecision)
            and not self._is_heard("backward")
        )

    def _is_heard(self, what: str) -> bool:
        callbacks: list[pl.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]  # set by its connector
        return any(is_overridden(hook, each, pl.Callback) for hook in HEARD[what] for each in callbacks)

    def loss_of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean loss and the logits (B, C) of a training batch."""
        images, labels = batch
        logits = self.forward(images if self.augment is None else self.augment(images))
        return self.loss(logits, labels), logits

    def _scored_loss(self, batch: Batch, step: int) -> Tensor:
        """Return the loss of a training batch, and keep its score; settle every so many batches."""
        loss, logits = self.loss_of(batch)
        self._keep_score(loss, logits, batch[1], step)
        return loss

    def _keep_score(self, loss: Tensor, logits: Tensor, labels: Tensor, step: int) -> None:
        self.train_scores.add(loss, logits, labels)
        self._batches_seen += 1
        if self._batches_seen % self._settle_every == 0:
            self._settle_training(step)

    def _settle_training(self, step: int | None) -> None:
        """Score the batches that wait, and log them at `step`; a rest too small to compare is not logged."""
        scores = self.train_scores.settle()
        if not scores:
            return
        self.window = scores
        if not math.isfinite(scores["loss"]):
            raise self._diverged("train/loss", scores["loss"])
        if step is not None:
            self._log({f"train/{name}": value for name, value in scores.items()}, step)

    def _log(self, values: dict[str, float], step: int) -> None:
        """Log at an optimizer step; Lightning's own logging counts batches, or lists of them."""
        for logger in self.trainer.loggers:
            logger.log_metrics(values, step=step)

    def _diverged(self, name: str, value: float) -> DivergedError:
        return DivergedError(
            f"training diverged: {name} is {value} in epoch {self.current_epoch + 1}: "
            "lower model.optimizer.lr, or set trainer.gradient_clip_val=1"
        )

    def make_scheduler(self, optimizer: Optimizer, total_steps: int) -> Any:
        """Return the scheduler of an optimizer, or None."""
        if self._make_scheduler is None:
            return None
        try:
            return self._make_scheduler(optimizer, **({"total_steps": total_steps} if self.steps_each_batch else {}))
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise InputError(f"model.scheduler: {error}: give it a value that this scheduler takes") from error

    def _scheduler(self) -> Any:
        return self.lr_schedulers() if self._make_scheduler is not None else None

    @property
    def steps_each_batch(self) -> bool:
        """Say whether the scheduler steps every batch: whether its constructor asks for the total."""
        maker = getattr(self._make_scheduler, "func", self._make_scheduler)
        return maker is not None and "total_steps" in inspect.signature(maker).parameters
