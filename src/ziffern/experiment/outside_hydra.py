"""Replaces the work of a Hydra job for configurations that are composed and run in Python."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ziffern.config.foreign_rules import OUTPUT
from ziffern.files.atomic import write_text
from ziffern.machine.processes import is_first


def own_config(cfg: DictConfig, folder: Path) -> DictConfig:
    """Return a copy of a configuration without its part `hydra`.

    Outside of a job, `${hydra:runtime.output_dir}` is replaced by the run folder.
    """
    own = _without_hydra(cfg)
    if _is_job(folder):
        return own
    placed = OmegaConf.create(_replaced(OmegaConf.to_container(own, resolve=False), str(folder.absolute())))
    assert isinstance(placed, DictConfig)
    return placed


def record_config(cfg: DictConfig, folder: Path, num_classes: int) -> None:
    """Outside of a job, write `.hydra`, as Hydra does in one; in both, record the number of classes in the data.

    It holds the configuration, and the overrides if it was composed with `return_hydra_config=True`.
    """
    if not is_first():
        return
    path, is_job = folder / ".hydra/config.yaml", _is_job(folder)
    written = OmegaConf.load(path) if is_job and path.is_file() else _without_hydra(cfg)
    if not is_job or OmegaConf.select(written, "data.num_classes") is None:
        OmegaConf.update(written, "data.num_classes", num_classes, force_add=True)
        write_text(path, OmegaConf.to_yaml(written))
    if "hydra" in cfg and not is_job:
        overrides = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
        write_text(folder / ".hydra/overrides.yaml", OmegaConf.to_yaml(overrides))


def _without_hydra(cfg: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def _is_job(folder: Path) -> bool:
    """Return whether Hydra runs a job in this folder."""
    if not HydraConfig.initialized() or OmegaConf.is_missing(HydraConfig.get().runtime, "output_dir"):
        return False
    return Path(HydraConfig.get().runtime.output_dir) == folder.absolute()


def _replaced(node: Any, folder: str) -> Any:
    if isinstance(node, dict):
        return {key: _replaced(value, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [_replaced(item, folder) for item in node]
    return node.replace(OUTPUT, folder) if isinstance(node, str) else node
