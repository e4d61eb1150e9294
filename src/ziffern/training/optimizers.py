"""The optimizer and the learning-rate scheduler of a model, made from partials that the configuration gives."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, ReduceLROnPlateau

from ziffern.errors import InputError

OptimizerMaker = Callable[..., Optimizer]
SchedulerMaker = Callable[..., Any]
INTERVALS = ("step", "epoch")


def monitor_mode(monitor: str) -> str:
    """Return `max` where a higher score is better, or `min`."""
    return "min" if monitor.endswith("loss") else "max"


@dataclass(frozen=True)
class Optimization:
    """Makes the optimizer and the scheduler of a model, and names the setting at fault where they refuse one.

    Args:
        optimizer: Makes the optimizer from parameters (a partial).
        scheduler: Makes the scheduler from the optimizer (a partial), or None.
        fuse: Use one kernel for all parameters, where the optimizer has it and the partial does not choose otherwise.
        interval: When the scheduler steps: after each `step` of the optimizer, or each `epoch`; None is `step` for
            OneCycleLR and CyclicLR, and `epoch` for others.
        monitor: The validation score that ReduceLROnPlateau follows.

    Raises:
        InputError: The interval is unknown, or does not suit the scheduler.
    """

    optimizer: OptimizerMaker
    scheduler: SchedulerMaker | None = None
    fuse: bool = True
    interval: str | None = None
    monitor: str = "val/loss"

    def __post_init__(self) -> None:
        if self.interval not in (None, *INTERVALS):
            raise InputError("training.scheduler.unknown_interval", value=self.interval, known=INTERVALS)
        if self.interval == "step" and self._scheduler_class is ReduceLROnPlateau:
            raise InputError("training.scheduler.plateau_steps")
        if self.interval == "epoch" and self.takes_total_steps:
            raise InputError("training.scheduler.spans_steps", name=self._scheduler_class.__name__)

    @property
    def _scheduler_class(self) -> Any:
        return getattr(self.scheduler, "func", self.scheduler)

    @property
    def takes_total_steps(self) -> bool:
        """Whether the scheduler spans the whole run: whether its constructor takes `total_steps`."""
        return self.scheduler is not None and "total_steps" in inspect.signature(self._scheduler_class).parameters

    @property
    def steps_each_batch(self) -> bool:
        """Whether the scheduler steps after each step of the optimizer, not after each epoch."""
        if self.interval is None:
            return self.takes_total_steps or self._scheduler_class is CyclicLR
        return self.scheduler is not None and self.interval == "step"

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
        more: dict[str, Any] = {"total_steps": total_steps} if self.takes_total_steps else {}
        if self._scheduler_class is ReduceLROnPlateau:
            more["mode"] = monitor_mode(self.monitor)
        try:
            return self.scheduler(optimizer, **more)
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise InputError("training.scheduler.bad_setting", reason=str(error)) from error

    def check_mode(self) -> None:
        """Check that ReduceLROnPlateau would not follow the score in the wrong direction.

        Raises:
            InputError: Its configured mode is the opposite one.
        """
        mode, own_mode = monitor_mode(self.monitor), getattr(self.scheduler, "keywords", {}).get("mode")
        if self._scheduler_class is ReduceLROnPlateau and own_mode not in (None, mode):
            raise InputError("training.scheduler.other_mode", mode=own_mode, monitor=self.monitor, needed=mode)

    def adopt(self, scheduler: Any) -> None:
        """Adapt a restored scheduler to this run: a cosine to its number of epochs, ReduceLROnPlateau to its score.

        In version 0.1.0, ReduceLROnPlateau always followed `val/loss`.
        """
        mode = monitor_mode(self.monitor)
        if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode != mode:
            scheduler._init_is_better(mode, scheduler.threshold, scheduler.threshold_mode)
            scheduler.best, scheduler.num_bad_epochs = scheduler.mode_worse, 0
        length = getattr(self.scheduler, "keywords", {}).get("T_max")
        if not isinstance(scheduler, CosineAnnealingLR) or length in (None, scheduler.T_max):
            return
        scheduler.T_max, low = length, scheduler.eta_min
        share = (1 + math.cos(math.pi * scheduler.last_epoch / length)) / 2
        for group, base in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True):
            group["lr"] = low + (base - low) * share
        scheduler._last_lr = [group["lr"] for group in scheduler.optimizer.param_groups]
