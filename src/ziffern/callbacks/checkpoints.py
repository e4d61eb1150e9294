"""The two checkpoints of a run: `best.ckpt` by a validation score, `last.ckpt` after every epoch."""

import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import ModelCheckpoint


class MovableCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint that goes on where it was even if its folder is now another one.

    Lightning forgets the best score when the folder changed, so a run that was moved, or continued in a
    new folder, could end with another best checkpoint than an uninterrupted one. Here the state follows,
    and the best checkpoint's file is brought along.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state with every path rewritten to this callback's folder."""
        assert self.dirpath is not None
        here, name = Path(self.dirpath), f"{self.filename}{self.FILE_EXTENSION}"
        there = Path(state_dict["dirpath"])
        if there != here and not (here / name).exists() and (there / name).exists():
            here.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(there / name, here / name)
        moved = str(here / name)
        state = dict(state_dict, dirpath=self.dirpath)
        for key in ("best_model_path", "kth_best_model_path"):
            state[key] = moved if state[key] else ""
        scores = state["best_k_models"].values()  # one at the most: the best
        state["best_k_models"] = dict.fromkeys([moved], *scores) if scores else {}
        super().load_state_dict(state)


def run_checkpoints(folder: Path, monitor: str, mode: str) -> list[ModelCheckpoint]:
    """Return the callbacks that keep `best.ckpt` (by `monitor`) and `last.ckpt` in `folder`.

    Both save at the end of an epoch, after its validation; `last` comes second, so that it knows the best.
    """
    return [
        MovableCheckpoint(
            dirpath=folder,
            filename=name,
            monitor=score,
            mode=mode,
            auto_insert_metric_name=False,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        for name, score in (("best", monitor), ("last", None))
    ]
