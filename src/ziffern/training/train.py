"""Train, choose by validation, test once, record: objects in, score out.

Decisions: the value that comes back is the best checkpoint's validation score, so an objective *is* a saved
model; the test part is looked at once, after everything was chosen; the checkpoint that was checked is the very one
that is restored.
"""

import contextlib
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.exceptions import SIGTERMException

from ziffern.analysis.accuracy import majority_baseline
from ziffern.analysis.outcome import Outcome
from ziffern.data.datamodule import ImageDataModule
from ziffern.errors import InputError
from ziffern.records.checkpoint import read_checkpoint
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line, printable, reason
from ziffern.training.callbacks.atomic_io import AtomicCheckpointIO
from ziffern.training.loading import differing_tensors
from ziffern.training.module import ImageClassifier
from ziffern.training.recorder import Recorder, command
from ziffern.training.resuming import check_training_state, is_restoring
from ziffern.training.summary import print_start, print_summary, program, readable, shown
from ziffern.training.tensorboard import log_hyperparameters, log_layout, log_outcome, log_results

Metrics = dict[str, Any]
Settings = dict[str, bool | int | float | str]
THREADS = "threads"  # a checkpoint may be continued with another number of them, with a note
MAY_CHANGE = (  # beginnings of settings that a run may change when it continues, beside `experiment.PLUMBING`
    *("trainer.max_epochs", "trainer.min_epochs", "callbacks.early_stopping"),  # when it ends, not what a step does
    *("trainer.strategy", "trainer.profiler"),  # how the same steps are taken
)
SOURCE = "data.source"  # not compared: the fingerprint identifies the data, also where a fallback stood in


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
    take_up: bool = False,
    spent: float = 0.0,
) -> Metrics:
    """Fit `model` to `data` with `trainer`, test its best checkpoint, and write the run folder.

    Args:
        data: Set up.
        model: Its normalisation is fitted here, on what the data says.
        trainer: Has the recorder's callbacks.
        recorder: Writes the folder.
        name: What people call the model, such as cnn.
        settings: Flat hyperparameters for the loggers.
        ckpt_path: Continue from this checkpoint.
        test: Look at the test part at the end.
        spent: Seconds of training that the model has behind it from other runs.
        take_up: Go on from what an earlier process left in the folder, where that is of these settings.

    Returns:
        What metrics.json holds.

    Raises:
        InputError: The checkpoint does not fit, or the training diverged.
    """
    model.normalize.fit(data.dataset.images, data.parts.train)
    model.provenance = provenance(data, settings, recorder.monitor) | {THREADS: torch.get_num_threads()}
    if model.steps_each_batch:  # such a scheduler is made for a number of steps
        model.provenance["trainer.max_epochs"] = int(trainer.max_epochs or 0)
    if take_up and ckpt_path is None:
        ckpt_path = _left_behind(recorder, model, trainer)
    checkpoint = check_checkpoint(Path(ckpt_path), model, trainer) if ckpt_path else {}
    if middle := checkpoint.get("ziffern_middle"):
        if (data.micro_steps is None) != (middle["micro_steps"] is None):
            theirs = 1 if middle["micro_steps"] is None else middle["micro_steps"]
            raise InputError(
                f"ckpt_path={ckpt_path}: saved in the middle of an epoch, whose progress is counted in other steps: "
                f"use trainer.micro_steps={theirs}, as the run that wrote it"
            )
        data.micro_steps = middle["micro_steps"]  # its progress is counted in these
    model.automatic_optimization = data.micro_steps is None
    recorder.checkpoints.continued = Path(ckpt_path) if ckpt_path else None
    if isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO):
        trainer.strategy.checkpoint_io.checked = checkpoint or None
    main = trainer.is_global_zero
    if main:
        recorder.environment(trainer)
        recorder.data(data.dataset, data.parts, model.normalize)
        recorder.events.write("start", **_description(name, data, model), max_epochs=trainer.max_epochs)
        print_start(recorder, name, data, model, trainer, epochs_behind(checkpoint))
        if note := threads_note(checkpoint, trainer):
            recorder.console.print(f"NOTE: {note}", style="bold yellow", soft_wrap=True, markup=False)
        log_layout(trainer.loggers)
        log_hyperparameters(trainer.loggers, settings)
    try:
        with _exit_codes():
            trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
            metrics = _validation_metrics(data, model, trainer, recorder)
            if test:
                metrics |= _test(data, model, trainer, recorder)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error
    except BaseException as error:
        if ckpt_path and isinstance(error, Exception) and is_restoring(error):
            raise InputError(
                f"ckpt_path={one_line(ckpt_path)}: Lightning cannot go on from it ({reason(error)}): name another"
            ) from error
        _say_how_to_go_on(recorder, error, main)
        raise
    metrics |= _description(name, data, model) | {"train_seconds": round(recorder.history.seconds + spent, 3)}
    if main:
        log_outcome(trainer.loggers, metrics)
        recorder.metrics(metrics)
        print_summary(recorder.console, metrics, recorder.folder)
    return metrics


@contextlib.contextmanager
def _exit_codes() -> Iterator[None]:
    """Exit as shells expect it after an interrupt or a SIGTERM, for which Lightning would with 1 and 0."""
    try:
        yield
    except SIGTERMException as error:
        raise SystemExit(128 + signal.SIGTERM) from error
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):  # a callback's own
            raise
        raise SystemExit(128 + signal.SIGINT) from error


def _left_behind(recorder: Recorder, model: ImageClassifier, trainer: pl.Trainer) -> str | None:
    """Return the last checkpoint in the run folder if it can be continued; otherwise clear both away."""
    try:
        check_checkpoint(recorder.checkpoints.last_path, model, trainer)
    except InputError:
        for path in (recorder.checkpoints.last_path, recorder.checkpoints.best_path):
            path.unlink(missing_ok=True)
        return None
    return str(recorder.checkpoints.last_path)


def provenance(data: ImageDataModule, settings: Settings, monitor: str) -> Settings:
    """Return what a checkpoint must share with a run that continues it: all that changes training but MAY_CHANGE."""
    dataset = data.dataset
    kept = {key: value for key, value in settings.items() if not key.startswith((*MAY_CHANGE, SOURCE))}
    own = {"data": dataset.name, "fingerprint": dataset.fingerprint, "split": data.split_name, "monitor": monitor}
    return kept | own


def check_logits(model: ImageClassifier, classes: int) -> None:
    """Raise InputError unless the net gives one logit a class and the loss takes them."""
    image, label = torch.zeros(2, *model.normalize.image, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
    model.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            logits = model(image)
            if logits.shape == (2, classes) and model.loss(logits, label).dim() == 0:
                return
            found = f"logits {tuple(logits.shape)}, loss {tuple(model.loss(logits, label).shape)}"
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        found = str(error)
    finally:
        model.train()
    raise InputError(
        f"model.net and model.loss do not fit two images of {classes} classes ({found}): the net gives logits "
        f"(2, {classes}), such as by model.net.num_classes={classes}, and the loss their mean"
    )


def epochs_behind(checkpoint: Mapping[str, Any]) -> int:
    """Return the whole epochs that a checkpoint, or an empty one, has behind it."""
    return int(checkpoint["epoch"]) + ("ziffern_middle" not in checkpoint) if checkpoint else 0


def check_checkpoint(path: Path, model: ImageClassifier, trainer: pl.Trainer) -> dict[str, Any]:
    """Return the content of a checkpoint, after checking that it can be continued here.

    Raises:
        InputError: It is damaged, of another architecture, of other data or settings, or already further
            than `trainer.max_epochs`.
    """
    checkpoint = read_checkpoint(path)
    if differing := differing_tensors(model.state_dict(), checkpoint["state_dict"]):
        raise InputError(
            f"ckpt_path={path}: this checkpoint is of another architecture ({len(differing)} tensors differ, "
            f"such as {one_line(differing[0])}): give the model= and settings of the run that wrote it"
        )
    if checkpoint.get("ziffern_middle", {}).get("nowhere"):
        raise InputError(
            f"ckpt_path={path}: saved within a step, or between an epoch's last step and its validation, where no run "
            "can go on: name another, such as the run's checkpoints/last.ckpt"
        )
    theirs, own = checkpoint.get("ziffern", {}), model.provenance
    is_complete = "monitor" in theirs  # early checkpoints have only the settings of model and data
    keys = theirs.keys() | own.keys() if is_complete else theirs.keys()
    for key in sorted((key for key in keys if key != THREADS and not key.startswith(SOURCE)), key=str):
        there, here = (None if str(value) == "None" else value for value in (theirs.get(key), own.get(key)))
        if there != here:
            raise InputError(
                f"ckpt_path={path}: this checkpoint has {one_line(key)}={one_line(there)} and this run "
                f"{one_line(key)}={one_line(here)}: a run goes on with its own settings: give those that wrote it"
            )
    epochs = epochs_behind(checkpoint)
    if trainer.max_epochs is not None and epochs > trainer.max_epochs:
        raise InputError(
            f"ckpt_path={path}: this checkpoint has {epochs} epochs behind it, more than "
            f"trainer.max_epochs={trainer.max_epochs}: raise it to at least {epochs}"
        )
    if epochs and epochs == trainer.max_epochs and (path.parent.parent / "metrics.json").is_file():
        raise InputError(
            f"ckpt_path={one_line(path)}: this run is complete, and trainer.max_epochs={epochs} leaves nothing to "
            f"train: raise it to at least {epochs + 1}, or see ziffern report {one_line(path.parent.parent)}"
        )
    try:
        check_training_state(checkpoint, model)
    except ValueError as error:
        raise InputError(
            f"ckpt_path={one_line(path)}: its {one_line(error)}, and no run can go on from it: name another"
        ) from error
    return checkpoint


def threads_note(checkpoint: Mapping[str, Any], trainer: pl.Trainer) -> str:
    """Return what to know where a checkpoint was trained with another number of CPU threads than this process has."""
    before, now = checkpoint.get("ziffern", {}).get(THREADS), torch.get_num_threads()
    if before in (None, now) or trainer.strategy.root_device.type != "cpu":
        return ""
    return (
        f"the checkpoint was trained with threads={one_line(before)}, and this run continues with threads={now}: "
        f"results will not repeat bit for bit; threads={one_line(before)} continues exactly"
    )


def _validation_metrics(
    data: ImageDataModule, model: ImageClassifier, trainer: pl.Trainer, recorder: Recorder
) -> Metrics:
    """Return the scores of the epoch whose checkpoint was chosen; measure them where nothing was trained."""
    rows = recorder.history.rows
    if not rows:
        for path in (recorder.checkpoints.best_path, recorder.checkpoints.last_path):
            trainer.save_checkpoint(path)
        trainer.validate(model, datamodule=data, verbose=False)
        scores = {name: round(float(trainer.callback_metrics[name]), 7) for name in ("val/acc", "val/loss")}
        return {**scores, "train/acc": None, "train/loss": None, "epochs": 0, "best_epoch": 0}
    if not recorder.checkpoints.last_path.exists():  # nothing was left to train
        trainer.save_checkpoint(recorder.checkpoints.last_path)
    chosen = int(read_checkpoint(recorder.checkpoints.best_path)["epoch"]) + 1
    row = next(row for row in rows if row["epoch"] == chosen)
    scores = {name: row[name] for name in ("val/acc", "val/loss", "train/acc", "train/loss")}
    return {**scores, "epochs": len(rows), "best_epoch": chosen}


def _test(data: ImageDataModule, model: ImageClassifier, trainer: pl.Trainer, recorder: Recorder) -> Metrics:
    """Test the best checkpoint, keep the predictions, and return the scores."""
    # Not by trainer.test(ckpt_path=...): that would restore the callbacks too, history and averages with them.
    model.load_state_dict(read_checkpoint(recorder.checkpoints.best_path)["state_dict"])
    trainer.test(model, datamodule=data, verbose=False)
    logits = torch.cat(model.test_logits)  # (N, C)
    index = data.parts.test
    outcome = Outcome(data.dataset.labels[index], logits.softmax(1).numpy())
    if trainer.is_global_zero:
        images = data.dataset.images[index]
        recorder.predictions(index, outcome, images)
        log_results(trainer.loggers, images, outcome, data.dataset.class_names)
    return {
        "test/acc": outcome.accuracy,
        "test/acc_low": outcome.interval.low,
        "test/acc_high": outcome.interval.high,
        "test/loss": float(model.loss.cpu()(logits, torch.from_numpy(outcome.target))),
        "test/correct": outcome.correct,
        "test/total": outcome.total,
        "baseline/acc": majority_baseline(data.dataset.labels[data.parts.train], outcome.target),
    }


def _description(name: str, data: ImageDataModule, model: ImageClassifier) -> Metrics:
    """Return what was trained on what."""
    return {
        "model": name,
        "params": model.parameter_count,
        "seed": model.seed,
        "threads": torch.get_num_threads(),
        "normalize": f"{model.normalize.kind}/{model.normalize.fit_on}",
        "data/name": data.dataset.name,
        "data/fingerprint": data.dataset.fingerprint,
        "data/split": data.split_name,
        "data/train": len(data.parts.train),
        "data/val": len(data.parts.val),
        "data/test": len(data.parts.test),
        "data/batch_size": data.batch_size,
        "data/leak": english(data.parts.leak),
        "data/note": english(data.dataset.note),
    }


def english(message: Message | None) -> str:
    """Return a message in English, whatever the language of the terminal; nothing for None."""
    return message.in_language("en") if message else ""


def _say_how_to_go_on(recorder: Recorder, error: BaseException, main: bool) -> None:
    """Record why the run ended early; after an interrupt, show the command that continues it."""
    if not main:
        return
    with contextlib.suppress(OSError):  # the disk may be what failed
        event = "pruned" if type(error).__name__ == "TrialPruned" else "failed"  # Optuna is there only in a search
        reason = f"exit code {error}" if isinstance(error, SystemExit) else str(error) or type(error).__name__
        recorder.events.write(event, reason=reason)
    if isinstance(error, SystemExit) and not recorder.checkpoints.last_path.exists():
        recorder.console.print("stopped in the first epoch, before there was a checkpoint to continue from")
    is_multirun = bool({"-m", "--multirun"} & set(sys.argv))
    if isinstance(error, SystemExit) and recorder.checkpoints.last_path.exists() and not is_multirun:
        # A run that was continued and stopped again in its first epoch has written none itself.
        epochs = recorder.checkpoints.epochs or len(recorder.history.rows)
        goes_on = printable(command(ckpt_path=shown(recorder.checkpoints.last_path)))
        look = f"{program('ziffern')} report {readable(recorder.folder)}"
        recorder.console.print(f"stopped after epoch {epochs}; continue with\n  {goes_on}", soft_wrap=True)
        recorder.console.print(f"or look at what is there\n  {look}", soft_wrap=True)
