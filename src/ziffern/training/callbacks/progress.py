"""The progress of a run: a bar on a terminal, lines elsewhere, and progress.jsonl for programs.

Decisions: the remaining time is estimated for the whole run, not for the epoch, from the steps taken in this process;
a refresh costs a tenth of a millisecond, so there are a few per second and not one per step; all three forms show the
same numbers.
"""

import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ziffern.records.writer import append_event
from ziffern.text.language import terminal_words
from ziffern.training.callbacks import STOP
from ziffern.training.module import ImageClassifier

log = logging.getLogger(__name__)


def clock(seconds: float) -> str:
    """Return a duration as m:ss, or h:mm:ss from an hour on."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class ProgressReport(pl.Callback):
    """Reports the steps and epochs of a run; a file `stop` in the run folder ends training after the epoch.

    Args:
        folder: The run folder, for progress.jsonl.
        console: Shows a bar on a terminal, lines elsewhere.
        refresh_seconds: Time between two refreshes of the bar.
        line_seconds: Time between two lines; each epoch ends with a line in any case.
    """

    def __init__(
        self, folder: Path, console: Console, refresh_seconds: float = 0.5, line_seconds: float = 15.0
    ) -> None:
        self._folder, self._console = folder, console
        self._pause = refresh_seconds if console.is_terminal else line_seconds
        self.was_stopped = False  # by the file
        self.is_hidden = False  # neither bar nor lines; progress.jsonl is written
        self._bar: Progress | None = None
        self._began = self._next = 0.0
        self._first = self._total = 0
        self._window: dict[str, float] = {}
        self._words = terminal_words()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        assert isinstance(pl_module, ImageClassifier)
        self._first, self._total = trainer.global_step, pl_module.total_steps()
        self._began = time.monotonic()
        self._next = self._began + self._pause
        if self._console.is_terminal and trainer.is_global_zero and not self.is_hidden:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[now]}"))
            self._bar = Progress(*columns, console=self._console, auto_refresh=False, transient=True)
            self._bar.add_task("", total=self._total, completed=self._first, now="")
            self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the progress, unless it was shown a moment ago."""
        assert isinstance(pl_module, ImageClassifier)
        if not trainer.is_global_zero:
            return
        latest = pl_module.train_scores.latest
        if latest and latest is not self._window:
            self._window = latest
            scores = {f"train/{name}": value for name, value in self._window.items()}
            self._write("step", trainer, scores)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._pause
        window = {name: self._words.number(value, 4) for name, value in self._window.items()}
        scores_now = self._words("progress.window", **window) if window else ""
        if self._bar:
            self._show(trainer, scores_now)
        else:
            share = self._words.percent((batch_idx + 1) / int(trainer.num_training_batches), 0)
            epoch = f"{self._epoch(trainer)} {self._words('progress.share', share=f'{share:>4}')}"
            self._line(f"{epoch} · {scores_now or self._words('progress.started')} · {self._eta_text(trainer)}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's line; end training here if there is a file `stop`."""
        assert isinstance(pl_module, ImageClassifier)
        if not trainer.is_global_zero:
            return
        train = pl_module.epoch_scores
        val = {name: float(trainer.callback_metrics[f"val/{name}"]) for name in ("loss", "acc")}
        scores = {f"train/{name}": train[name] for name in train} | {f"val/{name}": val[name] for name in val}
        self._write("epoch", trainer, scores)
        shown = {key.replace("/", "_"): self._shown(key, value) for key, value in scores.items()}
        self._line(f"{self._epoch(trainer)} · {self._words('progress.scores', **shown)} · {self._eta_text(trainer)}")
        if self._bar:
            self._show(trainer, "")
        if (stop := self._folder / STOP).exists():
            stop.unlink(missing_ok=True)
            trainer.should_stop = self.was_stopped = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar before the test."""
        self._close()
        if trainer.is_global_zero:
            append_event(self._folder, "trained")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the reason is printed on a line of its own."""
        self._close()

    def eta(self, trainer: pl.Trainer) -> float | None:
        """Return the seconds that the rest of the run takes, if nothing stops it early; None before a step."""
        done = trainer.global_step - self._first
        if done <= 0:
            return None
        return (time.monotonic() - self._began) / done * (self._total - trainer.global_step)

    def _write(self, event: str, trainer: pl.Trainer, scores: dict[str, float]) -> None:
        eta = self.eta(trainer)
        where = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, "steps": self._total}
        append_event(self._folder, event, **where, **scores, eta_seconds=None if eta is None else round(eta, 1))

    def _epoch(self, trainer: pl.Trainer) -> str:
        return self._words("progress.epoch", epoch=trainer.current_epoch + 1, epochs=trainer.max_epochs)

    def _shown(self, key: str, value: float) -> str:
        return self._words.percent(value) if key.endswith("acc") else self._words.number(value, 4)

    def _eta_text(self, trainer: pl.Trainer) -> str:
        eta = self.eta(trainer)
        return self._words("progress.eta_unknown") if eta is None else self._words("progress.eta", time=clock(eta))

    def _show(self, trainer: pl.Trainer, scores: str) -> None:
        assert self._bar is not None
        now = " · ".join(part for part in (scores, self._eta_text(trainer)) if part)
        task = self._bar.task_ids[0]
        self._bar.update(task, description=self._epoch(trainer), completed=trainer.global_step, now=now)
        self._bar.refresh()

    def _line(self, text: str) -> None:
        log.info(text)
        if not self.is_hidden:
            self._console.print(text, soft_wrap=True)

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None
