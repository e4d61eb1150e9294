"""What a person reads in the terminal: what is about to be trained, and what came out."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console

from ziffern.data.datamodule import ImageDataModule
from ziffern.text.printable import printable
from ziffern.training.callbacks.progress import clock
from ziffern.training.module import ImageClassifier
from ziffern.training.recorder import Recorder


def shown(path: Path) -> str:
    """Return a path relative to the working directory where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def readable(path: Path) -> str:
    """Return a path as `shown` does, quoted for a shell, with escapes in place of what no terminal prints."""
    return printable(shlex.quote(shown(path)))


def program(name: str) -> str:
    """Return how a program of this environment is called from the working directory."""
    here = Path(sys.executable).with_name(name)
    on_path = shutil.which(name)
    return name if on_path and Path(on_path).parent == here.parent else shown(here)


def print_start(
    recorder: Recorder,
    name: str,
    data: ImageDataModule,
    model: ImageClassifier,
    trainer: pl.Trainer,
    resumed: int,
) -> None:
    """Print what is trained on what, and above it whatever must not be missed."""
    console, dataset, parts = recorder.console, data.dataset, data.parts
    for warning in filter(None, (dataset.note, parts.leak and f"LEAK: {parts.leak}")):
        console.print(f"NOTE: {printable(warning)}", style="bold yellow", soft_wrap=True)
    device = trainer.strategy.root_device
    threads = torch.get_num_threads()
    where = f"{device} ({threads} thread{'s' * (threads != 1)})" if device.type == "cpu" else str(device)
    sizes = f"{len(parts.train):,} / {len(parts.val):,} / {len(parts.test):,}"
    console.print(
        f"{name}: {model.parameter_count:,} parameters, "
        f"up to {trainer.max_epochs} epoch{'' if trainer.max_epochs == 1 else 's'} on {where}\n"
        f"{printable(dataset.name)}: {sizes} images to train / validate / test ({data.split_name})\n"
        f"{printable(shown(recorder.folder))}",
        soft_wrap=True,
    )
    if resumed:
        console.print(f"continuing after epoch {resumed}")


def print_summary(console: Console, metrics: dict[str, Any], folder: Path) -> None:
    """Print the scores of a finished run as a short table, and commands worth typing next."""
    console.print()
    for label, value in (*_rows(metrics), ("run folder", shown(folder))):
        console.print(f"{label:<21}{printable(value)}", soft_wrap=True)
    for warning in filter(None, (metrics["data/note"], metrics["data/leak"])):
        console.print(f"NOTE: {printable(warning)}", style="bold yellow", soft_wrap=True)
    python, tensorboard = program("python"), program("tensorboard")
    start = "ziffern train" if Path(sys.argv[0]).name == "ziffern" else f"{python} train.py"
    if {"-m", "--multirun"} & set(sys.argv):
        return  # there are more of them
    console.print("\nnext")
    commands = [(f"{start} -m model=cnn,nn,dnn", "train three models in turn"), (f"{start} --help", "see all options")]
    if (folder / "tensorboard").is_dir():
        commands.insert(0, (f"{tensorboard} --logdir {readable(folder)}", "see the curves and the mistakes"))
    for command, purpose in commands:
        console.print(f"  {command}  # {purpose}", soft_wrap=True)


def _rows(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    epochs, spent = metrics["epochs"], metrics["train_seconds"]
    chosen = f" (epoch {metrics['best_epoch']}, the best)" if epochs else ""
    training = f"{clock(spent)} for {epochs} epoch{'s' * (epochs != 1)}"
    if not epochs:
        training = f"{clock(spent)}, that of its members" if spent else "none"
    rows = [("validation accuracy", f"{metrics['val/acc']:.2%}{chosen}")]
    if "test/acc" in metrics:
        low, high = metrics["test/acc_low"], metrics["test/acc_high"]
        rows = [
            ("test accuracy", f"{metrics['test/acc']:.2%}  (95 % interval {low:.2%} to {high:.2%})"),
            ("correct", f"{metrics['test/correct']:,} of {metrics['test/total']:,}"),
            ("dummy baseline", f"{metrics['baseline/acc']:.2%}  (always the most frequent class)"),
            *rows,
        ]
    return [
        *rows,
        ("parameters", f"{metrics['params']:,}"),
        ("training", training),
        ("data", metrics["data/name"]),
    ]
