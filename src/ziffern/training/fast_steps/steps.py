"""Several optimizer steps per `training_step`, without those of Lightning's hooks that nothing uses.

Decision: the callback replaces two methods of the LightningModule and one of the LightningDataModule on the instances,
so both classes are ordinary ones and can be read without knowing this optimization.
"""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.types import Steppable
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.optim import Optimizer

from ziffern.data.batches import Batch
from ziffern.data.datamodule import ImageDataModule
from ziffern.training.fast_steps.chunks import Chunks
from ziffern.training.fast_steps.pace import steps_at_once
from ziffern.training.module import ImageClassifier

BACKWARD_HOOKS = ("on_before_backward", "on_after_backward")  # Lightning calls them around every step, used or not
STEP_HOOKS = ("on_before_optimizer_step",)


class PlainPrecision(Precision):
    """32 bits, without Lightning's hooks around an optimizer step: they take 3 % of the time of a small net's step."""

    def optimizer_step(  # type: ignore[override]
        self, optimizer: Steppable, model: pl.LightningModule, closure: Callable[[], Any], **kwargs: Any
    ) -> Any:
        """Step the optimizer."""
        return optimizer.step(closure=closure, **kwargs)


class FastSteps(pl.Callback):
    """Passes batches to the module in lists, and takes an optimizer step on each batch of a list.

    Args:
        micro_steps: Optimizer steps per `training_step`; None measures how many take about 50 ms.
    """

    def __init__(self, micro_steps: int | None = None) -> None:
        self.micro_steps = micro_steps
        self.is_active = False
        self._backward: Callable[[Tensor], Any] = Tensor.backward

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Replace batches with lists of them, and Lightning's steps with steps on these; other modules keep theirs."""
        model, data = pl_module, trainer.datamodule  # type: ignore[attr-defined]  # set by its connector
        if stage != "fit" or not (isinstance(model, ImageClassifier) and isinstance(data, ImageDataModule)):
            return
        self.is_active = True
        if self.micro_steps is None:
            self.micro_steps = steps_at_once(model, data, trainer)
        count, batches = self.micro_steps, ImageDataModule.train_dataloader
        steps = len(batches(data)) * int(trainer.max_epochs or 0)

        def training_step(batches: list[Batch], batch_idx: int) -> None:
            self._take_steps(model, batches)

        # Plain functions: copying the module (to average its weights, say) must not copy this callback.
        data.train_dataloader = lambda: Chunks(batches(data), count)  # type: ignore[assignment, method-assign, return-value]
        model.training_step = training_step  # type: ignore[assignment, method-assign]
        model.total_steps = lambda: steps  # type: ignore[method-assign]
        model.automatic_optimization = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Skip Lightning's hooks around the backward pass and the step where no callback uses them."""
        if not self.is_active:
            return
        is_plain = type(trainer.precision_plugin) is Precision
        is_single = isinstance(trainer.strategy, SingleDeviceStrategy)
        without_hooks = is_plain and is_single and not _is_used(BACKWARD_HOOKS, trainer)
        self._backward = Tensor.backward if without_hooks else pl_module.manual_backward
        if is_plain and not _is_used(STEP_HOOKS, trainer):
            trainer.strategy.precision_plugin = PlainPrecision()

    def _take_steps(self, model: ImageClassifier, batches: list[Batch]) -> None:
        optimizer: Any = model.optimizers()
        scheduler: Any = model.lr_schedulers() if model.optimization.steps_each_batch else None
        for batch in batches:
            loss = model.scored_loss(batch)
            optimizer.zero_grad()
            self._backward(loss)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()


class ClipGradients(pl.Callback):
    """Clips the gradients of fast steps after they are unscaled (16 bits), as Lightning does for its own steps.

    Args:
        fast_steps: Takes the steps; its `setup` comes first.
    """

    def __init__(self, fast_steps: FastSteps) -> None:
        self._fast_steps = fast_steps
        self._settings: dict[str, Any] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take over the trainer's settings, which Lightning refuses for fast steps."""
        if self._fast_steps.is_active and (limit := trainer.gradient_clip_val):
            self._settings = {"gradient_clip_val": limit, "gradient_clip_algorithm": trainer.gradient_clip_algorithm}
            trainer.gradient_clip_val = trainer.gradient_clip_algorithm = None

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Clip the gradients."""
        if self._settings:
            pl_module.clip_gradients(optimizer, **self._settings)


def _is_used(hooks: tuple[str, ...], trainer: pl.Trainer) -> bool:
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by its connector
    return any(is_overridden(hook, callback, pl.Callback) for hook in hooks for callback in callbacks)
