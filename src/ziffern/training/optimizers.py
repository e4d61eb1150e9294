"""The optimizer and the learning-rate scheduler of a model, made from partials that the configuration gives."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer

from ziffern.errors import InputError

OptimizerMaker = Callable[..., Optimizer]
SchedulerMaker = Callable[..., Any]


@dataclass(frozen=True)
class Optimization:
    """Makes the optimizer and the scheduler of a model, and names the setting at fault where they refuse one.

    Args:
        optimizer: Makes the optimizer from parameters (a partial).
        scheduler: Makes the scheduler from the optimizer (a partial), or None.
        fuse: Use one kernel for all parameters, where the optimizer has it and the partial does not choose otherwise.
    """

    optimizer: OptimizerMaker
    scheduler: SchedulerMaker | None = None
    fuse: bool = True

    @property
    def steps_each_batch(self) -> bool:
        """Whether the scheduler steps every batch, not every epoch: whether its constructor takes `total_steps`."""
        maker = getattr(self.scheduler, "func", self.scheduler)
        return maker is not None and "total_steps" in inspect.signature(maker).parameters

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Return a fresh optimizer of `parameters`.

        Raises:
            InputError: The optimizer refuses its settings (a negative rate, say), or needs several passes per step.
        """
        settings = getattr(self.optimizer, "keywords", {})
        takes_fused = "fused" in inspect.signature(getattr(self.optimizer, "func", self.optimizer)).parameters
        fused = {"fused": True} if self.fuse and takes_fused and "fused" not in settings else {}
        try:
            optimizer = self.optimizer(parameters, **fused)
        except (ValueError, TypeError, RuntimeError) as error:
            lr = settings.get("lr", 0.0)
            if not (isinstance(lr, int | float) and 0 <= lr < math.inf):
                raise InputError("training.optimizer.bad_lr", lr=lr) from error
            raise InputError("training.optimizer.bad_setting", reason=str(error)) from error
        if isinstance(optimizer, LBFGS):
            raise InputError("training.optimizer.lbfgs")
        return optimizer

    def make_scheduler(self, optimizer: Optimizer, total_steps: int) -> Any:
        """Return the scheduler of an optimizer for a run of `total_steps`, or None without one.

        Raises:
            InputError: The scheduler refuses its settings.
        """
        if self.scheduler is None:
            return None
        try:
            return self.scheduler(optimizer, **({"total_steps": total_steps} if self.steps_each_batch else {}))
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise InputError("training.scheduler.bad_setting", reason=str(error)) from error
