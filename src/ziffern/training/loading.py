"""The model of a run from its configuration and its checkpoint, neither of which is trusted.

Decision: the net is first built without memory and compared with the weights, so that a configuration cannot allocate
more memory than the checkpoint has bytes.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ziffern.config.instantiate import build
from ziffern.errors import InputError
from ziffern.records.checkpoint import parse_checkpoint

Model = TypeVar("Model", bound=nn.Module)


def load_model(kind: type[Model], config: Mapping[str, Any], file: BinaryIO, path: Path) -> Model:
    """Return the model that `config` describes with the weights of a checkpoint, ready to predict.

    Args:
        kind: The class of the model: an ImageClassifier.
        config: The part `model` of a run's configuration, as plain containers.
        file: The open checkpoint.
        path: Its path, for messages.

    Raises:
        InputError: A target is not allowed, the checkpoint is damaged, or its weights belong to another net.
    """
    try:
        weights = parse_checkpoint(file)["state_dict"]
    except ValueError as error:
        raise InputError("training.weights.unreadable", path=path, problem=error) from error
    config = without_weights_file(config)

    def make(is_empty: bool) -> Model:
        # Fused optimizer kernels refuse tensors without memory.
        model: Model = build({**config, "fuse": False} if is_empty else dict(config), "model", kind)
        return model

    return with_weights(make, weights, path)


def with_weights(make: Callable[[bool], Model], weights: Mapping[str, Tensor], path: Path) -> Model:
    """Return the model that `make` makes, with these weights, ready to predict.

    Args:
        make: Makes the model of a configuration that is not trusted; True is passed for one without memory.
        weights: All tensors of its state.
        path: Their file, for messages.

    Raises:
        InputError: The weights belong to another net.
    """
    with torch.device("meta"), _parameter_limit(len(weights)):
        empty = make(True)
    if differing := differing_tensors(empty.state_dict(), weights):
        raise InputError("training.weights.other_config", path=path, count=len(differing), example=differing[0])
    model = make(False)
    model.load_state_dict(weights)
    return model.eval()


def without_weights_file(config: Any) -> Any:
    """Return a model's configuration without files of initial weights, which the checkpoint's weights replace."""
    if isinstance(config, list):
        return [without_weights_file(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    return {key: without_weights_file(value) for key, value in config.items() if key != "weights_file"}


@contextmanager
def _parameter_limit(count: int) -> Iterator[None]:
    """Raise InputError if this thread makes more than `count` parameters: a net of a billion layers, say."""
    thread, made = threading.get_ident(), 0

    def registered(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal made
        made += threading.get_ident() == thread
        if made > count:
            raise InputError("training.weights.too_many_parameters", count=count)

    hook = register_module_parameter_registration_hook(registered)
    try:
        yield
    finally:
        hook.remove()


def differing_tensors(own: Mapping[str, Tensor], other: Mapping[str, Any]) -> list[str]:
    """Return the names of tensors that one of two models lacks, or whose shape or kind of number differs."""
    names = [name for name in own if _kind(other.get(name)) != _kind(own[name])]
    return names + [name for name in other if name not in own]


def _kind(tensor: Any) -> object:
    return (tensor.shape, tensor.dtype.is_floating_point) if isinstance(tensor, Tensor) else None
