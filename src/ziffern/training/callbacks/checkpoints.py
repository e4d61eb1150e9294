"""The two checkpoints of a run: `best.ckpt` by a validation score, `last.ckpt` after every epoch."""

import logging
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from ziffern.files.atomic import write_atomically
from ziffern.files.untrusted import open_regular
from ziffern.records.checkpoint import MAX_BYTES

log = logging.getLogger(__name__)


class RunCheckpoints(ModelCheckpoint):
    """Keeps `best.ckpt` and `last.ckpt`, even if the run folder moves.

    Lightning forgets the best score when the folder changes, so a run that was moved, or continued in a new folder,
    could end with a different best checkpoint than an uninterrupted one. Here the state is kept, and the file of the
    best checkpoint is copied to the new folder.

    Args:
        folder: The folder of both.
        monitor: The score that chooses the best checkpoint.
        mode: `max` or `min`.
    """

    def __init__(self, folder: Path, monitor: str, mode: str) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor=monitor,
            mode=mode,
            auto_insert_metric_name=False,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self.best_path, self.last_path = folder / "best.ckpt", folder / "last.ckpt"
        self.epochs = 0  # of the last checkpoint written in this process
        self.resumed_from: Path | None = None  # the checkpoint that is resumed, in any folder

    @cached_property
    def state_key(self) -> str:
        """The key of the state, cached: Lightning reads it at every hook of every step, and computing it is slow."""
        return super().state_key

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best checkpoint if this epoch is the best, and then the last one, which holds the best score."""
        super().on_train_epoch_end(trainer, pl_module)
        trainer.save_checkpoint(self.last_path)
        self.epochs = trainer.current_epoch + 1

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state with every path rewritten to this callback's folder."""
        source_path = self.resumed_from.with_name(self.best_path.name) if self.resumed_from else self.best_path
        if not self.best_path.exists() and source_path.exists():
            with open_regular(source_path, MAX_BYTES) as source:
                write_atomically(self.best_path, lambda target: shutil.copyfileobj(source, target))
        state = dict(state_dict, dirpath=self.dirpath)
        if not self.best_path.exists() and state["best_model_path"]:
            log.warning("%s does not exist: the best of the remaining epochs is kept", source_path)
            state |= {"best_k_models": {}, "kth_value": self.kth_value, "best_model_score": None}
            state |= {"best_model_path": "", "kth_best_model_path": ""}
        for key in ("best_model_path", "kth_best_model_path"):
            state[key] = str(self.best_path) if state[key] else ""
        scores = state["best_k_models"].values()  # at most one
        state["best_k_models"] = dict.fromkeys([str(self.best_path)], *scores) if scores else {}
        super().load_state_dict(state)
