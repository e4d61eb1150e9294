"""Normalisation as the first step of a model, so that every checkpoint carries its own.

Decisions: all kinds are one formula, (x - mean) / std in grey levels from 0 to 255; the kind only says
where the two numbers come from. Fitting on the training part is the default; `fit_on=all` exists because a
published recipe did so, and the run says so.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ziffern.errors import InputError

FIXED = {"unit": (0.0, 255.0), "symmetric": (127.5, 127.5)}  # to [0, 1]; to [-1, 1], (x / 255 - 0.5) * 2
BLOCK = 1000  # images that are counted at once


class Normalize(nn.Module):
    """Turn grey levels (B, 28, 28), uint8 or float32, into float images (B, 1, 28, 28).

    Args:
        kind: `unit` (x / 255), `symmetric` ((x / 255 - 0.5) * 2), or `standardize` (mean 0, deviation 1
            over all pixels of the images it is fitted on).
        fit_on: For standardize: `train` or `all`.

    Raises:
        InputError: Another kind or fit_on.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: str = "standardize", fit_on: str = "train") -> None:
        super().__init__()
        if kind != "standardize" and kind not in FIXED:
            raise InputError(f"model.normalize.kind={kind}: expected standardize, {' or '.join(FIXED)}")
        if fit_on not in ("train", "all"):
            raise InputError(f"model.normalize.fit_on={fit_on}: expected train or all")
        self.kind, self.fit_on = kind, fit_on
        mean, std = FIXED.get(kind, (0.0, 255.0))
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    def fit(self, images: NDArray[np.uint8], train: NDArray[np.int64]) -> None:
        """Set mean and deviation from images (N, 28, 28); `train` are the training part's indices."""
        if self.kind != "standardize":
            return
        chosen = np.arange(len(images)) if self.fit_on == "all" else train
        # From the 256 counts of grey levels: exact. Block by block, as bincount makes int64 of every pixel.
        blocks = np.array_split(chosen, math.ceil(len(chosen) / BLOCK))
        counts = np.sum([np.bincount(images[block].ravel(), minlength=256) for block in blocks], axis=0)
        levels = np.arange(256)
        mean = float((counts * levels).sum() / counts.sum())
        std = float(np.sqrt((counts * (levels - mean) ** 2).sum() / counts.sum()))
        if std == 0:
            raise InputError(
                "all training pixels have the same grey level, so there is nothing to learn from: "
                "look at the images, or use model.normalize.kind=unit"
            )
        self.mean.fill_(mean)
        self.std.fill_(std)

    def forward(self, images: Tensor) -> Tensor:
        """Return images, float32 or the model's own precision, (B, 1, 28, 28) of grey levels (B, 28, 28)."""
        normalised = images.unsqueeze(1).to(torch.float32, copy=True).sub_(self.mean).div_(self.std)  # (B, 1, 28, 28)
        return normalised.to(self.mean.dtype)
