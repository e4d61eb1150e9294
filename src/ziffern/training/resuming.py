"""What a checkpoint must look like for a training to go on from it; it may be somebody else's, or damaged."""

import copy
import traceback
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import torch
from msgspec import Meta
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ziffern.records.schema import Count, Epoch, Number, Text, from_plain
from ziffern.text.printable import one_line, reason
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


KINDS = {"History": _History, "RunCheckpoints": _Checkpoints, "EarlyStopping": _Stopping}  # of callbacks


class _Loader(TypedDict):
    taken: Count


class _Scores(TypedDict):
    sums: Annotated[list[Number], Meta(min_length=3, max_length=3)]
    waiting: list[Annotated[list[Any], Meta(min_length=3, max_length=3)]]


class _Middle(TypedDict, total=False):
    """Where an epoch was left."""

    batches: Count
    loader: _Loader
    micro_steps: Annotated[int, Meta(ge=1, le=1000)] | None
    scores: _Scores
    random: Any


def check_training_state(checkpoint: Mapping[str, Any], model: ImageClassifier) -> None:
    """Check what Lightning and this project restore of a checkpoint, but for the weights.

    Raises:
        ValueError: A part is not as a training writes it; the message names it.
    """
    for key, state in checkpoint.get("callbacks", {}).items():
        kind: Any = KINDS.get(str(key).partition("{")[0])
        if kind is not None:
            _check(state, kind, f"state of {kind.__name__.strip('_')}")
    if middle := checkpoint.get("ziffern_middle"):
        _check(middle, _Middle, "progress within the epoch")
        _check_middle(middle)
    for name, state in checkpoint.get("loops", {}).items():
        _check_progress(state, f"progress of {one_line(name)}")
    _try_step(checkpoint, model)


def is_restoring(error: Exception) -> bool:
    """Return whether an error arose while Lightning restored a checkpoint."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_filename.endswith("checkpoint_connector.py") for frame, _ in frames)


def _check(state: Any, kind: type, name: str) -> None:
    try:
        from_plain(state, kind)
    except ValueError as error:
        raise ValueError(f"{name} is not as it was written ({error})") from error


def _check_progress(node: Any, name: str) -> None:
    """Check the counters of Lightning's loops, wherever they lie in their state."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("total", "current"):
                _check(value, dict[str, Count], name)
            else:
                _check_progress(value, name)


def _check_middle(middle: Mapping[str, Any]) -> None:
    if missing := {"batches", "loader", "micro_steps", "scores", "random"} - middle.keys():
        raise ValueError(f"progress within the epoch has no {sorted(missing)[0]}")
    random = middle["random"]
    if not (isinstance(random, Tensor) and random.dtype == torch.uint8 and random.shape == torch.get_rng_state().shape):
        raise ValueError("random state is not one of torch's")
    if not all(isinstance(item, Tensor) for batch in middle["scores"]["waiting"] for item in batch):
        raise ValueError("progress within the epoch has scores that are no tensors")


def _try_step(checkpoint: Mapping[str, Any], model: ImageClassifier) -> None:
    """Take one step on a copy of the model with the optimizer and the scheduler as they were saved.

    Raises:
        ValueError: They are not this model's: whatever loading them or stepping runs into.
    """
    states = copy.deepcopy([checkpoint["optimizer_states"], checkpoint.get("lr_schedulers", [])])
    trial = copy.deepcopy(model)
    optimizer = trial.make_optimizer()
    scheduler = trial.make_scheduler(optimizer, total_steps=100)
    for parameter in trial.net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    try:
        (state,), schedulers = states
        optimizer.load_state_dict(state)
        _check_shapes(optimizer)
        optimizer.step()
        if scheduler is not None:
            (state,) = schedulers
            if not isinstance(state["last_epoch"], int):
                raise TypeError("last_epoch is no number")  # noqa: TRY301
            scheduler.load_state_dict(state | {"last_epoch": 0})  # at its end it would refuse to step
            scheduler.step(*([0.0] if isinstance(scheduler, ReduceLROnPlateau) else []))
    except Exception as error:
        raise ValueError(f"optimizer or scheduler is not that of this model ({reason(error)})") from error


def _check_shapes(optimizer: Optimizer) -> None:
    """Raise ValueError where a fused kernel would write beyond a state that does not have its parameter's shape."""
    if not any(group.get("fused") for group in optimizer.param_groups):
        return  # all other steps check shapes, and Adafactor's states have their own
    for parameter, values in optimizer.state.items():
        own = parameter.shape, parameter.dtype
        for value in values.values():
            if isinstance(value, Tensor) and value.dim() and (value.shape, value.dtype) != own:
                raise ValueError(f"a state of shape {tuple(value.shape)} for a parameter of {tuple(parameter.shape)}")
