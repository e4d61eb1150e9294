"""How many optimizer steps are worth taking in one `training_step`.

Decision: the Trainer's own work around a `training_step` costs about 0.3 ms; divided among steps that together take
50 ms it is lost in the noise, and progress, interrupts and stops still come many times a second.
"""

import copy
import time

import pytorch_lightning as pl
import torch

from ziffern.data.datamodule import ImageDataModule
from ziffern.training.module import ImageClassifier

TOGETHER = 0.05  # seconds that the steps of one `training_step` take together
MOST = 100  # beyond, nothing is gained
AGREED = 20  # where several have to take the same number
TRIES = 3


def steps_at_once(model: ImageClassifier, data: ImageDataModule, trainer: pl.Trainer) -> int:
    """Return how many steps of `model` on batches of `data` take about 50 ms: 1 to 100.

    Measured on a copy, in a forked random stream: what is trained afterwards does not depend on it, and neither
    does any result on what it returns. Several processes (DDP) must agree, and take 20.
    """
    if trainer.world_size > 1:
        return AGREED
    device = trainer.strategy.root_device
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda):
        chosen = data.parts.train[: data.batch_size]
        images = torch.from_numpy(data.dataset.images[chosen]).to(device)
        labels = torch.from_numpy(data.dataset.labels[chosen]).to(device)
        trial = copy.deepcopy(model).to(device).train()
        seconds = []
        for _ in range(1 + TRIES):  # the first one warms up
            began = time.perf_counter()
            with trainer.precision_plugin.train_step_context():
                loss, _ = trial.loss_of((images, labels))
            loss.backward()  # type: ignore[no-untyped-call]
            loss.item()  # waits for the device
            seconds.append(time.perf_counter() - began)
            if len(seconds) > 1 and seconds[-1] > 2 * TOGETHER:
                return 1
    return max(1, min(MOST, round(TOGETHER / min(seconds[1:]))))
