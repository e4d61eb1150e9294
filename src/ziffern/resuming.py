"""What a checkpoint must look like for a training to go on from it; it may be somebody else's, or damaged."""

import traceback
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import torch
from msgspec import Meta
from torch import Tensor

from ziffern.module import DigitClassifier
from ziffern.records.schema import Count, Epoch, Number, Text, from_plain


class _History(TypedDict, total=False):
    rows: list[Epoch]
    elapsed: float


class _Checkpoints(TypedDict):
    best_model_path: Text
    best_k_models: Annotated[dict[str, Any], Meta(max_length=1)]


class _Loader(TypedDict):
    taken: Count


class _Scores(TypedDict):
    sums: Annotated[list[Number], Meta(min_length=3, max_length=3)]
    waiting: list[Annotated[list[Any], Meta(min_length=3, max_length=3)]]


class _Middle(TypedDict, total=False):
    """Where an epoch was left; `nowhere` alone, where no run can go on."""

    nowhere: bool
    batches: Count
    loader: _Loader
    micro_steps: Annotated[int, Meta(ge=1, le=1000)] | None
    scores: _Scores
    random: Any


def check_training_state(checkpoint: Mapping[str, Any], model: DigitClassifier) -> None:
    """Check what Lightning and this project restore of a checkpoint, but for the weights.

    Raises:
        ValueError: A part is not as a training writes it; the message names it.
    """
    for key, state in checkpoint.get("callbacks", {}).items():
        kind: Any = {"History": _History, "RunCheckpoints": _Checkpoints}.get(str(key).partition("{")[0])
        if kind is not None:
            _check(state, kind, f"state of {kind.__name__.strip('_')}")
    if middle := checkpoint.get("ziffern_middle"):
        _check(middle, _Middle, "progress within the epoch")
        _check_middle(middle)
    _check_optimizer(checkpoint["optimizer_states"], model)


def is_restoring(error: Exception) -> bool:
    """Return whether an error arose while Lightning restored a checkpoint."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_filename.endswith("checkpoint_connector.py") for frame, _ in frames)


def _check(state: Any, kind: type, name: str) -> None:
    try:
        from_plain(state, kind)
    except ValueError as error:
        raise ValueError(f"{name} is not as it was written ({error})") from error


def _check_middle(middle: Mapping[str, Any]) -> None:
    if middle.get("nowhere"):
        return
    if missing := {"batches", "loader", "micro_steps", "scores", "random"} - middle.keys():
        raise ValueError(f"progress within the epoch has no {sorted(missing)[0]}")
    random = middle["random"]
    if not (isinstance(random, Tensor) and random.dtype == torch.uint8 and random.shape == torch.get_rng_state().shape):
        raise ValueError("random state is not one of torch's")
    if not all(isinstance(item, Tensor) for batch in middle["scores"]["waiting"] for item in batch):
        raise ValueError("progress within the epoch has scores that are no tensors")


def _check_optimizer(states: list[dict[str, Any]], model: DigitClassifier) -> None:
    """Raise ValueError where the optimizer's state is not one of this model's optimizer."""
    fresh = model.make_optimizer()
    wanted = fresh.state_dict()["param_groups"]
    groups = states[0].get("param_groups") if len(states) == 1 else None
    if not isinstance(groups, list) or len(groups) != len(wanted):
        raise ValueError("optimizer state is that of another optimizer")
    for group, own in zip(groups, wanted, strict=True):
        if not isinstance(group, dict) or any(_kind(group.get(key)) != _kind(own[key]) for key in own):
            raise ValueError("optimizer settings are those of another optimizer")
        if group["params"] != own["params"] or any(_kind(value) == "other" for value in group.values()):
            raise ValueError("optimizer settings are not as they were written")
    shapes = [parameter.shape for group in fresh.param_groups for parameter in group["params"]]
    state = states[0].get("state")
    if not isinstance(state, dict) or not set(state) <= set(range(len(shapes))):
        raise ValueError("optimizer state is not that of this model's parameters")
    for place, values in state.items():
        tensors = values.values() if isinstance(values, dict) else [None]
        if not all(value is None or _fits(value, shapes[place]) for value in tensors):
            raise ValueError("optimizer state is not that of this model's parameters")


def _fits(value: Any, shape: torch.Size) -> bool:
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.shape in (shape, torch.Size()))


def _kind(value: Any) -> str:
    """Return what kind of setting of an optimizer a value is; None and numbers may take each other's place."""
    if value is None or isinstance(value, int | float) or (isinstance(value, Tensor) and value.dim() == 0):
        return "number"
    if isinstance(value, list | tuple) and all(_kind(item) == "number" for item in value):
        return "numbers"
    return "text" if isinstance(value, str) else "other"
