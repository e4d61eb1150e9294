"""Measures how many optimizer steps are worth taking in one `training_step`.

Decision: the Trainer's own work around a `training_step` costs about 0.3 ms; divided among steps that together take
50 ms it is negligible, and progress, interrupts and stops are still handled many times per second.
"""

import copy
import time

import pytorch_lightning as pl
import torch

from ziffern.data.datamodule import ImageDataModule
from ziffern.training.module import ImageClassifier

LIST_SECONDS = 0.05  # for the steps of one `training_step` together
MAX_STEPS = 100  # more gain nothing
DISTRIBUTED_STEPS = 20  # fixed, since processes would measure different numbers
REPEATS = 3


def steps_at_once(model: ImageClassifier, data: ImageDataModule, trainer: pl.Trainer) -> int:
    """Return how many steps of `model` on batches of `data` take about 50 ms: 1 to 100.

    Measured on a copy, in a forked random stream, so the training that follows does not depend on the measurement, and
    no result depends on its outcome. Several processes (DDP) must agree, and take 20.
    """
    if trainer.world_size > 1:
        return DISTRIBUTED_STEPS
    device = trainer.strategy.root_device
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda):
        chosen = data.parts.train[: data.batch_size]
        images = torch.from_numpy(data.dataset.images[chosen]).to(device)
        labels = torch.from_numpy(data.dataset.labels[chosen]).to(device)
        trial = copy.deepcopy(model).to(device).train()
        seconds = []
        for _ in range(1 + REPEATS):  # the first one warms up
            start = time.perf_counter()
            with trainer.precision_plugin.train_step_context():
                loss, _ = trial.loss_of((images, labels))
            loss.backward()  # type: ignore[no-untyped-call]
            loss.item()  # waits for the device
            seconds.append(time.perf_counter() - start)
            if len(seconds) > 1 and seconds[-1] > 2 * LIST_SECONDS:
                return 1
    return max(1, min(MAX_STEPS, round(LIST_SECONDS / min(seconds[1:]))))
