"""Checks of settings that no constructor checks, or that Lightning would report less clearly; a search's objectives."""

import copy
import math
import pkgutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf

from ziffern.analysis.metrics import objectives as metric_objectives
from ziffern.config import conf_folder
from ziffern.config.command import launch_folder
from ziffern.config.instantiate import check_targets
from ziffern.config.root import check_root
from ziffern.config.targets import ALLOWED, allowed_class
from ziffern.errors import InputError
from ziffern.text.catalog import Message

if TYPE_CHECKING:
    import torch

    from ziffern.training.module import ImageClassifier

OBJECTIVES = metric_objectives()
MAX_SEED = 2**32 - 1
MONITORS = ("val/acc", "val/loss")  # only validation scores may choose an epoch
WHOLE_EPOCHS = (  # settings that would leave an epoch without the validation by which the best one is chosen
    *("max_steps", "min_steps", "max_time", "fast_dev_run", "check_val_every_n_epoch", "limit_val_batches"),
    *("limit_test_batches", "enable_checkpointing", "barebones"),
)
FORKING = ("ddp_spawn", "ddp_fork", "ddp_notebook")  # their processes return neither the history nor the scores
WITHOUT_EFFECT = ("use_distributed_sampler", "limit_predict_batches", "enable_autolog_hparams", "model_registry")
BASES = {"model": "ziffern.training.module.ImageClassifier", "data": "ziffern.data.datamodule.ImageDataModule"}
MAX_LABEL = 100  # characters of a name or a tag
REFUSED_CALLBACKS = {  # they change what is trained, but not what is tested and recorded: what to use instead
    "WeightAveraging": "ema",
    "StochasticWeightAveraging": "ema",
    "BatchSizeFinder": "batch_size",
    "LearningRateFinder": "learning_rate",
    "GradientAccumulationScheduler": "accumulation",
    "BaseFinetuning": "finetuning",
    "ModelPruning": "pruning",
    "ProgressBar": "progress",
}


def objectives(setting: object) -> list[str]:
    """Return the names in the setting `objective`, which is one name or a list of them.

    Raises:
        InputError: One of them is neither a validation score nor a cost.
    """
    names = [setting] if isinstance(setting, str) else list(setting) if isinstance(setting, list | ListConfig) else []
    for name in names or [setting]:
        if not isinstance(name, str) or name not in OBJECTIVES:
            raise InputError("experiment.objective.unknown", name=name, known=list(OBJECTIVES))
    return [str(name) for name in names]


def directions(setting: object) -> str | list[str]:
    """Return `maximize` or `minimize` for an objective, or a list of them for a list."""
    result = [OBJECTIVES[name] for name in objectives(setting)]
    return result[0] if isinstance(setting, str) else result


def check_settings(cfg: DictConfig) -> None:
    """Check a composed configuration before anything is loaded.

    Raises:
        InputError: A setting has a value that no run can use, or a `_target_` is not allowed (`ziffern.config`).
    """
    check_root(cfg, _hydra())
    _check_labels(cfg)
    if cfg.monitor not in MONITORS:
        raise InputError("experiment.monitor.unknown", value=cfg.monitor)
    objectives(cfg.objective)
    if not isinstance(cfg.test, bool):
        raise InputError("experiment.test.not_boolean", value=cfg.test)
    if type(cfg.seed) is not int or not 0 <= cfg.seed <= MAX_SEED:
        raise InputError("experiment.seed.out_of_range", value=cfg.seed, limit=MAX_SEED)
    if cfg.threads is not None and (type(cfg.threads) is not int or cfg.threads < 1):
        raise InputError("experiment.threads.too_few", value=cfg.threads)
    if cfg.data.dir is None:
        raise InputError("experiment.data.no_dir")
    source = None if OmegaConf.is_missing(cfg.data, "source") else cfg.data.source
    if source is not None and "fallback" in source and not str(source.get("_target_")).endswith(".Torchvision"):
        raise InputError("experiment.data.not_of_recipe")
    _check_callbacks(cfg.callbacks)
    _check_monitors(cfg)
    checked = cfg.copy()
    if OmegaConf.select(checked, "data.num_classes") is None:
        OmegaConf.update(checked, "data.num_classes", 2, force_add=True)  # known once the data is loaded
    for name, base in BASES.items():
        check_targets(checked[name], name, kind=pkgutil.resolve_name(base))
    for name in ("callbacks", "logger", "metrics"):
        check_targets(checked.get(name), name)
    if cfg.ckpt_path is not None:
        _check_checkpoint(Path(str(cfg.ckpt_path)))
    if cfg.get("init_from") is not None and not (launch_folder() / Path(str(cfg.init_from)).expanduser()).exists():
        raise InputError("experiment.init_from.missing", path=cfg.init_from)
    _check_trainer(cfg.trainer)


def _check_checkpoint(path: Path) -> None:
    place = launch_folder() / path.expanduser()
    if place.is_dir():
        run = path.parent if path.name == "checkpoints" else path
        checkpoint = run / "checkpoints/last.ckpt"
        if (launch_folder() / checkpoint.expanduser()).is_file():
            raise InputError("experiment.checkpoint.is_folder", path=path, checkpoint=checkpoint, run=run)
        raise InputError("experiment.checkpoint.no_checkpoint", path=path)
    if not place.is_file():
        raise InputError("experiment.checkpoint.missing", path=path)


def _hydra() -> Any:
    """Return Hydra's own configuration as plain containers, without the overrides as they were typed."""
    if not HydraConfig.initialized():
        return None
    hydra = OmegaConf.to_container(HydraConfig.instance().cfg or OmegaConf.create(), resolve=False)
    own = hydra.get("hydra", {}) if isinstance(hydra, dict) else {}
    return {key: value for key, value in own.items() if key != "overrides"}


def _check_labels(cfg: DictConfig) -> None:
    name, tags, metrics = cfg.get("name"), cfg.get("tags"), cfg.get("metrics")
    if name is not None and not 0 < len(str(name).strip()) <= MAX_LABEL:
        raise InputError("experiment.name.length", value=str(name), limit=MAX_LABEL)
    is_list = isinstance(tags, ListConfig | None) and all(0 < len(str(tag)) <= MAX_LABEL for tag in tags or ())
    if not is_list or any(OmegaConf.is_config(tag) or tag is None for tag in tags or ()):
        raise InputError("experiment.tags.not_a_list", value=str(tags), limit=MAX_LABEL)
    if cfg.get("debug") is not None and not isinstance(cfg.debug, str):
        raise InputError("experiment.debug.unknown", value=str(cfg.debug), known=debug_options())
    if not isinstance(metrics, DictConfig | None):
        raise InputError("experiment.metrics.no_mapping", value=str(metrics))


def debug_options() -> list[str]:
    """Return the options of the group `debug`."""
    return sorted(path.stem for path in (conf_folder() / "debug").glob("*.yaml"))


def _check_trainer(trainer: DictConfig) -> None:
    check_targets(trainer, "trainer")
    if (strategy := str(trainer.get("strategy"))).startswith(FORKING):
        raise InputError("experiment.trainer.forking", value=strategy)
    for name in WITHOUT_EFFECT:
        if name in trainer:
            raise InputError("config.argument.reserved", key=f"trainer.{name}")
    interval = trainer.get("val_check_interval")  # 1 is every batch, 1.0 every epoch
    if interval is not None and not (isinstance(interval, float) and interval == 1.0):
        raise InputError("experiment.trainer.val_check_interval", value=trainer.val_check_interval)
    clip = trainer.gradient_clip_val
    if clip is not None and not clip >= 0:  # also refuses NaN
        raise InputError("experiment.trainer.bad_clip", value=clip)
    for name in WHOLE_EPOCHS:
        if name == "fast_dev_run" and trainer.get(name):
            raise InputError("experiment.trainer.fast_dev_run", value=trainer[name])
        if name in trainer:
            raise InputError("experiment.trainer.partial_epochs", name=name, value=trainer[name])
    if type(trainer.max_epochs) is not int or trainer.max_epochs < 0:
        raise InputError("experiment.trainer.bad_max_epochs", value=trainer.max_epochs)
    check_accelerator(str(trainer.accelerator))


def _check_callbacks(nodes: DictConfig | None) -> None:
    """Raise InputError for one of Lightning's callbacks that acts on another model than the one that is recorded."""
    foreign = {
        str(name): str(node.get("_target_"))
        for name, node in (nodes or {}).items()
        if isinstance(node, DictConfig) and not str(node.get("_target_")).startswith("ziffern.")
    }
    for name, target in foreign.items():
        bases = [base.__name__ for base in allowed_class(target, f"callbacks.{name}._target_").__mro__]
        for refused, code in REFUSED_CALLBACKS.items():
            if refused in bases:
                raise InputError(f"experiment.callbacks.{code}", name=name, target=target.rpartition(".")[2])


def _check_monitors(cfg: DictConfig) -> None:
    """Raise InputError if a monitored score does not exist; the user's own callbacks may log further ones."""
    nodes = {f"callbacks.{name}": node for name, node in (cfg.callbacks or {}).items() if isinstance(node, DictConfig)}
    if all(str(node.get("_target_")).startswith(ALLOWED) for node in nodes.values()):
        for place, node in {"model": cfg.model, **nodes}.items():
            if node.get("monitor") not in (None, *MONITORS):
                raise InputError("experiment.monitor.unknown_here", place=place, value=node.monitor, known=MONITORS)


def check_single_images(model: "ImageClassifier") -> None:
    """Raise InputError if the net cannot be trained on one image at a time, for example because of batch norm."""
    import torch

    net = copy.deepcopy(model.net).train()
    try:
        with torch.random.fork_rng():
            net(torch.zeros(1, *model.normalize.image))
    except ValueError as error:  # "Expected more than 1 value per channel when training"
        raise InputError("experiment.net.single_image", reason=str(error)) from error


def check_logits(model: "ImageClassifier", classes: int) -> None:
    """Raise InputError unless the net returns one logit per class, and the loss is a mean that accepts them."""
    import torch

    model.optimization.check_mode()
    images, labels = torch.zeros(2, *model.normalize.image, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
    problem: object
    model.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            logits = model(images)
            if not isinstance(logits, torch.Tensor):
                raise InputError("experiment.net.no_tensor", kind=type(logits).__name__)
            loss = model.loss(logits, labels)
        if logits.shape == (2, classes) and loss.dim() == 0:
            _check_loss(model.loss, logits)
            return
        problem = Message("experiment.net.shapes", logits=str(tuple(logits.shape)), loss=str(tuple(loss.shape)))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        problem = str(error)
    finally:
        model.train()
    raise InputError("experiment.net.wrong_logits", classes=classes, problem=problem)


def _check_loss(loss: "torch.nn.Module", logits: "torch.Tensor") -> None:
    """Check that a loss is a mean over images, and that it and the net agree on where the softmax is computed.

    Args:
        loss: Accepts logits (N, C) and labels (N,).
        logits: (N, C) float, of any images.

    Raises:
        InputError: It is a sum, or needs probabilities where the net returns logits, or the other way round.
    """
    import torch

    sample = torch.randn(64, logits.shape[1], generator=torch.Generator().manual_seed(0)).to(logits)
    labels = torch.arange(64, device=logits.device) % logits.shape[1]
    once, twice = (float(loss(sample.repeat(n, 1), labels.repeat(n))) for n in (1, 2))
    if once and math.isclose(twice, 2 * once, rel_tol=1e-3):
        raise InputError("experiment.loss.sum", loss=type(loss).__name__)
    sums = torch.ones(len(logits), dtype=logits.dtype, device=logits.device)
    if isinstance(loss, torch.nn.NLLLoss) and not torch.allclose(logits.exp().sum(1), sums, atol=1e-3):
        raise InputError("experiment.loss.needs_log_softmax")
    if bool((logits >= 0).all()) and torch.allclose(logits.sum(1), sums, atol=1e-4):
        raise InputError("experiment.net.softmax")


def check_accelerator(accelerator: str) -> None:
    """Raise InputError if a setting needs a GPU that this machine does not have."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    present = {"gpu": cuda or mps, "cuda": cuda, "mps": mps}
    if not present.get(accelerator, True):
        raise InputError("experiment.trainer.no_accelerator", name=accelerator, version=torch.__version__)
