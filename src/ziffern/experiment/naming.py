"""The names of run folders, sweep folders and studies.

Decisions: a name is made from overrides, by resolvers in conf/, so the command line and `hydra.compose` give the same
ones; a run folder is unique also among launches in the same second, while the folder of a multirun is the same for the
same command, which therefore continues it.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf

from hydra_study.workers import visible_gpus
from ziffern.config.command import is_multirun, plain, tool
from ziffern.experiment.run_folder import unfinished_run
from ziffern.experiment.settings import directions
from ziffern.machine import processes

UNNAMED = ("data.dir", "trainer", "ckpt_path", "threads", "targets", "engine")  # settings that name no folder
MAX_LENGTH = 80  # characters of the part that overrides make


def register_resolvers() -> None:
    """Register the resolvers that conf/ uses.

    Each result is cached in the configuration, from which the jobs of a multirun inherit it: they have only their own
    overrides, and a later time.
    """
    for resolver in (run_folder, sweep_folder, study_name, directions, gpus_of_job, tool):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, use_cache=True, replace=True)


def run_folder(choices: DictConfig, overrides: ListConfig, name: object = None, tags: object = None) -> str:
    """Return a run folder below outputs/runs, named by the settings `name` and `tags`, or by model and overrides.

    For the overrides of an unfinished run plus its own `ckpt_path`, it is that run's folder.
    """
    if folder := unfinished_run(plain(overrides)):
        return str(folder)
    labels = [str(tag) for tag in tags] if isinstance(tags, ListConfig) else []
    if name is not None:
        return f"outputs/runs/{_slug([str(name), *labels]).lstrip('_') or 'run'}_{_unique()}"
    named = [str(item) for item in overrides if not str(item).startswith(("model=", "tags=", "name="))]
    return f"outputs/runs/{choices['model']}{_slug([*named, *labels])}_{_unique()}"


def sweep_folder(overrides: ListConfig, study: str | None = None) -> str:
    """Return the folder of a multirun below outputs/sweeps, the same for the same command, which continues it.

    Smoke runs are for trying, so their folder is a new one each time.

    Args:
        overrides: The overrides of the whole multirun.
        study: The name of a search's study, which is also the folder's.
    """
    is_smoke = any(item.startswith("debug=") for item in plain(overrides))
    end = f"_{_unique(per_restart=True)}" if is_smoke or processes.launched() > 1 else ""
    return f"outputs/sweeps/{study or study_name(overrides)}{end}"


def study_name(overrides: ListConfig) -> str:
    """Return the name of a search, the same for the same overrides."""
    given = [item.removeprefix("hparams_search=") for item in plain(overrides) if "=" in item]
    return _slug(given).lstrip("_") or "study"


def continues_by_command() -> bool:
    """Return whether the running command leads to the same run folder when it is repeated, and so continues its run."""
    if not HydraConfig.initialized() or is_multirun():
        return False
    names_folder = any(str(item).startswith("hydra.run.dir=") for item in HydraConfig.get().overrides.hydra)
    return names_folder or processes.launched() > 1


def gpus_of_job(accelerator: str, devices: object) -> int:
    """Return how many GPUs a training uses if it finds enough, by the settings of Lightning's Trainer."""
    if accelerator not in ("auto", "gpu", "cuda"):
        return 0
    every = len(visible_gpus())
    return int(str(devices)) if str(devices).isdecimal() else every


def _slug(overrides: Sequence[str]) -> str:
    """Return overrides in characters that are safe in a file name and in Hydra's grammar."""
    parts = [
        _short(item)
        for item in overrides
        if item.split("=")[0] not in UNNAMED and item != "data=mnist" and not item.startswith("hydra")
    ]
    name = "".join(f"_{part}" for part in parts)
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return name if len(name) <= MAX_LENGTH else f"{name[: MAX_LENGTH - 7]}-{digest}"


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    if not value:
        return re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-")
    text = re.sub(r"[^A-Za-z0-9.]+", "-", Path(value).name if "/" in value else value).strip("-")
    return f"{key.split('.')[-1].split('/')[-1].replace('_', '-')}-{text}"


def _unique(per_restart: bool = False) -> str:
    return processes.agree(lambda: f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}", per_restart)
