"""Tests a finished checkpoint, on the data of its run or on other data.

Decisions: the result is a run folder of its own, with the training's history but without a checkpoint, which reports
and comparisons read like any other; the model is loaded with its normalization statistics, and nothing is fitted; a
an image that the model was trained or selected on is marked as a leak, and its name in the record is never that of the
test part.
"""

import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console

from ziffern.analysis.metrics import Evidence, columns, measure
from ziffern.errors import InputError
from ziffern.experiment.run import quieten
from ziffern.experiment.run_data import tested_data
from ziffern.experiment.seen_images import mark_seen, with_sources
from ziffern.experiment.settings import check_accelerator
from ziffern.files.atomic import write_text
from ziffern.records.writer import append_event, write_history, write_material
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run

PARTS = ("train", "val", "test", "all")
CHECKPOINTS = ("best", "last")
TRAINERS = ("auto", "cpu", "gpu", "mps")  # options that choose an accelerator
NO_EFFECT = tuple(
    f"data.{name}" for name in ("batch_size", "seed", "preview", "num_classes", "image")
)  # the model has the last two


def evaluate(
    run: Run | Path,
    data: str | None = None,
    part: str | None = None,
    checkpoint: str = "best",
    output: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Test a checkpoint of a run, and return the folder of the results.

    Args:
        run: A run or its folder, finished or not.
        data: An option of the group `data`, such as kmnist, or the path of other data; None is the run's own.
        part: train, val, test or all; None is the test part of the run's own data, and all of any other.
        checkpoint: `best` or `last`.
        output: The new folder; one below outputs/evaluations if None.
        settings: Further settings by their dotted names: those of `data`, such as data.dir; trainer.precision, by
            default the run's own; and `trainer`: auto, cpu, gpu or mps.

    Raises:
        InputError: An unknown part, option, setting or path, an existing output folder, a damaged run, unusable data,
            or data with classes that the model does not have.
    """
    import ziffern.machine.plotting  # noqa: F401  # before torchmetrics imports matplotlib
    from ziffern.training.labels import Labels
    from ziffern.training.metrics import description, tested
    from ziffern.training.recorder import Recorder
    from ziffern.training.trainer import make_trainer

    run, settings = run if isinstance(run, Run) else Run(run), settings or {}
    trainer_settings = _check(part, checkpoint, output, settings)
    quieten()
    if run.evaluation:
        raise InputError("experiment.evaluation.of_evaluation", folder=run.folder, run=run.evaluation["run"])
    model, material = run.load_model(checkpoint), run.material
    if material is None:
        raise InputError("records.file.missing", path=run.folder / "data.npz")
    images, part = tested_data(run, material, data, part, settings, model.normalize.image)
    mark_seen(images, list(with_sources(run)), "evaluation")
    trainer_settings.setdefault("precision", (run.config.get("trainer") or {}).get("precision", "32-true"))
    about = {"run": run.folder.resolve().name, "checkpoint": checkpoint, "part": part}
    name = re.sub(r"[^\w.-]+", "-", f"{about['run']}_{images.dataset.name}-{part}")
    folder = output or Path(f"outputs/evaluations/{name}_{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")
    labels = Labels(debug=str(run.config.get("debug"))) if run.is_debug else Labels()
    recorder = Recorder(folder, str(run.config.get("monitor", "val/acc")), Console(quiet=True), labels)
    try:
        trainer = make_trainer(trainer_settings, {}, {}, recorder)
        recorder.environment(trainer)
        counts = np.bincount(images.dataset.labels[images.parts.test], minlength=len(material.class_names))
        counts = np.stack([*material.counts[:2], counts])
        mean, std = model.normalize.statistics()
        write_material(folder, replace(material, counts=counts, mean=mean, std=std))
        config = {key: value for key, value in run.config.items() if key not in ("logger", "published")}
        write_text(folder / ".hydra/config.yaml", yaml.safe_dump({**config, "evaluation": about}, allow_unicode=True))
        if run.overrides is not None:
            write_text(folder / ".hydra/overrides.yaml", yaml.safe_dump(run.overrides, allow_unicode=True))
        facts = description(str(run.description.get("model", "")), images, model, trainer, recorder)
        facts |= {"data/train": int(counts[0].sum()), "data/val": int(counts[1].sum())}
        facts |= {"threads": run.threads} if run.threads else {}  # of training: they affect the weights
        del facts["data/batch_size"]
        append_event(folder, "start", **facts, max_epochs=0)
        outcome, loss = tested(images, model, trainer, folder)
        rows = run.history
        kept = len(rows) if checkpoint == "last" else Findings(run).kept_epoch
        untrained = {} if rows else {key: run.metrics[key] for key in ("val/acc", "val/loss", "train_seconds")}
        evidence = Evidence(columns(rows), kept, outcome, counts[0], run.load_inference(checkpoint).known_temperature)
        metrics = {"test/loss": loss, **untrained, **measure(evidence)}
        if rows:
            write_history(folder, rows)
        recorder.metrics({**facts, **metrics})
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _check(part: str | None, checkpoint: str, output: Path | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check the arguments of `evaluate`, and return the settings of the trainer."""
    accelerator = settings.get("trainer", "auto")
    for option, value, known in (
        (f"--split {part}", part or "test", PARTS),
        (f"--checkpoint {checkpoint}", checkpoint, CHECKPOINTS),
        (f"trainer={accelerator}", accelerator, TRAINERS),
    ):
        if value not in known:
            raise InputError("experiment.evaluation.unknown", option=option, known=known)
    for key in settings:
        if key in NO_EFFECT or (not key.startswith("data.") and key not in ("trainer", "trainer.precision")):
            raise InputError("experiment.evaluation.setting", key=key)
    check_accelerator(accelerator)
    if output is not None and output.exists():
        raise InputError("experiment.ensemble.exists", folder=output)
    precision = {key.partition(".")[2]: value for key, value in settings.items() if key == "trainer.precision"}
    trainer = {"_target_": "pytorch_lightning.Trainer", "accelerator": accelerator, "devices": 1, "max_epochs": 0}
    return {**trainer, "micro_steps": 1, **precision}
