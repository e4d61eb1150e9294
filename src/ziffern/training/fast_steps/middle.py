"""Saves the progress within an epoch in a checkpoint, and restores it.

Decision: Lightning restores a checkpoint saved within an epoch, but neither the random streams nor the scores of the
earlier batches. With them, a resumed run ends with the weights and scores of an uninterrupted one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import pytorch_lightning as pl
import torch
from msgspec import Meta
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from ziffern.data.batches import derived_seed
from ziffern.errors import InputError
from ziffern.records.convert import from_plain
from ziffern.records.schema import Count, Number
from ziffern.training.fast_steps.steps import FastSteps
from ziffern.training.module import ImageClassifier

KEY = "ziffern_middle"  # in a checkpoint


class _Loader(TypedDict):
    taken: Count


class _Scores(TypedDict):
    sums: Annotated[list[Number], Meta(min_length=3, max_length=4)]  # three in version 0.1.0
    waiting: list[Annotated[list[Any], Meta(min_length=3, max_length=3)]]


class Middle(TypedDict):
    """The progress within an epoch."""

    batches: Count  # so far in this epoch
    loader: _Loader
    micro_steps: Annotated[int, Meta(ge=1, le=1000)] | None  # None: Lightning's own steps
    scores: _Scores
    random: Any  # torch's state, (5056,) uint8
    random_cuda: NotRequired[Any]


class MiddleOfEpoch(pl.Callback):
    """Saves the progress within an epoch in each checkpoint, and resumes from it.

    Args:
        fast_steps: The callback that takes the steps; None where Lightning does.
    """

    def __init__(self, fast_steps: FastSteps | None) -> None:
        self._fast_steps = fast_steps
        self._is_epoch_done, self._was_cut = True, False
        self._resumed: dict[str, Any] = {}

    def resume(self, checkpoint: Mapping[str, Any], path: Path) -> None:
        """Prepare to continue from a checkpoint whose progress within the epoch was checked (`check_middle`).

        Raises:
            InputError: Its progress is counted in other steps.
        """
        if not (middle := checkpoint.get(KEY)):
            return
        if (self._fast_steps is None) != (middle["micro_steps"] is None):
            raise InputError("training.checkpoint.other_steps", path=path, steps=middle["micro_steps"] or 1)
        if self._fast_steps is not None:
            self._fast_steps.micro_steps = middle["micro_steps"]
        self._resumed = middle

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the progress of a checkpoint."""
        middle, self._resumed = self._resumed, {}
        if not middle or not isinstance(pl_module, ImageClassifier):
            return
        pl_module.batches_seen = middle["batches"]
        # Lightning does so only if the number of steps was not computed before.
        trainer.train_dataloader.load_state_dict(middle["loader"])  # type: ignore[union-attr]
        if trainer.global_rank:  # the first process wrote the checkpoint
            seed = derived_seed(pl_module.seed, trainer.current_epoch, trainer.global_rank, pl_module.batches_seen)
            torch.manual_seed(seed)
            return
        pl_module.train_scores.restore(middle["scores"])
        torch.set_rng_state(middle["random"])
        if pl_module.device.type == "cuda" and middle.get("random_cuda") is not None:
            torch.cuda.set_rng_state(middle["random_cuda"], pl_module.device)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note that the epoch has begun."""
        self._is_epoch_done = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note whether the epoch is done: Lightning resumes correctly after validation."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._is_epoch_done = trainer.is_last_batch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that the epoch is done, or was cut short by a callback and scored for the batches that it saw."""
        self._is_epoch_done, self._was_cut = trainer.is_last_batch, not trainer.is_last_batch

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the random streams and scores within an epoch, as plain values and tensors."""
        if not isinstance(pl_module, ImageClassifier) or self._is_epoch_done or not pl_module.batches_seen:
            return
        progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        # A validation or a step is due, or the epoch's scores have been computed.
        if trainer.is_last_batch or self._was_cut or progress.processed < progress.ready:
            checkpoint[KEY] = {"nowhere": True}  # no run can continue from here
            return
        cuda = pl_module.device.type == "cuda"
        checkpoint[KEY] = {
            "batches": pl_module.batches_seen,
            "loader": trainer.train_dataloader.state_dict(),  # type: ignore[union-attr]
            "micro_steps": self._fast_steps.micro_steps if self._fast_steps else None,
            "scores": pl_module.train_scores.state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(pl_module.device) if cuda else None,
        }


def check_middle(middle: Mapping[str, Any]) -> None:
    """Check the progress within an epoch, which may be foreign or damaged.

    Raises:
        ValueError: It does not have the form in which `MiddleOfEpoch` writes it.
    """
    from_plain(middle, Middle)
    random = middle["random"]
    if not (isinstance(random, Tensor) and random.dtype == torch.uint8 and random.shape == torch.get_rng_state().shape):
        raise InputError("training.state.bad_random")
    if not all(isinstance(item, Tensor) for batch in middle["scores"]["waiting"] for item in batch):
        raise InputError("training.state.bad_scores")
