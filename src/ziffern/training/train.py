"""Trains, chooses the best epoch by validation, tests it once and records the run: objects in, metrics out.

Decisions: the metrics are those of the best checkpoint, so the score that a search improves belongs to a saved model;
the test part is used once, after all choices were made; a checkpoint is restored from the content that was checked.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException

from ziffern.data.datamodule import ImageDataModule
from ziffern.errors import InputError
from ziffern.records.arrays import Material
from ziffern.records.messages import recorded
from ziffern.records.writer import append_event, write_material
from ziffern.text.printable import reason
from ziffern.training.calibration import calibrate
from ziffern.training.callbacks.atomic_io import AtomicCheckpointIO
from ziffern.training.ending import ended_early, record_ending, shell_exit_codes
from ziffern.training.loggers import close_loggers, continue_logs, tag_experiments
from ziffern.training.metrics import Metrics, description, test_metrics, validation_metrics
from ziffern.training.module import ImageClassifier
from ziffern.training.recorder import Recorder
from ziffern.training.resuming import Settings, checkpoint_to_resume, epochs_done, other_threads, provenance
from ziffern.training.summary import print_start, print_summary, print_threads_warning
from ziffern.training.tensorboard import log_hyperparameters, log_layout, log_outcome
from ziffern.training.training_state import is_restoring


def train(
    data: ImageDataModule,
    model: ImageClassifier,
    trainer: pl.Trainer,
    recorder: Recorder,
    *,
    name: str,
    settings: Settings,
    ckpt_path: str | None = None,
    test: bool = True,
    resume_if_possible: bool = False,
    prior_seconds: float = 0.0,
    prior_candidates: float = 1,
    on_start: Callable[[], None] = lambda: None,
) -> Metrics:
    """Fit `model` to `data` with `trainer`, test its best checkpoint, and write the run folder.

    Args:
        data: Already set up.
        model: Its normalization is already fitted.
        trainer: Has the recorder's callbacks (`make_trainer`).
        recorder: Writes the run folder.
        name: The model's name, such as cnn.
        settings: Flat hyperparameters for the loggers.
        ckpt_path: Continue from this checkpoint.
        test: Test the best checkpoint at the end.
        resume_if_possible: Continue from the checkpoint that an earlier process left in the folder, if it fits.
        prior_seconds: Training time that other runs spent on this model.
        prior_candidates: The number of models among which the same validation images chose in these runs; infinite if
            they were trained on.
        on_start: Called in the first process before a file is written, once the checkpoint was checked.

    Returns:
        The content of metrics.json.

    Raises:
        InputError: The checkpoint does not fit, or the training diverged.
    """
    model.provenance = provenance(model, data, settings, trainer) | {"monitor": recorder.monitor}
    path = Path(ckpt_path) if ckpt_path else None
    path, checkpoint = checkpoint_to_resume(path, resume_if_possible, recorder, model, trainer)
    recorder.checkpoints.resumed_from = path
    if isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO):
        trainer.strategy.checkpoint_io.checked = checkpoint or None
    continue_logs(trainer.loggers if trainer.is_global_zero else (), checkpoint)
    if trainer.is_global_zero:
        on_start()
        _record_start(data, model, trainer, recorder, name, settings, checkpoint)
    try:
        with shell_exit_codes():
            trainer.fit(model, datamodule=data, ckpt_path=path, weights_only=True)
            ended = ended_early(trainer, recorder)
            metrics = validation_metrics(data, model, trainer, recorder)
            if not resume_if_possible and trainer.is_global_zero:  # a trial of a search is not used
                # As planned: the epochs after which a run stopped early depend on the validation images.
                candidates = prior_candidates * max(1, len(recorder.history.rows), trainer.max_epochs or 0)
                metrics |= calibrate(recorder.checkpoints.best_path, model, data.dataset, data.parts, candidates)
            trainer.strategy.barrier()  # the other processes read the checkpoint next
            if test:
                metrics |= test_metrics(data, model, trainer, recorder, metrics.get("temperature"))
    except BaseException as error:
        with suppress(Exception):  # the first error counts
            close_loggers(trainer.loggers, "failed")
        if _is_refusal(error):
            raise InputError("training.trainer.refused", reason=str(error)) from error
        if path and isinstance(error, Exception) and is_restoring(error):
            raise InputError("training.checkpoint.not_restorable", path=path, reason=reason(error)) from error
        if trainer.is_global_zero:
            record_ending(recorder, error)
        raise
    seconds = round(recorder.history.seconds + prior_seconds, 3)
    metrics |= description(name, data, model, trainer, recorder) | recorded("ended", ended) | {"train_seconds": seconds}
    if trainer.is_global_zero:
        log_outcome(trainer.loggers, metrics)
        close_loggers(trainer.loggers, "success")
        recorder.metrics(metrics)
        print_summary(recorder.console, metrics, recorder.folder)
    return metrics


def _is_refusal(error: BaseException) -> bool:
    """Return whether Lightning refuses settings, or lacks a package for one of its callbacks, as of psutil."""
    is_its_own = isinstance(error, ModuleNotFoundError) and error.name is None  # of a failed import it is the module
    return isinstance(error, MisconfigurationException) or is_its_own


def _record_start(
    data: ImageDataModule,
    model: ImageClassifier,
    trainer: pl.Trainer,
    recorder: Recorder,
    name: str,
    settings: Settings,
    checkpoint: Mapping[str, Any],
) -> None:
    """Record and print what is about to be trained."""
    recorder.environment(trainer)
    write_material(recorder.folder, Material.of(data.dataset, data.parts, model.normalize))
    append_event(
        recorder.folder, "start", **description(name, data, model, trainer, recorder), max_epochs=trainer.max_epochs
    )
    print_start(recorder, name, data, model, trainer, epochs_done(checkpoint))
    if threads := other_threads(checkpoint, trainer):
        print_threads_warning(recorder.console, threads)
    tag_experiments(trainer.loggers, recorder.labels.all_tags)
    log_layout(trainer.loggers)
    log_hyperparameters(trainer.loggers, settings | recorder.labels.hyperparameters)
