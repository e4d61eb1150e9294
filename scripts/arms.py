"""The arms of the benchmark: a bare loop, this project, the usual recipe, and Keras.

The bare loop is a good one: fused Adam, channels_last, uint8 images in memory, batches by index. The usual recipe is
that of lightning-hydra-template: one image at a time through PIL and torchvision transforms, a DataLoader, torchmetrics
and `self.log` at each step. Keras receives the images as float32 in memory and calls `fit`. The project runs with its
defaults: TensorBoard, progress bar, checkpoints, validation.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms

from ziffern.data.datamodule import ImageDataModule
from ziffern.experiment.run import trainer_parts
from ziffern.training.module import ImageClassifier
from ziffern.training.recorder import Recorder
from ziffern.training.trainer import make_trainer


class EpochTimer(pl.Callback):
    """Seconds from the start of an epoch to the end of its last training batch; validation is left out."""

    is_per_epoch = True  # it leaves the steps alone

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock after the last batch."""
        if trainer.is_last_batch:
            self.seconds.append(time.perf_counter() - self._began)


class BareLoop:
    """A hand-written training.

    Args:
        model: Its net, and the statistics of its normalization.
        data: Set up.
    """

    def __init__(self, model: ImageClassifier, data: ImageDataModule) -> None:
        self.net, self.batch_size = model.net.to(memory_format=torch.channels_last), data.batch_size
        self.mean, self.std = model.normalize.mean, model.normalize.std
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)
        self.images, self.labels = torch.from_numpy(data.dataset.images), torch.from_numpy(data.dataset.labels)
        self.train, self.val = torch.from_numpy(data.parts.train), torch.from_numpy(data.parts.val)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalized images (B, 1, 28, 28) and labels (B,)."""
        images = self.images.index_select(0, chosen).float().sub_(self.mean).div_(self.std)
        return images, self.labels.index_select(0, chosen)

    def epoch(self, limit: int | None = None) -> float:
        """Train for one epoch, or on at most `limit` images of it, and return the seconds."""
        self.net.train()
        loss_of = nn.CrossEntropyLoss()
        began = time.perf_counter()
        for chosen in torch.split(self.train[torch.randperm(len(self.train))][:limit], self.batch_size):
            images, labels = self.batch(chosen)
            loss = loss_of(self.net(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return time.perf_counter() - began

    @torch.no_grad()
    def validate(self) -> float:
        """Return the accuracy on the validation part."""
        self.net.eval()
        hits = 0
        for chosen in torch.split(self.val, 500):
            images, labels = self.batch(chosen)
            hits += int((self.net(images).argmax(1) == labels).sum())
        return hits / len(self.val)

    def whole(self, epochs: int) -> float:
        """Return the seconds of some epochs, each validated, with the best and the last weights saved."""
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            best = 0.0
            for _ in range(epochs):
                self.epoch()
                accuracy = self.validate()
                torch.save(self.net.state_dict(), Path(folder, "last.pt"))
                if accuracy > best:
                    best = accuracy
                    torch.save(self.net.state_dict(), Path(folder, "best.pt"))
            return time.perf_counter() - began


def project(cfg: DictConfig, model: ImageClassifier, data: ImageDataModule) -> tuple[float, float]:
    """Return the seconds of the last epoch's training batches, and of the whole `Trainer.fit`.

    Everything is set up as `python train.py` does, on a terminal.
    """
    with tempfile.TemporaryDirectory() as folder:
        timer = EpochTimer()
        recorder = Recorder(Path(folder), cfg.monitor, Console(file=io.StringIO(), force_terminal=True))
        cfg.logger.tensorboard.save_dir = folder
        trainer = make_trainer(*trainer_parts(cfg), recorder, timer)
        began = time.perf_counter()
        trainer.fit(model, datamodule=data)
        return timer.seconds[-1], time.perf_counter() - began


class ImageAtATime(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's MNIST returns them: to PIL, to tensor, normalized."""

    def __init__(self, data: ImageDataModule) -> None:
        self.images = torch.from_numpy(data.dataset.images[data.parts.train, 0])
        self.labels = torch.from_numpy(data.dataset.labels[data.parts.train])
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])


class UsualModule(pl.LightningModule):
    """A LightningModule as the template writes it: metrics and logs at every step."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.criterion = net, nn.CrossEntropyLoss()
        self.train_acc, self.train_loss = MulticlassAccuracy(num_classes=10), MeanMetric()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss, after updating and logging two metrics."""
        images, labels = batch
        logits = self.net(images)
        loss: Tensor = self.criterion(logits, labels)
        self.train_loss(loss)
        self.train_acc(logits.argmax(1), labels)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam with its defaults."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def usual_recipe(net: nn.Module, data: ImageDataModule) -> float:
    """Return the seconds of a second epoch the usual way."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        timer = EpochTimer()
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=2,
            callbacks=[timer],
            logger=TensorBoardLogger(folder),
            enable_model_summary=False,
            enable_progress_bar=True,
        )
        loader = DataLoader(ImageAtATime(data), batch_size=data.batch_size, shuffle=True)
        trainer.fit(UsualModule(net), loader)
    return timer.seconds[-1]


def keras_arm(name: str, data: ImageDataModule, steps: int = 1) -> Callable[[], float] | None:
    """Return a function that measures an epoch of Keras on the TensorFlow backend; None if it is not installed.

    Args:
        name: cnn, nn or dnn.
        data: Set up.
        steps: Optimizer steps that Keras takes in one call of its compiled function; 1 is its default.
    """
    try:
        import keras
        import tensorflow as tf
    except ImportError:
        return None
    tf.config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
    tf.config.threading.set_inter_op_parallelism_threads(1)
    layers = keras.layers
    dense = {"nn": [128], "dnn": [512, 256, 128]}
    chosen = data.parts.train
    images = ((data.dataset.images[chosen, 0] / np.float32(255) - 0.1307) / 0.3081).astype(np.float32)[..., None]
    labels = data.dataset.labels[chosen]

    class Timer(keras.callbacks.Callback):  # type: ignore[misc, unused-ignore]  # without keras it is Any
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.seconds = time.perf_counter() - self.began

    def build() -> Any:
        if name == "cnn":
            hidden = [
                *(layers.Conv2D(10, 5), layers.MaxPool2D(2), layers.ReLU()),
                *(layers.Conv2D(20, 5), layers.SpatialDropout2D(0.5), layers.MaxPool2D(2), layers.ReLU()),
                *(layers.Flatten(), layers.Dense(50, activation="relu"), layers.Dropout(0.5)),
            ]
        else:
            hidden = [layers.Flatten(), *(layers.Dense(width, activation="relu") for width in dense[name])]
        model = keras.Sequential([keras.Input((28, 28, 1)), *hidden, layers.Dense(10)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], steps_per_execution=steps)
        return model

    def epoch() -> float:
        timer = Timer()
        build().fit(images, labels, batch_size=data.batch_size, epochs=2, verbose=0, callbacks=[timer])
        return timer.seconds

    return epoch
