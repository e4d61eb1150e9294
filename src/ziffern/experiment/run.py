"""From a composed configuration to the objects of one experiment, in the order that finds mistakes first.

Decisions: everything that can be wrong is checked before the data is loaded, and the data before anything
is trained; only here and in `entry` is a configuration seen; whatever chooses (epoch, trial) is a
validation score, so another `monitor` is refused.
"""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from rich.console import Console

if TYPE_CHECKING:
    from ziffern.data.datamodule import ImageDataModule
    from ziffern.training.callbacks.pruning import Trial
    from ziffern.training.module import ImageClassifier

from ziffern.analysis.metrics import objectives as objective_directions
from ziffern.config.hyperparameters import hyperparameters, plain_config
from ziffern.config.instantiate import build, check_targets, resolved
from ziffern.errors import InputError
from ziffern.machine.processes import is_first, launched

MAX_SEED = 2**32 - 1
OBJECTIVES = objective_directions()
Score = float | list[float]
WHOLE_EPOCHS = (  # settings that would leave an epoch without its validation, by which the best one is chosen
    *("max_steps", "min_steps", "max_time", "fast_dev_run", "check_val_every_n_epoch", "limit_val_batches"),
    *("limit_test_batches", "enable_checkpointing", "barebones"),
)


def run_experiment(
    cfg: DictConfig,
    folder: Path,
    name: str,
    trial: "Trial | None" = None,
    is_trial: bool = False,
    on_ready: "Callable[[ImageDataModule, ImageClassifier], None]" = lambda data, model: None,
) -> Score:
    """Train, test and record what `cfg` says into `folder`.

    Args:
        cfg: As composed from conf/train.yaml.
        folder: The run folder.
        name: What people call the model: the option of the group `model`.
        trial: Of a search, to report to after each epoch; in the first process only.
        is_trial: This is a trial of a search: it goes on from what a killed process left, and never tests.
        on_ready: Called with the data and the model before anything is trained; may refuse the data.

    Returns:
        What `cfg.objective` names: one score of the best epoch, or a list of them.

    Raises:
        InputError: Something in the configuration, the data or the machine does not allow this run.
    """
    _check(cfg)
    import pytorch_lightning as pl
    from pytorch_lightning.accelerators import CPUAccelerator

    from ziffern.data.datamodule import ImageDataModule
    from ziffern.machine.threads import set_threads, tune_cpu_process
    from ziffern.training.callbacks.pruning import Pruning
    from ziffern.training.module import ImageClassifier
    from ziffern.training.recorder import Recorder
    from ziffern.training.train import check_logits, train
    from ziffern.training.trainer import make_trainer

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
    trainer = make_trainer(*trainer_parts(cfg), recorder, *pruning)
    if not is_trial and launched() != trainer.num_devices * trainer.num_nodes > 0 and launched() > 1:
        raise InputError(
            f"{launched()} processes were started, and the trainer uses {trainer.num_devices * trainer.num_nodes}: "
            "use trainer=ddp, with trainer.devices=N of each machine"
        )
    if isinstance(trainer.accelerator, CPUAccelerator):
        tune_cpu_process()
    data.setup()
    on_ready(data, model)
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
        resume_if_possible=is_trial,
        prior_seconds=float(OmegaConf.select(cfg, "ensemble.train_seconds", default=0.0)),
    )
    scores = [float(metrics[objective]) for objective in objectives(cfg.objective)]
    return scores[0] if isinstance(cfg.objective, str) else scores


def objectives(given: object) -> list[str]:
    """Return the names of what a search improves.

    Raises:
        InputError: One of them is no validation score and no cost.
    """
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, list | ListConfig) else []
    for name in names or [given]:
        if not isinstance(name, str) or name not in OBJECTIVES:
            raise InputError(f"objective={name}: must be one of {', '.join(OBJECTIVES)}, or a list of them")
    return [str(name) for name in names]


def directions(given: object) -> str | list[str]:
    """Return `maximize` or `minimize` for an objective, or a list of them for a list."""
    found = [OBJECTIVES[name] for name in objectives(given)]
    return found[0] if isinstance(given, str) else found


def trainer_parts(cfg: DictConfig) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the configurations `trainer`, `callbacks` and `logger` as plain containers."""
    return resolved(cfg.trainer, "trainer"), resolved(cfg.callbacks, "callbacks"), resolved(cfg.logger, "logger")


def _check(cfg: DictConfig) -> None:
    """Check what no constructor checks, and what Lightning would say less clearly."""
    if cfg.data.dir is None:
        raise InputError("data=local needs to know where: data.dir=PATH of a ZIP, folder, .csv or .npz")
    source = cfg.data.source
    if "fallback" in source and not str(source.get("_target_")).endswith(".Torchvision"):
        raise InputError("data: a published recipe never runs on other data: leave data= out, or experiment=")
    for name in ("data", "model", "callbacks", "logger"):
        check_targets(cfg[name], name)
    check_targets(
        OmegaConf.create({key: value for key, value in cfg.trainer.items() if key != "micro_steps"}), "trainer"
    )
    clip = cfg.trainer.gradient_clip_val
    if clip is not None and not (isinstance(clip, int | float) and clip >= 0):
        raise InputError(f"trainer.gradient_clip_val={clip}: must be a number of at least 0, or null for no clipping")
    for name in WHOLE_EPOCHS:
        if name in cfg.trainer:
            raise InputError(
                f"trainer.{name}={cfg.trainer[name]}: not possible here, since each epoch is trained and validated "
                "whole: use trainer.max_epochs, or fewer images by data.fractions"
            )
    if cfg.monitor not in ("val/acc", "val/loss"):
        raise InputError(f"monitor={cfg.monitor}: what chooses must be a validation score: val/acc or val/loss")
    objectives(cfg.objective)
    if not isinstance(cfg.test, bool):
        raise InputError(f"test={cfg.test}: must be true or false")
    if type(cfg.seed) is not int or not 0 <= cfg.seed <= MAX_SEED:
        raise InputError(f"seed={cfg.seed}: must be a whole number from 0 to {MAX_SEED}")
    if cfg.threads is not None and (type(cfg.threads) is not int or cfg.threads < 1):
        raise InputError(f"threads={cfg.threads}: must be at least 1, or null for torch's own choice")
    epochs = cfg.trainer.max_epochs
    if type(epochs) is not int or epochs < 0:
        raise InputError(f"trainer.max_epochs={epochs}: must be a whole number, 0 (no training) or more")
    if cfg.ckpt_path is not None and not Path(str(cfg.ckpt_path)).is_file():
        raise InputError(f"ckpt_path={cfg.ckpt_path}: no such file: name a run's checkpoints/last.ckpt")
    _check_accelerator(str(cfg.trainer.accelerator))


def _check_accelerator(accelerator: str) -> None:
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    present = {"gpu": cuda or mps, "cuda": cuda, "mps": mps}
    if not present.get(accelerator, True):
        raise InputError(
            f"trainer.accelerator={accelerator}: torch {torch.__version__} finds none on this machine: "
            "use trainer=cpu, or trainer=auto, which takes what is there"
        )


def _console() -> Console:
    """Return where people read; only the first of several processes (DDP) prints. Text is never taken for markup."""
    return Console(quiet=not is_first(), highlight=False, markup=False, emoji=False)


def quieten() -> None:
    """Keep Lightning's notes on hardware and tips out of what people read; its warnings stay."""
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Few batches an epoch are normal for small data, and a CPU beside a GPU is a choice.
    warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", ".*GPU available but not used.*")
    warnings.filterwarnings("ignore", ".*exists and is not empty.*")  # a run that goes on in its folder
    warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning 2.6 under torch 2.14; nothing a user can do
