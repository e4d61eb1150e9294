"""How fast models predict on this machine, and how much memory their weights take."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ziffern.training.module import ImageClassifier

ROUNDS, BATCH = 7, 500


def images_per_second(models: Sequence["ImageClassifier | None"]) -> list[float | None]:
    """Return images per second of prediction for each model; None for None.

    All are measured in turn, round by round, on random images in batches of BATCH. The fastest round counts, because
    other work on the machine can only slow a round down.
    """
    import torch

    draw = np.random.default_rng(0).integers
    shapes = {model.normalize.image for model in models if model is not None}
    images = {shape: torch.from_numpy(draw(0, 256, (BATCH, *shape), dtype=np.uint8)) for shape in shapes}
    seconds: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):  # the first warms up
            for model, times in zip(models, seconds, strict=True):
                if model is not None:
                    batch = images[model.normalize.image]
                    start = time.perf_counter()
                    model(batch)
                    times.append(time.perf_counter() - start)
    return [BATCH / min(times[1:]) if times else None for times in seconds]


def weight_bytes(model: "ImageClassifier | None") -> int | None:
    """Return the bytes of a model's weights; None for None."""
    return None if model is None else sum(value.nbytes for value in model.net.state_dict().values())
