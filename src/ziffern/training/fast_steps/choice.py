"""Decides when fast steps are used, and makes their callbacks.

Decision: fast steps are the default, except where a setting or a callback counts or changes Lightning's own steps.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelSummary

from ziffern.errors import InputError
from ziffern.training.fast_steps.middle import MiddleOfEpoch
from ziffern.training.fast_steps.steps import ClipGradients, FastSteps

AUTO = "auto"
PLAIN_ONLY = (  # settings of Lightning's Trainer that count its batches or change its steps
    *("accumulate_grad_batches", "limit_train_batches", "overfit_batches", "val_check_interval", "profiler"),
    *("max_steps", "min_steps", "max_time", "fast_dev_run", "barebones"),
)


def micro_steps(wanted: int | str, settings: Mapping[str, Any], callbacks: Sequence[pl.Callback]) -> int | str:
    """Return the optimizer steps per `training_step`, or `auto` to measure how many pay off (`fast_steps.pace`).

    With 1, Lightning takes the steps; `auto` becomes 1 where a setting or a callback needs Lightning's own steps.

    Args:
        wanted: The setting `trainer.micro_steps`.
        settings: The other settings of the Trainer.
        callbacks: Those of the run. This project's own do nothing within an epoch, or hook into the optimizer's steps;
            others are the same if they have `is_per_epoch`.

    Raises:
        InputError: The setting is neither auto nor a whole number of at least 1, or above 1 beside such a setting.
    """
    obstacles = [f"trainer.{name}" for name in PLAIN_ONLY if settings.get(name) is not None]
    obstacles += [type(callback).__name__ for callback in callbacks if not _is_safe(callback)]
    if wanted == AUTO:
        return 1 if obstacles else AUTO
    if type(wanted) is not int or wanted < 1:
        raise InputError("training.micro_steps.not_a_count", value=wanted)
    if wanted > 1 and obstacles:
        raise InputError("training.micro_steps.needs_plain_steps", value=wanted, setting=obstacles[0])
    return wanted


def _is_safe(callback: pl.Callback) -> bool:
    is_own = type(callback).__module__.startswith("ziffern.") or getattr(callback, "is_per_epoch", False)
    return is_own or isinstance(callback, ModelSummary)


def step_callbacks(
    wanted: int | str, settings: Mapping[str, Any], callbacks: Sequence[pl.Callback]
) -> list[pl.Callback]:
    """Return the callbacks that take the steps of a run, and save and restore its progress within an epoch."""
    count = micro_steps(wanted, settings, callbacks)
    if count == 1 or settings.get("max_epochs") == 0:
        return [MiddleOfEpoch(None)]
    fast = FastSteps(None if count == AUTO else int(count))
    return [MiddleOfEpoch(fast), fast, *([ClipGradients(fast)] if settings.get("gradient_clip_val") else [])]
