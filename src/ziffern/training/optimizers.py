"""The optimizer and the learning-rate scheduler of a model, made from partials that the configuration gives."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer

from ziffern.errors import InputError

OptimizerMaker = Callable[..., Optimizer]
SchedulerMaker = Callable[..., Any]


def make_optimizer(maker: OptimizerMaker, parameters: Iterable[nn.Parameter], fuse: bool) -> Optimizer:
    """Return a fresh optimizer of `parameters`.

    Args:
        maker: Makes it from parameters (a partial).
        parameters: Those that it updates.
        fuse: Use one kernel for all parameters, where the optimizer has it and `maker` does not choose otherwise.

    Raises:
        InputError: The optimizer refuses its settings (a negative rate, say), or needs several passes per step.
    """
    settings = getattr(maker, "keywords", {})
    takes_fused = "fused" in inspect.signature(getattr(maker, "func", maker)).parameters
    fused = {"fused": True} if fuse and takes_fused and "fused" not in settings else {}
    try:
        optimizer = maker(parameters, **fused)
    except (ValueError, TypeError, RuntimeError) as error:
        lr = settings.get("lr", 0.0)
        if not (isinstance(lr, int | float) and 0 <= lr < math.inf):
            raise InputError("training.optimizer.bad_lr", lr=lr) from error
        raise InputError("training.optimizer.bad_setting", reason=str(error)) from error
    if isinstance(optimizer, LBFGS):
        raise InputError("training.optimizer.lbfgs")
    return optimizer


def steps_each_batch(maker: SchedulerMaker | None) -> bool:
    """Return whether a scheduler steps every batch: whether its constructor takes `total_steps`."""
    maker = getattr(maker, "func", maker)
    return maker is not None and "total_steps" in inspect.signature(maker).parameters


def make_scheduler(maker: SchedulerMaker | None, optimizer: Optimizer, total_steps: int) -> Any:
    """Return the scheduler of an optimizer, or None where `maker` is None.

    Args:
        maker: Makes it from an optimizer (a partial).
        optimizer: Its learning rate is scheduled.
        total_steps: Steps of the whole run, for a scheduler that steps every batch.

    Raises:
        InputError: The scheduler refuses its settings.
    """
    if maker is None:
        return None
    try:
        return maker(optimizer, **({"total_steps": total_steps} if steps_each_batch(maker) else {}))
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise InputError("training.scheduler.bad_setting", reason=str(error)) from error
