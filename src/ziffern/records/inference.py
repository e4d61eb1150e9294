"""What a checkpoint records for its use on new images: temperature, thresholds, preparation, and the not-a-digit score.

Decision: it is an entry of the checkpoint, so that the weights are never used with the numbers of others; it holds
plain values and tensors alone, and is checked like the rest of the checkpoint before it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
import torch
from msgspec import Meta

from ziffern.analysis.guarantee import THRESHOLDS, Counts
from ziffern.analysis.not_digit import BASIS, FEATURES, NotDigit
from ziffern.errors import InputError
from ziffern.records.convert import from_plain
from ziffern.records.schema import Count, Number, Share

KEY = "ziffern_inference"
PREPARE = Literal["digit", "resize"]
_Shares = Annotated[list[Share], Meta(min_length=len(THRESHOLDS), max_length=len(THRESHOLDS))]
_Counts = Annotated[list[Count], Meta(min_length=len(THRESHOLDS), max_length=len(THRESHOLDS))]


class _Thresholds(TypedDict):
    expected: _Shares
    accepted: _Counts
    errors: _Counts
    images: Count
    models: Annotated[float, Meta(ge=1)]


class _NotDigit(TypedDict):
    weights: Annotated[list[Number], Meta(min_length=FEATURES, max_length=FEATURES)]
    threshold: Share
    auroc: Share | None
    false_positives: Share | None


class _Inference(TypedDict):
    temperature: Annotated[float, Meta(ge=0.01, le=100)]
    prepare: PREPARE
    dark_ground: bool
    counts: _Thresholds | None
    not_digit: _NotDigit | None


@dataclass(frozen=True)
class Inference:
    """How a model is used on new images.

    Args:
        temperature: Logits are divided by it.
        prepare: How pictures of another shape become images: digit or resize.
        dark_ground: Whether the images of training have a dark, plain ground, so that dark ink on light paper is
            inverted.
        counts: Validation images at each threshold of the confidence; None if the model was not calibrated.
        not_digit: Whether an image is a digit at all; None where the model does not read digits.
    """

    temperature: float = 1.0
    prepare: PREPARE = "resize"
    dark_ground: bool = False
    counts: Counts | None = None
    not_digit: NotDigit | None = None

    @property
    def known_temperature(self) -> float | None:
        """The temperature; None if the model was not calibrated."""
        return None if self.counts is None else self.temperature

    def entry(self) -> dict[str, Any]:
        """Return the entry of a checkpoint."""
        counts, score = self.counts, self.not_digit
        entry: dict[str, Any] = {
            "temperature": self.temperature,
            "prepare": self.prepare,
            "dark_ground": self.dark_ground,
            "counts": None if counts is None else {k: _plain(getattr(counts, k)) for k in _Thresholds.__annotations__},
            "not_digit": None,
        }
        if score is not None:
            tensors = {name: torch.from_numpy(vars(score)[name]) for name in ("means", "basis")}
            rest = {key: _plain(value) for key, value in vars(score).items() if key not in tensors}
            entry |= {"not_digit": rest, **tensors}
        return entry

    @classmethod
    def of_checkpoint(cls, checkpoint: Mapping[str, Any], classes: int, pixels: int) -> "Inference | None":
        """Return the entry of a parsed checkpoint; None if it has none.

        Args:
            checkpoint: From `ziffern.records.checkpoint`.
            classes: Of the model.
            pixels: Of an image of the model.

        Raises:
            InputError: The entry is damaged.
        """
        if KEY not in checkpoint:
            return None
        content = dict(checkpoint[KEY]) if isinstance(checkpoint[KEY], Mapping) else {}
        means, basis = content.pop("means", None), content.pop("basis", None)
        plain: Any = from_plain(content, _Inference)
        counts, score = plain["counts"], None
        if counts:
            accepted, errors = np.array(counts["accepted"], np.int64), np.array(counts["errors"], np.int64)
            counts = Counts(np.array(counts["expected"]), accepted, errors, counts["images"], counts["models"])
            if (errors > accepted).any() or (np.diff(accepted) > 0).any():
                raise InputError("records.inference.damaged", part="counts")
        if plain["not_digit"]:
            _check_tensor(means, torch.uint8, (classes, pixels), "means")
            _check_tensor(basis, torch.int8, (BASIS, pixels), "basis")
            values = plain["not_digit"] | {"weights": np.array(plain["not_digit"]["weights"])}
            score = NotDigit(means.numpy(), basis.numpy(), **values)
        return cls(plain["temperature"], plain["prepare"], plain["dark_ground"], counts or None, score)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _check_tensor(tensor: Any, dtype: torch.dtype, shape: tuple[int, int], part: str) -> None:
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != dtype or tuple(tensor.shape) != shape:
        raise InputError("records.inference.damaged", part=part)
