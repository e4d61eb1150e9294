"""What people read in the terminal before a training and after it, in the terminal's language."""

import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console

from ziffern.data.datamodule import ImageDataModule
from ziffern.text.language import Language, terminal_words
from ziffern.text.printable import printable
from ziffern.training.callbacks.progress import clock
from ziffern.training.commands import is_multirun, program, quoted, relative
from ziffern.training.module import ImageClassifier
from ziffern.training.recorder import Recorder

WARNING = "bold yellow"


def print_start(
    recorder: Recorder,
    name: str,
    data: ImageDataModule,
    model: ImageClassifier,
    trainer: pl.Trainer,
    epochs_done: int,
) -> None:
    """Print what is trained on what, below any warnings about the data."""
    words, digits, parts = terminal_words(), data.digits, data.parts
    _print_warnings(recorder.console, words, digits.note, parts.leak)
    device = trainer.strategy.root_device
    shown = _counted(words, "start.cpu", torch.get_num_threads(), device=device) if device.type == "cpu" else device
    parameters = words.number(model.parameter_count)
    epochs = _counted(words, "start.epochs", trainer.max_epochs or 0)
    sizes = {part: words.number(len(getattr(parts, part))) for part in ("train", "val", "test")}
    lines = (
        words("start.model", name=name, parameters=parameters, epochs=epochs, device=shown),
        words("start.data", name=printable(digits.name), split=data.split_name, **sizes),
        printable(relative(recorder.folder)),
        *([words("start.continuing", epochs=epochs_done)] if epochs_done else []),
    )
    for line in lines:
        recorder.console.print(line, soft_wrap=True)


def print_threads_warning(console: Console, saved: str) -> None:
    """Print that a checkpoint was trained with another number of CPU threads."""
    text = terminal_words()("start.threads", saved=saved, own=torch.get_num_threads())
    console.print(text, style=WARNING, soft_wrap=True)


def print_summary(console: Console, metrics: dict[str, Any], folder: Path) -> None:
    """Print the scores of a finished run as a short table, and commands to type next."""
    words = terminal_words()
    rows = [*_rows(words, metrics), (words("summary.folder"), printable(relative(folder)))]
    width = 2 + max(len(label) for label, _ in rows)
    console.print()
    for label, value in rows:
        console.print(f"{label:<{width}}{value}", soft_wrap=True)
    _print_warnings(console, words, metrics["data/note"], metrics["data/leak"])
    if is_multirun():  # more runs follow
        return
    console.print(f"\n{words('next.heading')}")
    start = "ziffern train" if Path(sys.argv[0]).name == "ziffern" else f"{program('python')} train.py"
    commands = {"models": f"{start} -m model=cnn,nn,dnn", "help": f"{start} --help"}
    if (folder / "tensorboard").is_dir():
        commands = {"tensorboard": f"{program('tensorboard')} --logdir {quoted(folder)}", **commands}
    for purpose, command in commands.items():
        console.print(f"  {command}  # {words(f'next.{purpose}')}", soft_wrap=True)


def _rows(words: Language, metrics: dict[str, Any]) -> list[tuple[str, str]]:
    epochs, time = metrics["epochs"], clock(metrics["train_seconds"])
    val_acc = words.percent(metrics["val/acc"])
    if epochs:
        val_acc = words("summary.val_acc_value", value=val_acc, epoch=metrics["best_epoch"])
        training = _counted(words, "summary.training_value", epochs, time=time)
    elif metrics["train_seconds"]:
        training = words("summary.training_members", time=time)
    else:
        training = words("summary.training_none")
    rows = {
        **(_test_rows(words, metrics) if "test/acc" in metrics else {}),
        "val_acc": val_acc,
        "parameters": words.number(metrics["params"]),
        "training": training,
        "data": printable(metrics["data/name"]),
    }
    return [(words(f"summary.{name}"), value) for name, value in rows.items()]


def _test_rows(words: Language, metrics: dict[str, Any]) -> dict[str, str]:
    value, low, high = (words.percent(metrics[f"test/acc{end}"]) for end in ("", "_low", "_high"))
    correct, total = (words.number(metrics[f"test/{name}"]) for name in ("correct", "total"))
    return {
        "test_acc": words("summary.test_acc_value", value=value, low=low, high=high),
        "correct": words("summary.correct_value", correct=correct, total=total),
        "baseline": words("summary.baseline_value", value=words.percent(metrics["baseline/acc"])),
    }


def _print_warnings(console: Console, words: Language, note: str, leak: str) -> None:
    for kind, text in (("note", note), ("leak", leak)):
        if text:
            console.print(words(f"start.{kind}", text=printable(text)), style=WARNING, soft_wrap=True)


def _counted(words: Language, key: str, count: int, **values: object) -> str:
    """Return a text in the singular or plural that `count` needs."""
    return words(f"{key}.{'one' if count == 1 else 'other'}", count=count, **values)
