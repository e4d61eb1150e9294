"""From a composed configuration to the objects of one experiment, in the order that finds mistakes first.

Decisions: settings are checked before the data is loaded, and the data before anything is trained; no room below this
one sees a configuration as a whole; epochs and trials are chosen by validation scores alone.
"""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from ziffern.data.datamodule import ImageDataModule
    from ziffern.training.callbacks.pruning import Trial
    from ziffern.training.module import ImageClassifier
    from ziffern.training.recorder import Recorder

from ziffern.config.hyperparameters import hyperparameters, plain_config
from ziffern.config.instantiate import build, named
from ziffern.errors import InputError
from ziffern.experiment.objectives import objectives
from ziffern.experiment.settings import check_settings
from ziffern.machine.processes import is_first, launched

Score = float | list[float]
EARLY_STOPPING = "ziffern.training.callbacks.early_stopping.EarlyStopping"
STEPWISE = (  # callbacks that do nothing within an epoch, or follow the optimizer's own steps
    EARLY_STOPPING,
    "ziffern.training.callbacks.ema.EMA",
)
PLAIN_ONLY = (  # settings of Lightning's Trainer that count its batches or change its steps
    "accumulate_grad_batches",
    "limit_train_batches",
    "overfit_batches",
    "val_check_interval",
    "profiler",
)
CLIPPING = ("gradient_clip_val", "gradient_clip_algorithm")


def run_experiment(
    cfg: DictConfig,
    folder: Path,
    name: str,
    trial: "Trial | None" = None,
    is_trial: bool = False,
    on_ready: "Callable[[ImageDataModule, ImageClassifier], None]" = lambda data, model: None,
) -> Score:
    """Train, test and record a model, as a configuration describes it.

    Args:
        cfg: As composed from conf/train.yaml.
        folder: The run folder.
        name: The model's name: the option of the group `model`.
        trial: The trial of a search that receives a score after each epoch; None in all but the first process.
        is_trial: This is a trial of a search: it continues the work of a killed process, and never tests.
        on_ready: Called with the data and the model before anything is trained; may refuse the data.

    Returns:
        The score of the best epoch that `cfg.objective` names, or a list of scores.

    Raises:
        InputError: The configuration, the data or the machine does not allow this run.
    """
    check_settings(cfg)
    several = micro_steps(cfg)
    import pytorch_lightning as pl
    from pytorch_lightning.accelerators import CPUAccelerator

    from ziffern.data.datamodule import ImageDataModule
    from ziffern.machine.threads import set_threads, tune_cpu_process
    from ziffern.training.callbacks.pruning import Pruning
    from ziffern.training.module import ImageClassifier
    from ziffern.training.pace import steps_at_once
    from ziffern.training.recorder import Recorder
    from ziffern.training.train import check_logits, train

    quieten()
    if "published" in cfg and "fallback" in cfg.data.source:  # other data must not stand in for a recipe's own
        with open_dict(cfg):
            cfg.data.source.fallback = False
    if cfg.trainer.gradient_clip_val is not None and "mixed" in str(cfg.trainer.precision):
        with open_dict(cfg):  # Lightning refuses to clip for a fused optimizer in mixed precision
            cfg.model.fuse = False
    set_threads(cfg.threads)
    pl.seed_everything(cfg.seed, verbose=False)
    model = build(cfg.model, "model", ImageClassifier)
    check_logits(model, cfg.data.num_classes)
    data = build(cfg.data, "data", ImageDataModule)
    recorder = Recorder(folder, cfg.monitor, _console())
    pruning = [Pruning(trial, cfg.monitor)] if is_trial and isinstance(cfg.objective, str) else []
    trainer = make_trainer(cfg, recorder, *pruning)
    used = trainer.num_devices * trainer.num_nodes
    if not is_trial and launched() != used > 0 and launched() > 1:
        raise InputError("experiment.processes.unused", started=launched(), used=used)
    if isinstance(trainer.accelerator, CPUAccelerator):
        tune_cpu_process()
    data.setup()
    on_ready(data, model)
    if several != 1 and cfg.trainer.max_epochs:
        if several == "auto":
            several = steps_at_once(model, data, trainer)
        data.micro_steps = int(several)
        model.clip = clipping(cfg.trainer)
    settings = hyperparameters(plain_config(cfg)) | {"model": name}
    metrics = train(
        data,
        model,
        trainer,
        recorder,
        name=name,
        settings=settings,
        ckpt_path=cfg.ckpt_path,
        test=cfg.test and not is_trial,
        take_up=is_trial,
        spent=float(OmegaConf.select(cfg, "ensemble.train_seconds", default=0.0)),
    )
    scores = [float(metrics[objective]) for objective in objectives(cfg.objective)]
    return scores[0] if isinstance(cfg.objective, str) else scores


def make_trainer(cfg: DictConfig, recorder: "Recorder", *more: "pl.Callback") -> "pl.Trainer":
    """Return the trainer of a run, with the recorder's callbacks, the configured ones, and `more`."""
    from pytorch_lightning import Callback, Trainer
    from pytorch_lightning.loggers import Logger
    from pytorch_lightning.plugins.precision import Precision

    from ziffern.training.callbacks.atomic_io import AtomicCheckpointIO
    from ziffern.training.module import PlainPrecision

    callbacks = [build(node, f"callbacks.{name}", Callback) for name, node in wanted_callbacks(cfg)]
    loggers = [build(node, f"logger.{name}", Logger) for name, node in named(cfg.logger) if node]
    trainer: pl.Trainer = build(
        lightning_settings(cfg),
        "trainer",
        Trainer,
        plugins=[AtomicCheckpointIO()],
        callbacks=[*more, *callbacks, *recorder.callbacks],
        logger=loggers or False,
        default_root_dir=str(recorder.folder),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    if type(trainer.precision_plugin) is Precision:
        trainer.strategy.precision_plugin = PlainPrecision()
    return trainer


def wanted_callbacks(cfg: DictConfig) -> list[tuple[str, DictConfig]]:
    """Return the configured callbacks, without early stopping where it is off.

    Each callback costs something at every hook of every step.
    """

    def is_off(node: DictConfig) -> bool:
        return node.get("_target_") == EARLY_STOPPING and node.get("patience") is None

    return [(name, node) for name, node in named(cfg.callbacks) if node and not is_off(node)]


def micro_steps(cfg: DictConfig) -> int | str:
    """Return the optimizer steps of one `training_step`, or `auto` for as many as pay (`ziffern.training.pace`).

    1 leaves the steps to Lightning; so does `auto` where a setting or a callback counts or changes Lightning's steps.

    Raises:
        InputError: Another value than auto or a whole number of at least 1; or above 1 beside such a setting.
    """
    trainer = cfg.trainer
    wanted: int | str = trainer.micro_steps
    plain = [f"trainer.{name}" for name in PLAIN_ONLY if trainer.get(name) is not None]
    plain += [f"callbacks.{name}" for name, node in wanted_callbacks(cfg) if node.get("_target_") not in STEPWISE]
    if wanted == "auto":
        return 1 if plain else "auto"
    if type(wanted) is not int or wanted < 1:
        raise InputError(f"trainer.micro_steps={wanted}: must be auto, or a whole number of at least 1")
    if wanted > 1 and plain:
        raise InputError(
            f"trainer.micro_steps={wanted} beside {plain[0]}, which may need Lightning's own steps: "
            "use trainer.micro_steps=1 or auto"
        )
    return wanted


def clipping(trainer: DictConfig) -> dict[str, float | str]:
    """Return how gradients are clipped, as arguments of `clip_gradients`; empty where they are not."""
    return {name: trainer[name] for name in CLIPPING if trainer.get(name)} if trainer.get(CLIPPING[0]) else {}


def lightning_settings(cfg: DictConfig) -> DictConfig:
    """Return the settings of the trainer that are Lightning's own; it clips where it takes the steps."""
    ours = ("micro_steps", *(CLIPPING if micro_steps(cfg) != 1 else ()))
    return OmegaConf.create({key: value for key, value in cfg.trainer.items() if key not in ours})


def _console() -> Console:
    """Return the terminal; only the first of several processes (DDP) prints. Text is never taken for markup."""
    return Console(quiet=not is_first(), highlight=False, markup=False, emoji=False)


def quieten() -> None:
    """Silence Lightning's notes on hardware and its tips; its warnings stay."""
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Few batches per epoch are normal for small data, and a CPU beside a GPU is a choice.
    warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", ".*GPU available but not used.*")
    warnings.filterwarnings("ignore", ".*exists and is not empty.*")  # a run that continues in its folder
    warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning 2.6 with torch 2.14; users cannot prevent it
