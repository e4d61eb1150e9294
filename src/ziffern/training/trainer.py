"""Builds the Trainer of a run: Lightning's, with this project's checkpoints, records and steps."""

import inspect
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.callbacks import RichModelSummary

from ziffern.config.instantiate import build
from ziffern.training.callbacks.atomic_io import AtomicCheckpointIO
from ziffern.training.callbacks.early_stopping import EarlyStopping
from ziffern.training.fast_steps.choice import AUTO, step_callbacks
from ziffern.training.launcher import use_own_launcher
from ziffern.training.loggers import build_logger
from ziffern.training.recorder import Recorder

EARLY_STOPPING = f"{EarlyStopping.__module__}.{EarlyStopping.__qualname__}"
PROFILERS = {  # they write to the run folder; Lightning would log their tables where nobody sees them
    name: f"pytorch_lightning.profilers.{name.capitalize()}Profiler" for name in ("simple", "advanced")
} | {"pytorch": "pytorch_lightning.profilers.PyTorchProfiler"}
Nodes = Mapping[str, Mapping[str, Any] | None]  # of a group of the configuration, by name


class Trainer(pl.Trainer):
    """Lightning's Trainer, which also takes several optimizer steps per `training_step`.

    Args:
        micro_steps: How many; `auto` measures how many pay off, 1 is Lightning's own step. Modules other than
            `ImageClassifier`, on other data, keep their own steps.
        callbacks: See Lightning.
        settings: Lightning's other settings.

    Raises:
        InputError: `micro_steps` is not a count, or cannot be combined with other settings.
    """

    __signature__ = inspect.Signature(  # the schema of the configuration
        [
            *inspect.signature(pl.Trainer).parameters.values(),
            inspect.Parameter("micro_steps", inspect.Parameter.KEYWORD_ONLY, default=AUTO, annotation=int | str),
        ]
    )

    def __init__(
        self,
        *,
        micro_steps: int | str = AUTO,
        callbacks: list[pl.Callback] | pl.Callback | None = None,
        **settings: Any,
    ) -> None:
        given = [callbacks] if isinstance(callbacks, pl.Callback) else list(callbacks or [])
        super().__init__(callbacks=[*step_callbacks(micro_steps, settings, given), *given], **settings)


def make_trainer(
    settings: Mapping[str, Any], callbacks: Nodes, loggers: Nodes, recorder: Recorder, *more: pl.Callback
) -> pl.Trainer:
    """Return the trainer of a run.

    Args:
        settings: The configuration `trainer` as plain containers: those of `Trainer`.
        callbacks: The configuration `callbacks`; each one has a `_target_`.
        loggers: The configuration `logger`, likewise.
        recorder: Its callbacks record the run.
        more: More callbacks, called before the configured ones.

    Raises:
        InputError: A target that is not allowed, or settings that cannot be combined.
    """
    used, settings = used_callbacks(callbacks), dict(settings)
    if not settings.pop("enable_progress_bar", True):
        recorder.progress.is_hidden = True
    if (kind := settings.get("profiler")) in PROFILERS:
        settings["profiler"] = {"_target_": PROFILERS[kind], "dirpath": str(recorder.folder), "filename": "profile"}
    summary = [RichModelSummary()] if settings.pop("enable_model_summary", False) else []
    trainer: pl.Trainer = build(
        settings,
        "trainer",
        pl.Trainer,
        plugins=[AtomicCheckpointIO(), *_slurm()],
        callbacks=[
            *more,
            *(build(dict(node), f"callbacks.{name}", pl.Callback) for name, node in used.items()),
            *recorder.callbacks,
            *summary,
        ],
        logger=[
            build_logger(node, f"logger.{name}", recorder.folder, recorder.labels)
            for name, node in loggers.items()
            if node is not None
        ]
        or False,
        default_root_dir=str(recorder.folder),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    use_own_launcher(trainer)
    trainer.limit_val_batches = 1.0  # overfit_batches limits it too, but epochs are chosen by the whole part
    return trainer


def _slurm() -> list[SLURMEnvironment]:
    """Return the environment of a SLURM job, where Lightning must not requeue it; torchrun in a job has its own."""
    is_slurm = SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()
    return [SLURMEnvironment(auto_requeue=False)] if is_slurm else []


def used_callbacks(callbacks: Nodes) -> dict[str, Mapping[str, Any]]:
    """Return the configured callbacks without early stopping that is off: each costs time at every hook of a step."""

    def is_off(node: Mapping[str, Any]) -> bool:
        return node.get("_target_") == EARLY_STOPPING and node.get("patience") is None

    return {name: node for name, node in callbacks.items() if node is not None and not is_off(node)}
