"""history.csv: one row per epoch, complete even after a kill and a resume."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from ziffern.records.writer import write_history
from ziffern.training.module import ImageClassifier

Row = dict[str, int | float]


class History(pl.Callback):
    """Writes a row at the end of each epoch, counted from 1; `seconds` is the time of that epoch.

    The rows are in the checkpoint too, so a resumed run continues them, in any folder.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self._began = self._elapsed = 0.0

    @property
    def seconds(self) -> float:
        """Training and validation time so far, over all resumes."""
        return sum(row["seconds"] for row in self.rows)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the header and the rows of the checkpoint that is resumed, if any."""
        if trainer.is_global_zero:
            write_history(self.folder, self.rows)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of an epoch that is resumed."""
        self._began = time.perf_counter() - self._elapsed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row; the checkpoint callbacks come after this one."""
        assert isinstance(pl_module, ImageClassifier)
        row: Row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row |= {f"train/{name}": pl_module.epoch_scores[name] for name in ("loss", "acc")}
        row |= {name: round(float(trainer.callback_metrics[name]), 7) for name in ("val/loss", "val/acc")}
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        self.rows.append(row)
        if trainer.is_global_zero:
            write_history(self.folder, self.rows)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, for the checkpoint."""
        return {"rows": list(self.rows), "elapsed": time.perf_counter() - self._began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows."""
        self.rows = [dict(row) for row in state_dict["rows"]]
        self._elapsed = state_dict.get("elapsed", 0.0)
