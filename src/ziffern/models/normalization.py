"""Normalization as the first step of a model, so that every checkpoint includes its statistics.

Decisions: all kinds are one formula, (x - mean) / std in levels from 0 to 255, per channel; the kind only selects the
statistics. Fitting on the training part is the default; `fit_on=all` exists because a published recipe uses it, and is
recorded in the run. The statistics of gray images are scalars, as in checkpoints of version 0.1.0.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ziffern.data.spec import image_shape, with_channels
from ziffern.errors import InputError

FIXED = {"unit": (0.0, 255.0), "symmetric": (127.5, 127.5)}  # to [0, 1]; to [-1, 1], (x / 255 - 0.5) * 2
BLOCK = 1000  # images counted at once


class Normalize(nn.Module):
    """Turn images (B, C, H, W) in levels from 0 to 255, uint8 or float32, into float images of the same shape.

    Args:
        kind: `unit` (x / 255), `symmetric` ((x / 255 - 0.5) * 2), or `standardize` (mean 0, standard deviation 1
            per channel over all pixels of the images it is fitted on).
        fit_on: For standardize: `train` or `all`.
        image: Channels, height and width of the model's images; None is MNIST's shape.

    Attributes:
        image: The shape as a tuple.

    Raises:
        InputError: An unknown kind or fit_on.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: str = "standardize", fit_on: str = "train", image: Sequence[int] | None = None) -> None:
        super().__init__()
        if kind != "standardize" and kind not in FIXED:
            raise InputError("models.normalize.kind", kind=kind, known=["standardize", *FIXED])
        if fit_on not in ("train", "all"):
            raise InputError("models.normalize.fit_on", fit_on=fit_on)
        self.kind, self.fit_on, self.image = kind, fit_on, image_shape(image)
        channels = self.image[0]
        shape = () if channels == 1 else (channels, 1, 1)
        for name, value in zip(("mean", "std"), FIXED.get(kind, (0.0, 255.0)), strict=True):
            self.register_buffer(name, torch.full(shape, value))

    def fit(self, images: NDArray[np.uint8], train: NDArray[np.int64]) -> None:
        """Set mean and deviation from images (N, C, H, W); `train` are the indices of the training part."""
        if self.kind != "standardize":
            return
        images = with_channels(images)
        chosen = np.arange(len(images)) if self.fit_on == "all" else train
        # Counting the 256 levels is exact. One block at a time, as bincount converts every pixel to int64.
        blocks = np.array_split(chosen, math.ceil(len(chosen) / BLOCK))
        levels, channels = np.arange(256), range(images.shape[1])
        parts = [[np.bincount(images[block, each].ravel(), minlength=256) for each in channels] for block in blocks]
        counts = np.sum(parts, axis=0)  # (C, 256)
        pixels = counts.sum(1)  # (C,)
        means = counts @ levels / pixels
        deviations = np.sqrt((counts * (levels - means[:, None]) ** 2).sum(1) / pixels)
        if deviations.min() == 0:
            raise InputError("models.normalize.constant")
        for buffer, values in ((self.mean, means), (self.std, deviations)):
            buffer.copy_(torch.from_numpy(values).view_as(buffer))

    def forward(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) in the model's precision, from levels (B, C, H, W) or gray (B, H, W)."""
        if images.dim() == 3:  # noqa: PLR2004
            images = images.unsqueeze(1)
        return images.to(torch.float32, copy=True).sub_(self.mean).div_(self.std).to(self.mean.dtype)

    def statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and deviation of each channel, (C,) each, in levels."""
        mean, std = (buffer.double().reshape(-1).cpu().numpy() for buffer in (self.mean, self.std))
        return mean, std
