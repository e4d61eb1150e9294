"""Checks the training state in a checkpoint, which may be foreign or damaged, before anything is restored from it."""

import copy
import traceback
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import torch
from msgspec import Meta
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ziffern.errors import InputError
from ziffern.records.convert import from_plain
from ziffern.records.schema import Count, Epoch, Text
from ziffern.text.printable import reason
from ziffern.training.fast_steps.middle import KEY as MIDDLE
from ziffern.training.fast_steps.middle import check_middle
from ziffern.training.module import ImageClassifier


class _History(TypedDict, total=False):
    rows: list[Epoch]
    elapsed: float


class _Checkpoints(TypedDict):
    best_model_path: Text
    best_k_models: Annotated[dict[str, Any], Meta(max_length=1)]


class _Stopping(TypedDict):
    wait_count: Count
    stopped_epoch: Count
    patience: Count


CALLBACKS: dict[str, Any] = {"History": _History, "RunCheckpoints": _Checkpoints, "EarlyStopping": _Stopping}


def check_training_state(checkpoint: Mapping[str, Any], model: ImageClassifier) -> None:
    """Check everything in a checkpoint that a resumed run restores, except for the weights.

    Raises:
        InputError: A part does not have the form in which a run writes it; the message names the part.
    """
    part = ""
    try:
        for key, state in checkpoint.get("callbacks", {}).items():
            part = str(key).partition("{")[0]
            if part in CALLBACKS:
                from_plain(state, CALLBACKS[part])
        for part, state in checkpoint.get("loops", {}).items():  # noqa: B007  # the message names it
            _check_counters(state)
        part = MIDDLE
        if middle := checkpoint.get(MIDDLE):
            check_middle(middle)
    except ValueError as error:
        raise InputError("training.state.damaged", part=part, problem=error) from error
    try:
        _try_step(checkpoint, model)
    except Exception as error:  # loading a foreign state or stepping with it may raise anything
        problem = error if isinstance(error, InputError) else reason(error)
        raise InputError("training.state.other_optimizer", problem=problem) from error


def is_restoring(error: Exception) -> bool:
    """Return whether an error arose while Lightning restored a checkpoint."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_filename.endswith("checkpoint_connector.py") for frame, _ in frames)


def _check_counters(node: Any) -> None:
    """Check the counters of Lightning's loops, at any depth of their state."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("total", "current"):
                from_plain(value, dict[str, Count])
            else:
                _check_counters(value)


def _try_step(checkpoint: Mapping[str, Any], model: ImageClassifier) -> None:
    """Take a step on a copy of the model with the optimizer and the scheduler as they were saved."""
    (state,), schedulers = copy.deepcopy([checkpoint["optimizer_states"], checkpoint.get("lr_schedulers", [])])
    trial = copy.deepcopy(model)
    optimizer = trial.optimization.make_optimizer(trial.net.parameters())
    scheduler = trial.optimization.make_scheduler(optimizer, total_steps=100)
    for parameter in trial.net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.load_state_dict(state)
    _check_shapes(optimizer)
    optimizer.step()
    if scheduler is not None:
        (state,) = schedulers
        from_plain(state["last_epoch"], Count)
        scheduler.load_state_dict(state | {"last_epoch": 0})  # after its last step it would refuse another one
        scheduler.step(*([0.0] if isinstance(scheduler, ReduceLROnPlateau) else []))


def _check_shapes(optimizer: Optimizer) -> None:
    """Raise InputError where a fused kernel would write beyond a state that does not have its parameter's shape."""
    if not any(group.get("fused") for group in optimizer.param_groups):
        return  # other kernels check shapes, and the shapes of Adafactor's states differ on purpose
    for parameter, values in optimizer.state.items():
        expected = parameter.shape, parameter.dtype
        for value in values.values():
            if isinstance(value, Tensor) and value.dim() and (value.shape, value.dtype) != expected:
                shapes = {"shape": str(tuple(value.shape)), "parameter": str(tuple(parameter.shape))}
                raise InputError("training.state.other_shape", **shapes)
