"""Weights of an earlier run as the start of a new one.

Decisions: nothing but the net and its normalization statistics is taken, so settings, data and epochs are those of the
new run; a fingerprint of the weights is recorded, since the file may be moved or changed; weights that were trained on
another split of the same data are refused, since they have seen images of the new test part.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ziffern.data.datamodule import ImageDataModule
from ziffern.errors import InputError
from ziffern.records.checkpoint import parse_checkpoint, read_checkpoint
from ziffern.records.reader import open_file
from ziffern.training.loading import differing_tensors
from ziffern.training.module import ImageClassifier

PARTS = ("net.", "normalize.")  # prefixes of the tensors that are taken
NORMALIZE = ("kind", "fit_on")


def take_weights(model: ImageClassifier, source: str, data: ImageDataModule) -> str:
    """Give a model the weights of a checkpoint, and return their fingerprint, 16 hexadecimal digits of a SHA-256.

    The normalization statistics are taken too, unless the model normalizes in another way than the checkpoint's.

    Args:
        model: Its normalization is already fitted to the data.
        source: A run folder, whose best checkpoint is used, or a checkpoint.
        data: The new run's data.

    Raises:
        InputError: The checkpoint is missing or damaged, its tensors have other shapes than the model's, or it was
            trained on another split of the same data.
    """
    path = Path(source).expanduser()
    checkpoint = _checkpoint(path)
    saved = checkpoint.get("ziffern", {})
    origin = {"fingerprint": data.dataset.fingerprint, "split": data.split_name}
    if saved.get("fingerprint") == origin["fingerprint"] and saved.get("split") != origin["split"]:
        raise InputError("training.init_from.other_split", source=path, saved=saved.get("split"), own=origin["split"])
    weights = {name: value for name, value in checkpoint["state_dict"].items() if name.startswith(PARTS)}
    own = {key: getattr(model.normalize, key) for key in NORMALIZE}
    keeps = all(saved.get(f"model.normalize.{key}", value) == value for key, value in own.items())
    chosen = PARTS if keeps else PARTS[:1]
    given, current = (
        {name: value for name, value in tensors.items() if name.startswith(chosen)}
        for tensors in (weights, model.state_dict())
    )
    if differing := differing_tensors(current, given):
        in_source, in_model = given.get(differing[0]), current.get(differing[0])
        values = {"source": path, "tensor": differing[0]}
        if in_source is None or in_model is None:
            raise InputError(f"training.init_from.{'missing' if in_source is None else 'surplus'}", **values)
        raise InputError(
            "training.init_from.other_shapes",
            **values,
            saved=str(tuple(in_source.shape)),
            own=str(tuple(in_model.shape)),
        )
    model.load_state_dict(given, strict=False)
    return _fingerprint(weights)


def _checkpoint(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        return read_checkpoint(path)
    name = "checkpoints/best.ckpt"
    with open_file(path, name) as file:
        try:
            return parse_checkpoint(file)
        except InputError as error:
            raise InputError("training.weights.unreadable", path=path / name, problem=error) from error


def _fingerprint(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
