"""Terminal output before and after training, in the terminal's language."""

import shlex
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console

from ziffern.analysis.metrics import Place, registered
from ziffern.config.command import is_multirun, quoted, relative, start_words, task_overrides, tool
from ziffern.data.datamodule import ImageDataModule
from ziffern.records.messages import message_text
from ziffern.text.language import Language, terminal_language, terminal_words
from ziffern.text.metrics import label, written
from ziffern.text.printable import printable
from ziffern.training.callbacks.progress import clock
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
    """Print the model, the data and the run folder, below any warnings about the data."""
    words, dataset, parts = terminal_words(), data.dataset, data.parts
    _print_warnings(recorder.console, words, dataset.note, parts.leak)
    _print_warnings(recorder.console, words, recorder.labels.note, None)
    for note in data.notes:
        recorder.console.print(words("start.about_data", text=printable(note)), soft_wrap=True)
    device = trainer.strategy.root_device
    shown = words("start.cpu", count=torch.get_num_threads(), device=device) if device.type == "cpu" else device
    parameters = words.number(model.parameter_count)
    epochs = words("start.epochs", count=trainer.max_epochs or 0)
    sizes = {part: words.number(len(getattr(parts, part))) for part in ("train", "val", "test")}
    lines = (
        words("start.model", name=name, parameters=parameters, epochs=epochs, device=shown),
        words("start.data", name=printable(dataset.name), split=data.split_name, **sizes),
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
    width = 2 + max(len(name) for name, _ in rows)
    console.print()
    for name, value in rows:
        console.print(f"{name:<{width}}{value}", soft_wrap=True)
    language = terminal_language.get()
    _print_warnings(console, words, *(message_text(metrics, f"data/{kind}", language) for kind in ("note", "leak")))
    for key in ("debug", "data/limit", "ended"):
        if text := message_text(metrics, key, language):
            console.print(words("start.note", text=printable(text)), style=WARNING, soft_wrap=True)
    if is_multirun():  # more runs follow
        return
    console.print(f"\n{words('next.heading')}")
    start = printable(shlex.join(start_words()))
    same_data = printable(shlex.join(item for item in task_overrides() if item.startswith(("data=", "data."))))
    commands = {"models": f"{start} -m model=cnn,nn,dnn {same_data}".strip(), "help": f"{start} --help"}
    if (folder / "tensorboard").is_dir():
        commands = {"tensorboard": f"{tool('tensorboard')} --logdir {quoted(folder)}", **commands}
    for purpose, command in commands.items():
        console.print(f"  {command}  # {words(f'next.{purpose}')}", soft_wrap=True)


def _rows(words: Language, metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the label and value of each metric that the terminal shows."""
    t, extended = Language(words.code), _extended_values(words, metrics)
    rows = [
        (label(metric, t), extended.get(metric.key) or written(metric, metrics[metric.key], t))
        for metric in registered(Place.TERMINAL)
        if metrics.get(metric.key) is not None
    ]
    rows += [(key, words.number(value, 4)) for key, value in metrics.get("own_metrics", {}).items()]
    return [*rows, (words("summary.data"), printable(metrics["data/name"]))]


def _extended_values(words: Language, metrics: dict[str, Any]) -> dict[str, str]:
    """Return texts that show more than a metric's value, by the metric's key."""
    epochs, time = metrics["epochs"], clock(metrics["train_seconds"])
    values = {}
    if "test/acc" in metrics:
        share = {end: words.percent(metrics[f"test/acc{end}"]) for end in ("", "_low", "_high")}
        count = {name: words.number(metrics[f"test/{name}"]) for name in ("correct", "total")}
        ends = {"value": share[""], "low": share["_low"], "high": share["_high"]}
        values["test/acc"] = words("summary.test_acc", **ends, **count)
        values["baseline/acc"] = words("summary.baseline_acc", value=words.percent(metrics["baseline/acc"]))
    if epochs:
        val_acc = words.percent(metrics["val/acc"])
        values["val/acc"] = words("summary.val_acc", value=val_acc, epoch=metrics["best_epoch"])
        values["train_seconds"] = words("summary.train_seconds", count=epochs, time=time)
    else:
        kind = "members" if metrics["train_seconds"] else "none"
        values["train_seconds"] = words(f"summary.train_seconds_{kind}", time=time)
    return values


def _print_warnings(console: Console, words: Language, note: object, leak: object) -> None:
    for kind, text in (("note", note), ("leak", leak)):
        if text:
            console.print(words(f"start.{kind}", text=printable(text)), style=WARNING, soft_wrap=True)
