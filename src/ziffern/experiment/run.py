"""From a composed configuration to the objects of one experiment, in an order that finds mistakes early.

Decisions: settings are checked before the data is loaded, and the data before anything is trained; no room below
this one receives the whole configuration; epochs and trials are chosen by validation scores alone.
"""

import logging
import math
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

if TYPE_CHECKING:
    from ziffern.data.datamodule import ImageDataModule
    from ziffern.training.callbacks.pruning import Trial
    from ziffern.training.module import ImageClassifier
    from ziffern.training.recorder import Recorder

from ziffern.config.command import is_multirun, launch_folder, relative
from ziffern.config.hyperparameters import hyperparameters, plain_config
from ziffern.config.instantiate import build, resolved
from ziffern.config.own import allow_targets
from ziffern.config.parts import complete_parts
from ziffern.config.paths import resolve_paths
from ziffern.errors import InputError
from ziffern.experiment.naming import continues_by_command
from ziffern.experiment.outside_hydra import own_config, record_config
from ziffern.experiment.run_folder import LAST, claimed
from ziffern.experiment.settings import check_logits, check_settings, check_single_images, objectives
from ziffern.machine.companions import together
from ziffern.machine.imports import heavy_imports
from ziffern.machine.processes import is_first, launched
from ziffern.text.catalog import Message
from ziffern.text.language import terminal_language

Score = float | list[float]


def run_experiment(
    cfg: DictConfig,
    folder: Path,
    name: str,
    trial: "Trial | None" = None,
    is_trial: bool = False,
    on_ready: "Callable[[ImageDataModule, ImageClassifier], None]" = lambda data, model: None,
) -> Score:
    """Train, test and record the model that a configuration describes.

    Args:
        cfg: The configuration, composed from conf/train.yaml.
        folder: The run folder, which holds no run, or the one that `cfg.ckpt_path` continues.
        name: The model's name: the option of the group `model`.
        trial: The trial of a search that receives a score after each epoch; None in all but the first process.
        is_trial: Whether this is a trial of a search, which continues the work of a killed process and is never tested.
        on_ready: Called with the data and the model before anything is trained; may refuse the data.

    Returns:
        The score of the best epoch that `cfg.objective` names, or a list of scores.

    Raises:
        InputError: The configuration, the folder, the data or the machine does not allow this run.
    """
    allow_targets(cfg.get("targets") or ())
    composed, cfg = cfg, own_config(cfg, folder)
    complete_parts(cfg)
    with heavy_imports():
        import ziffern.machine.plotting  # noqa: F401  # before torchmetrics imports matplotlib

        check_settings(cfg)  # imports the classes that the configuration names
    resolve_paths(cfg, launch_folder())
    claim = claimed(folder, cfg.ckpt_path) if is_first() and not is_trial else nullcontext()
    with claim, together(lambda: _how_to_continue(folder), HydraConfig.initialized()):
        return _run(cfg, composed, folder, name, trial, is_trial, on_ready)


def _run(
    cfg: DictConfig,
    composed: DictConfig,
    folder: Path,
    name: str,
    trial: "Trial | None",
    is_trial: bool,
    on_ready: "Callable[[ImageDataModule, ImageClassifier], None]",
) -> Score:
    """Run a checked configuration in a claimed folder."""
    import pytorch_lightning as pl
    from pytorch_lightning.accelerators import CPUAccelerator

    from ziffern.data.datamodule import ImageDataModule
    from ziffern.machine.threads import set_threads, tune_cpu_process
    from ziffern.training.callbacks.pruning import Pruning
    from ziffern.training.module import ImageClassifier
    from ziffern.training.train import train
    from ziffern.training.trainer import make_trainer

    quieten()
    if is_trial and cfg.get("debug"):
        raise InputError("experiment.debug.search", option=cfg.debug)
    if "published" in cfg and "fallback" in (cfg.data.source or ()):  # a published recipe never trains on fallback data
        with open_dict(cfg):
            cfg.data.source.fallback = False
    if cfg.trainer.gradient_clip_val is not None and _is_mixed(cfg.trainer.precision):
        with open_dict(cfg):  # Lightning refuses to clip for a fused optimizer in mixed precision
            cfg.model.fuse = False
    set_threads(cfg.threads)
    pl.seed_everything(cfg.seed, verbose=False)
    data = build(cfg.data, "data", ImageDataModule)
    _count_classes(cfg, data)
    model = build(cfg.model, "model", ImageClassifier)
    check_logits(model, cfg.data.num_classes)
    if cfg.data.batch_size == 1:
        check_single_images(model)
    recorder = _recorder(cfg, folder)
    pruning = [Pruning(trial, cfg.monitor)] if is_trial and isinstance(cfg.objective, str) else []
    own_metrics = [recorder.own_metrics] if recorder.own_metrics else []
    trainer = make_trainer(*trainer_parts(cfg), recorder, *pruning, *own_metrics)
    used = trainer.num_devices * trainer.num_nodes
    if not is_trial and launched() != used > 0 and launched() > 1:
        raise InputError("experiment.processes.unused", started=launched(), used=used)
    if isinstance(trainer.accelerator, CPUAccelerator):
        tune_cpu_process()
    data.setup()
    model.normalize.fit(data.dataset.images, data.parts.train)
    settings = hyperparameters(plain_config(cfg)) | {"model": name}
    candidates = float(OmegaConf.select(cfg, "ensemble.candidates", default=1))
    if cfg.get("init_from") is not None:
        settings["init_from"], candidates = _take_weights(model, str(cfg.init_from), data)
    on_ready(data, model)
    results = train(
        data,
        model,
        trainer,
        recorder,
        name=name,
        settings=settings,
        ckpt_path=cfg.ckpt_path,
        test=cfg.test and not is_trial,
        on_start=lambda: _record(composed, folder, cfg.data.num_classes, data),
        resume_if_possible=is_trial,
        prior_seconds=float(OmegaConf.select(cfg, "ensemble.train_seconds", default=0.0)),
        prior_candidates=candidates,
    )
    scores = [float(results[objective]) for objective in objectives(cfg.objective)]
    return scores[0] if isinstance(cfg.objective, str) else scores


def _how_to_continue(folder: Path) -> Message:
    """Return how a run continues whose processes have ended."""
    if is_multirun() or not (last := folder / LAST).is_file():
        return Message("machine.companions.again")
    return Message("machine.companions.resume", checkpoint=relative(last))


def _count_classes(cfg: DictConfig, data: "ImageDataModule") -> None:
    """Take the number of classes from the data where it is not given, since the model is built with it."""
    import pytorch_lightning as pl

    if cfg.data.num_classes is None:
        data.setup()
        cfg.data.num_classes = data.num_classes
        pl.seed_everything(cfg.seed, verbose=False)  # the user's own datasets may have drawn numbers


def _take_weights(model: "ImageClassifier", source: str, data: "ImageDataModule") -> tuple[str, float]:
    """Give a model the weights of a checkpoint, and record a leak if they saw test images.

    Returns:
        The fingerprint of the weights, and the candidates of their run (`Run.candidates`), infinite after a leak, since
        a run with another split was trained on this run's validation images, too.
    """
    from ziffern.experiment.seen_images import mark_seen, source_run, with_sources
    from ziffern.training.initial_weights import take_weights

    fingerprint, leak = take_weights(model, source, data), data.parts.leak
    mark_seen(data, list(with_sources(source_run(source))), "init_from")
    if data.parts.leak is not leak:
        return fingerprint, math.inf
    try:
        return fingerprint, source_run(source).candidates
    except InputError:  # weights without a run
        return fingerprint, 1


def _record(cfg: DictConfig, folder: Path, num_classes: int, data: "ImageDataModule") -> None:
    """Write the configuration and, if `data.preview` is set, a contact sheet into the claimed run folder."""
    from ziffern.report.contact_sheet import write_contact_sheet

    record_config(cfg, folder, num_classes)
    if data.preview and is_first():
        write_contact_sheet(folder / "preview.png", data.dataset, terminal_language.get())


def _is_mixed(precision: object) -> bool:
    return str(precision) in ("16", "bf16") or "mixed" in str(precision)  # the short forms are Lightning's


def _recorder(cfg: DictConfig, folder: Path) -> "Recorder":
    from torchmetrics import Metric

    from ziffern.training.callbacks.own_metrics import OwnMetrics
    from ziffern.training.labels import Labels
    from ziffern.training.recorder import Recorder

    # Only the first of several processes (DDP) prints. Text is not interpreted as markup.
    console = Console(quiet=not is_first(), highlight=False, markup=False, emoji=False)
    labels = Labels(str(cfg.get("name") or ""), tuple(map(str, cfg.get("tags") or ())), cfg.get("debug") or "")
    metrics = {str(name): build(node, f"metrics.{name}", Metric) for name, node in (cfg.get("metrics") or {}).items()}
    own_metrics = OwnMetrics(metrics, cfg.data.num_classes) if metrics else None
    return Recorder(folder, cfg.monitor, console, labels, own_metrics, continues=continues_by_command())


def trainer_parts(cfg: DictConfig) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the configurations `trainer`, `callbacks` and `logger` as plain containers."""
    return resolved(cfg.trainer, "trainer"), resolved(cfg.callbacks, "callbacks"), resolved(cfg.logger, "logger")


def quieten() -> None:
    """Silence Lightning's notes on hardware and its tips; its warnings stay."""
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("aim.sdk.lock_manager").setLevel(logging.ERROR)  # AimLogger reopens a run after training
    summary = logging.getLogger("pytorch_lightning.callbacks.model_summary")  # a user asked to see it
    summary.setLevel(logging.INFO)
    if not summary.handlers:
        summary.addHandler(logging.StreamHandler(sys.stdout))
    # Few batches per epoch are normal for small data, and using the CPU despite a GPU is a choice.
    warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", ".*GPU available but not used.*")
    warnings.filterwarnings("ignore", ".*`srun` command is available.*")  # a run on a login node needs none
    warnings.filterwarnings("ignore", ".*exists and is not empty.*")  # a run that continues in its folder
    warnings.filterwarnings("ignore", ".*requested to overfit.*")  # our batches are in order then
    warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning 2.6 with torch 2.14; users cannot prevent it
