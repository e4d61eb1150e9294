"""The flat settings of a configuration that can change a result."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ziffern.data.spec import MNIST_SHAPE

PLUMBING = (  # prefixes of settings that change no result, or that repeat another one
    *("ckpt_path", "threads", "test", "monitor", "data.dir", "data.eval_batch_size", "data.seed", "model.seed"),
    *("model.monitor", "callbacks.early_stopping.monitor", "trainer.accelerator", "trainer.log_every", "model.fuse"),
    *("trainer.micro_steps", "published", "report", "objective", "name", "tags", "targets", "metrics"),
    "evaluation.run",
    *(f"data.source.{name}" for name in ("kind", "files", "train", "test", "transpose", "first_label", "margin")),
)
# Added after version 0.1.0; null is the behavior of that version.
OURS = ("ImageClassifier", "DigitClassifier")  # the class of all models here, now and in version 0.1.0
ADDED = ("model.scheduler_interval", "init_from", "data.limit", "debug", "callbacks")
SHAPE = ".image"  # suffix of the settings that repeat data.image, itself omitted for the shape of version 0.1.0


def hyperparameters(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Return a configuration's flat settings that can change a result: no paths, none that only affect execution."""
    flat = flatten({key: value for key, value in config.items() if key != "logger"})
    flat = {key: value for key, value in flat.items() if key not in ADDED or value != "None"}
    model = config.get("model")
    if isinstance(model, Mapping) and flat.get("model") not in (None, *OURS):
        flat["model.class"] = str(model.get("_target_"))  # the caller replaces `model` by the name of the option
    return {key: value for key, value in flat.items() if not key.startswith(PLUMBING) and not _repeats(key, value)}


def _repeats(key: str, value: object) -> bool:
    return key.endswith(SHAPE) and (key != f"data{SHAPE}" or value in ("None", str(list(MNIST_SHAPE))))


def plain_config(cfg: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain containers without its loggers, whose folders exist within a Hydra job only."""
    plain = OmegaConf.to_container(OmegaConf.masked_copy(cfg, [str(k) for k in cfg if k != "logger"]), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def flatten(config: Any, prefix: str = "") -> dict[str, bool | int | float | str]:
    """Return plain scalars under dotted names, lists as text; targets by their class's name only."""
    if not isinstance(config, Mapping):
        return {prefix: config if isinstance(config, bool | int | float | str) else str(config)}
    flat: dict[str, bool | int | float | str] = {}
    for key, value in config.items():
        if key == "_target_":
            flat[prefix] = str(value).rsplit(".", 1)[-1]
        elif key != "_partial_":
            flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
