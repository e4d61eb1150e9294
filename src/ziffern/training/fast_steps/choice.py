"""Decides when fast steps are used, and makes their callbacks.

Decision: fast steps are the default, except where a setting or a callback counts or changes Lightning's own steps.
"""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

from ziffern.errors import InputError
from ziffern.training.fast_steps.middle import MiddleOfEpoch
from ziffern.training.fast_steps.steps import ClipGradients, FastSteps

AUTO = "auto"
CLIPPING = ("gradient_clip_val", "gradient_clip_algorithm")
PLAIN_ONLY = (  # settings of Lightning's Trainer that count its batches or change its steps
    *("accumulate_grad_batches", "limit_train_batches", "overfit_batches", "val_check_interval", "profiler"),
)
SAFE_CALLBACKS = (  # they do nothing within an epoch, or hook into the optimizer's own steps
    "ziffern.training.callbacks.early_stopping.EarlyStopping",
    "ziffern.training.callbacks.ema.EMA",
)


def micro_steps(trainer: Mapping[str, Any], callbacks: Mapping[str, Mapping[str, Any]]) -> int | str:
    """Return the optimizer steps per `training_step`, or `auto` to measure how many pay off (`fast_steps.pace`).

    With 1, Lightning takes the steps; `auto` becomes 1 where a setting or a callback needs Lightning's own steps.

    Args:
        trainer: The settings of the Trainer, and `micro_steps`.
        callbacks: The settings of the callbacks in use, each with its `_target_`.

    Raises:
        InputError: The setting is neither auto nor a whole number of at least 1, or above 1 beside such a setting.
    """
    wanted: int | str = trainer["micro_steps"]
    obstacles = [f"trainer.{name}" for name in PLAIN_ONLY if trainer.get(name) is not None]
    obstacles += [f"callbacks.{name}" for name, node in callbacks.items() if node.get("_target_") not in SAFE_CALLBACKS]
    if wanted == AUTO:
        return 1 if obstacles else AUTO
    if type(wanted) is not int or wanted < 1:
        raise InputError("training.micro_steps.not_a_count", value=wanted)
    if wanted > 1 and obstacles:
        raise InputError("training.micro_steps.needs_plain_steps", value=wanted, setting=obstacles[0])
    return wanted


def lightning_settings(trainer: Mapping[str, Any], callbacks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings that Lightning's Trainer receives: it does not clip the gradients of fast steps."""
    own = ("micro_steps", *(CLIPPING if micro_steps(trainer, callbacks) != 1 else ()))
    return {key: value for key, value in trainer.items() if key not in own}


def step_callbacks(trainer: Mapping[str, Any], callbacks: Mapping[str, Mapping[str, Any]]) -> list[pl.Callback]:
    """Return the callbacks that take the steps of a run, and save and restore its progress within an epoch."""
    count = micro_steps(trainer, callbacks)
    if count == 1 or not trainer["max_epochs"]:
        return [MiddleOfEpoch(None)]
    fast = FastSteps(None if count == AUTO else int(count))
    clip = {name: trainer[name] for name in CLIPPING if trainer.get(name)} if trainer.get(CLIPPING[0]) else {}
    return [MiddleOfEpoch(fast), fast, *([ClipGradients(clip)] if clip else [])]
