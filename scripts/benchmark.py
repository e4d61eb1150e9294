"""Measure this project's training beside a bare loop and beside the usual recipe, in one process.

    python scripts/benchmark.py data.dir=FOLDER        # about ten minutes; writes docs/benchmark.md

Decisions: the three arms take turns within each round, so that a change of the machine's load hits all of
them; a fit is timed over the training batches of its second epoch, since the first has what happens once
(event files, the first checkpoint), and one round goes before to warm up; what is reported is
the median of each round's ratio to the bare loop, with its range. One thread, so that nothing depends on
who else uses the other core. The bare loop is a good one: fused Adam, channels_last, uint8 images in
memory, batches cut by index. The usual recipe is what lightning-hydra-template does: an image at a time
through PIL and torchvision transforms, a DataLoader, torchmetrics and `self.log` at each step. The project
runs with its defaults on: TensorBoard, progress, checkpoints.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics import MaxMetric, MeanMetric
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms

from ziffern.config import build, conf_folder
from ziffern.data.datamodule import DigitDataModule
from ziffern.experiment import make_trainer, micro_steps, quieten
from ziffern.module import DigitClassifier
from ziffern.recording import Recorder, processor_name

CASES = (("cnn", 16), ("cnn", 128), ("nn", 128), ("dnn", 128))
LIMITS = {("cnn", 16): 1.25, ("cnn", 128): 1.10, ("nn", 128): 1.10, ("dnn", 128): 1.10}


class EpochTimer(pl.Callback):
    """Seconds from the start of an epoch to the end of its last training batch; validation is left out."""

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


def bare_loop(model: DigitClassifier, data: DigitDataModule) -> float:
    """Return the seconds of one epoch of a hand-written loop."""
    net = model.net.to(memory_format=torch.channels_last).train()
    mean, std = model.normalize.mean, model.normalize.std
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    loss_of = nn.CrossEntropyLoss()
    images, labels = torch.from_numpy(data.digits.images), torch.from_numpy(data.digits.labels)
    train = torch.from_numpy(data.parts.train)
    began = time.perf_counter()
    for chosen in torch.split(train[torch.randperm(len(train))], data.batch_size):
        batch = images.index_select(0, chosen).unsqueeze(1).float().sub_(mean).div_(std)
        loss = loss_of(net(batch), labels.index_select(0, chosen))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - began


def project(cfg: DictConfig, model: DigitClassifier, data: DigitDataModule) -> float:
    """Return the seconds of one epoch through `Trainer.fit`, as `python train.py` sets it up."""
    model.automatic_optimization = data.micro_steps == 1
    with tempfile.TemporaryDirectory() as folder:
        timer = EpochTimer()
        recorder = Recorder(Path(folder), cfg.monitor, Console(file=io.StringIO()))
        cfg.logger.tensorboard.save_dir = folder
        trainer = make_trainer(cfg, recorder, timer)
        trainer.fit(model, datamodule=data)
    return timer.seconds[-1]


class ImageAtATime(Dataset[tuple[Tensor, int]]):
    """What torchvision's MNIST does for each image: to PIL, to tensor, normalise."""

    def __init__(self, data: DigitDataModule) -> None:
        self.images = torch.from_numpy(data.digits.images[data.parts.train])
        self.labels = torch.from_numpy(data.digits.labels[data.parts.train])
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
        self.best = MaxMetric()

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


def usual_recipe(net: nn.Module, data: DigitDataModule) -> float:
    """Return the seconds of one epoch the usual way."""
    with tempfile.TemporaryDirectory() as folder:
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
        stdout, sys.stdout = sys.stdout, io.StringIO()
        try:
            trainer.fit(UsualModule(net), loader)
        finally:
            sys.stdout = stdout
    return timer.seconds[-1]


def measure(name: str, batch_size: int, overrides: list[str], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each arm in each round."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        run = [f"model={name}", f"data.batch_size={batch_size}", "trainer=cpu", "trainer.max_epochs=2"]
        cfg = compose("train", overrides=run + overrides)
    data = build(cfg.data, "data", micro_steps=micro_steps(cfg))
    data.setup()

    def fresh() -> DigitClassifier:
        torch.manual_seed(0)
        model: DigitClassifier = build(cfg.model, "model")
        model.normalize.fit(data.digits.images, data.parts.train)
        return model

    arms: dict[str, Callable[[], float]] = {
        "bare loop": lambda: bare_loop(fresh(), data),
        "ziffern": lambda: project(cfg, fresh(), data),
        "usual recipe": lambda: usual_recipe(fresh().net, data),
    }
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for number in range(rounds + 1):
        for arm, run_once in arms.items():
            spent = run_once()
            if number:  # the first round warms up
                seconds[arm].append(spent)
        print(f"{name} batch {batch_size}: round {number} of {rounds}", file=sys.stderr)
    images = len(data.parts.train)
    return {arm: [images / spent for spent in values] for arm, values in seconds.items()}


def summarise(speeds: dict[str, list[float]], arm: str) -> tuple[float, float, float, float]:
    """Return images a second, and the median, least and largest ratio of times to the bare loop's."""
    ratios = [bare / own for bare, own in zip(speeds["bare loop"], speeds[arm], strict=True)]
    return statistics.median(speeds[arm]), statistics.median(ratios), min(ratios), max(ratios)


def main() -> None:
    """Measure every case, print a table, and write docs/benchmark.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="such as data.dir=FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", default=",".join(f"{name}:{size}" for name, size in CASES))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmark.md"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    quieten()
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*no `val_dataloader`.*")
    lines = [
        "| model | batch | arm | images a second | time, ratio to the bare loop (range) | aim |",
        "|---|---:|---|---:|---:|---|",
    ]
    table = Table("model", "batch", "arm", "images/s", "ratio (range)", "aim")
    for case in options.cases.split(","):
        name, size = case.split(":")
        speeds = measure(name, int(size), options.overrides, options.rounds)
        for arm in speeds:
            speed, ratio, low, high = summarise(speeds, arm)
            aim = f"at most {LIMITS[name, int(size)]:.2f}" if arm == "ziffern" and (name, int(size)) in LIMITS else ""
            row = (name, size, arm, f"{speed:,.0f}", f"{ratio:.2f} ({low:.2f} to {high:.2f})", aim)
            table.add_row(*row)
            lines.append(f"| {' | '.join(row)} |")
    Console().print(table)
    options.out.write_text(
        "# Benchmark\n\nThe training batches of one epoch, one thread; arms alternate in one process; median of "
        f"{options.rounds} rounds after one to warm up.\n\n"
        + "\n".join(lines)
        + f"\n\n{processor_name()}, torch {torch.__version__}, pytorch-lightning {version('pytorch-lightning')}, "
        f"numpy {np.__version__}, {date.today()}.\n\n"
        "Command: `python scripts/benchmark.py data.dir=FOLDER`\n"
    )


if __name__ == "__main__":
    main()
