"""The metrics of a run: those of its best epoch, those of the test part, and the entries that describe it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from ziffern.analysis.metrics import Evidence, columns, measure
from ziffern.analysis.outcome import Outcome
from ziffern.data.datamodule import ImageDataModule
from ziffern.records.checkpoint import read_checkpoint
from ziffern.records.messages import recorded, recorded_list
from ziffern.records.writer import write_predictions
from ziffern.text.catalog import Message
from ziffern.training.module import ImageClassifier
from ziffern.training.recorder import Recorder
from ziffern.training.tensorboard import log_results

Metrics = dict[str, Any]


def validation_metrics(
    data: ImageDataModule, model: ImageClassifier, trainer: pl.Trainer, recorder: Recorder
) -> Metrics:
    """Return the metrics of the best epoch; without any training, validate the model as it is."""
    if not recorder.history.rows:
        for path in (recorder.checkpoints.best_path, recorder.checkpoints.last_path):
            trainer.save_checkpoint(path)
        trainer.validate(model, datamodule=data, verbose=False)
        scores = {name: round(float(trainer.callback_metrics[name]), 7) for name in ("val/acc", "val/loss")}
        return {"train/acc": None, "train/loss": None} | scores | measure(_evidence(recorder))
    if not recorder.checkpoints.last_path.exists():  # no epoch was left to train
        trainer.save_checkpoint(recorder.checkpoints.last_path)
    return dict(measure(_evidence(recorder)))


def test_metrics(
    data: ImageDataModule,
    model: ImageClassifier,
    trainer: pl.Trainer,
    recorder: Recorder,
    temperature: float | None,
) -> Metrics:
    """Test the best checkpoint, record its predictions, and return their metrics, calibrated ones included."""
    # Not by trainer.test(ckpt_path=...): that would restore the callbacks too, history and averages with them.
    model.load_state_dict(read_checkpoint(recorder.checkpoints.best_path)["state_dict"])
    outcome, loss = tested(data, model, trainer, recorder.folder)
    counts = np.bincount(data.dataset.labels[data.parts.train], minlength=len(data.dataset.class_names))
    own = {"own_metrics": recorder.own_metrics.values} if recorder.own_metrics else {}
    return own | {"test/loss": loss, **measure(_evidence(recorder, outcome, counts, temperature))}


def tested(data: ImageDataModule, model: ImageClassifier, trainer: pl.Trainer, folder: Path) -> tuple[Outcome, float]:
    """Test a model as it is, write its predictions to the run folder `folder`, and return them with the loss."""
    trainer.test(model, datamodule=data, verbose=False)
    logits = torch.cat([logits for logits, _ in model.test_outputs]).cpu()  # (N, C)
    index = data.parts.test
    outcome = Outcome(data.dataset.labels[index], logits.softmax(1).numpy())
    if trainer.is_global_zero:
        images = data.dataset.images[index]
        names = data.dataset.names
        write_predictions(folder, index, outcome, images, [names[place] for place in index.tolist()] if names else ())
        log_results(trainer.loggers, images, outcome, data.dataset.class_names)
    return outcome, float(model.loss.cpu()(logits, torch.from_numpy(outcome.target)))


def _evidence(
    recorder: Recorder,
    outcome: Outcome | None = None,
    train_counts: NDArray[np.int64] | None = None,
    temperature: float | None = None,
) -> Evidence:
    rows = recorder.history.rows
    best_epoch = int(read_checkpoint(recorder.checkpoints.best_path)["epoch"]) + 1 if rows else 0
    return Evidence(columns(rows), best_epoch, outcome, train_counts, temperature)


def description(
    name: str, data: ImageDataModule, model: ImageClassifier, trainer: pl.Trainer, recorder: Recorder
) -> Metrics:
    """Return the entries that describe the model, the data and the settings."""
    return {
        "model": name,
        "params": model.parameter_count,
        "seed": model.seed,
        "threads": torch.get_num_threads(),
        **{key: value for key, value in model.provenance.items() if key == "init_from"},
        "normalize": f"{model.normalize.kind}/{model.normalize.fit_on}",
        "data/name": data.dataset.name,
        "data/fingerprint": data.dataset.fingerprint,
        "data/prepare": data.dataset.prepare,
        "data/split": data.split_name,
        "data/train": len(data.parts.train),
        "data/val": len(data.parts.val),
        "data/test": len(data.parts.test),
        "data/batch_size": data.batch_size,
        **recorded("data/leak", data.parts.leak),
        **recorded("data/note", data.dataset.note),
        **recorded_list("data/notes", data.notes),
        **recorded("data/limit", _limit(data, trainer)),
        **(recorded("debug", recorder.labels.note) if recorder.labels.debug else {}),
    }


def _limit(data: ImageDataModule, trainer: pl.Trainer) -> Message | None:
    """Return how many training images an epoch uses where a setting of the trainer leaves out batches."""
    limit, images = trainer.limit_train_batches, len(data.parts.train)  # a share, or a number of batches
    if limit == 1.0 and isinstance(limit, float):
        return None
    batches = len(data.train_dataloader())
    used = min(int(limit * batches) if isinstance(limit, float) else limit, batches) * data.batch_size
    used = min(used * trainer.world_size, images)
    return Message("training.limit.images", used=used, images=images) if used < images else None
