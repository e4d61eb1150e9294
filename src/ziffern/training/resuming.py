"""Whether a run can resume from a checkpoint: the same architecture, data and settings, and epochs left to train.

Decision: all settings that change training must be those of the checkpoint, so that a resumed run equals an
uninterrupted one; settings that end a run may change, and another number of threads only prints a warning.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from ziffern.data.datamodule import ImageDataModule
from ziffern.errors import InputError
from ziffern.records.checkpoint import read_checkpoint
from ziffern.text.printable import printable
from ziffern.training.fast_steps.middle import KEY as MIDDLE
from ziffern.training.fast_steps.middle import MiddleOfEpoch
from ziffern.training.loading import differing_tensors
from ziffern.training.module import ImageClassifier
from ziffern.training.recorder import Recorder
from ziffern.training.training_state import check_training_state

Settings = dict[str, bool | int | float | str]
THREADS = "threads"
MAY_CHANGE = (  # prefixes of settings that a resumed run may change, besides `hyperparameters.PLUMBING`
    *("trainer.max_epochs", "trainer.min_epochs", "callbacks.early_stopping"),  # they end the run, and change no step
    *("trainer.strategy", "trainer.profiler"),  # they change how steps are taken, not their result
)
COSINE_EPOCHS = "model.scheduler.T_max"  # may change where it is the number of epochs
# Not compared: the fingerprint identifies the data, also where a fallback replaced them, and the split has a name.
READING = ("source", "prepare", "polarity", "transpose", "label_column", "preview", "num_classes", "drop_duplicates")
SOURCE = tuple(f"data.{name}" for name in READING)


def provenance(model: ImageClassifier, data: ImageDataModule, settings: Settings, trainer: pl.Trainer) -> Settings:
    """Return the settings that a checkpoint must share with a run that continues it, and the number of threads."""
    dataset = data.dataset
    compared = {key: value for key, value in settings.items() if not key.startswith((*MAY_CHANGE, *SOURCE))}
    if model.optimization.takes_total_steps:
        compared["trainer.max_epochs"] = int(trainer.max_epochs or 0)
    origin = {"data": dataset.name, "fingerprint": dataset.fingerprint, "split": data.split_name}
    return compared | origin | {THREADS: torch.get_num_threads()}


def checkpoint_to_resume(
    path: Path | None, resume_if_possible: bool, recorder: Recorder, model: ImageClassifier, trainer: pl.Trainer
) -> tuple[Path | None, dict[str, Any]]:
    """Return the path and the checked content of the checkpoint that a run continues; None and {} for a new run.

    Args:
        path: The checkpoint that the user names.
        resume_if_possible: Without one, continue from the run folder's last checkpoint; delete it if it does not fit.
        recorder: Names the run folder.
        model: Its provenance describes this run.
        trainer: Its `max_epochs` is the limit.

    Raises:
        InputError: The checkpoint that the user names does not fit.
    """
    if path is not None:
        return path, check_checkpoint(path, model, trainer)
    if not resume_if_possible:
        return None, {}
    last = recorder.checkpoints.last_path
    try:
        return last, check_checkpoint(last, model, trainer)
    except InputError:
        last.unlink(missing_ok=True)
        recorder.checkpoints.best_path.unlink(missing_ok=True)
        return None, {}


def check_checkpoint(path: Path, model: ImageClassifier, trainer: pl.Trainer) -> dict[str, Any]:
    """Return the content of a checkpoint after checking that it can be continued here, also within an epoch.

    Raises:
        InputError: It is damaged, belongs to another architecture, other data or settings, or is beyond
            `trainer.max_epochs`.
    """
    checkpoint = read_checkpoint(path)
    if differing := differing_tensors(model.state_dict(), checkpoint["state_dict"]):
        raise InputError(
            "training.checkpoint.other_architecture", path=path, count=len(differing), example=differing[0]
        )
    if "nowhere" in checkpoint.get(MIDDLE, {}):
        raise InputError("training.checkpoint.within_step", path=path)
    saved = dict(checkpoint.get("ziffern", {}))
    if COSINE_EPOCHS in saved and model.provenance.get(COSINE_EPOCHS) == trainer.max_epochs:
        saved[COSINE_EPOCHS] = trainer.max_epochs
    _check_settings(path, saved, model.provenance)
    epochs, limit = epochs_done(checkpoint), trainer.max_epochs
    if limit is not None and epochs > limit:
        raise InputError("training.checkpoint.beyond_max_epochs", path=path, epochs=epochs, limit=limit)
    if epochs and epochs == limit and (path.parent.parent / "metrics.json").is_file():
        raise InputError(
            "training.checkpoint.complete", path=path, epochs=epochs, more=epochs + 1, folder=path.parent.parent
        )
    try:
        check_training_state(checkpoint, model)
    except InputError as error:
        raise InputError("training.checkpoint.damaged_state", path=path, problem=error) from error
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by its connector
        if isinstance(callback, MiddleOfEpoch):
            callback.resume(checkpoint, path)
    return checkpoint


def _check_settings(path: Path, saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    is_complete = "monitor" in saved  # checkpoints of early versions have only the settings of model and data
    keys = saved.keys() | own.keys() if is_complete else saved.keys()
    if own.get("init_from") not in (None, saved.get("init_from")):
        raise InputError("training.checkpoint.with_init_from", path=path)
    if saved.get("fingerprint") == own.get("fingerprint") and saved.get("split") != own.get("split"):
        raise InputError(  # init_from would be refused too
            "training.checkpoint.other_split", path=path, saved=str(saved.get("split")), own=str(own.get("split"))
        )
    for key in sorted((key for key in keys if key != THREADS and not key.startswith(SOURCE)), key=str):
        saved_value, own_value = (None if str(value) == "None" else value for value in (saved.get(key), own.get(key)))
        if saved_value != own_value:
            raise InputError(
                "training.checkpoint.other_setting", path=path, key=key, saved=str(saved_value), own=str(own_value)
            )


def epochs_done(checkpoint: Mapping[str, Any]) -> int:
    """Return the whole epochs that were trained before a checkpoint; 0 for an empty one."""
    return int(checkpoint["epoch"]) + (MIDDLE not in checkpoint) if checkpoint else 0


def other_threads(checkpoint: Mapping[str, Any], trainer: pl.Trainer) -> str | None:
    """Return the number of CPU threads that a checkpoint was trained with, where this process has another one."""
    saved = checkpoint.get("ziffern", {}).get(THREADS)
    if saved in (None, torch.get_num_threads()) or trainer.strategy.root_device.type != "cpu":
        return None
    return printable(saved)
