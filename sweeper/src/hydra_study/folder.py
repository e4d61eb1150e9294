"""Checks of a sweep folder, which somebody else may have written."""

import os
from collections.abc import Iterable
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import AliasEvent, YAMLError

from hydra_study.errors import SweepError

CONFIG = "multirun.yaml"
MAX_CONFIG = 2**20  # bytes
ANOTHER_FOLDER = "name another folder by hydra.sweep.dir, or remove this one"


def write_whole(file: Path, text: str) -> None:
    """Write a file as a whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(file)


def check_folder(folder: Path, config: DictConfig) -> None:
    """Raise SweepError if a sweep folder holds the trials of another study."""
    if not (folder / CONFIG).is_file():
        return
    try:
        was, now = (_raw(source) for source in (_load(folder / CONFIG), config))
    except (YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        raise SweepError(
            f"{folder / CONFIG}: cannot be read, perhaps because it was edited: {ANOTHER_FOLDER}"
        ) from error
    if was.get("storage"):
        raise SweepError(f"{folder} belongs to a study that an earlier version keeps in a database: {ANOTHER_FOLDER}")
    key = "study_name"
    if was.get(key, now.get(key)) != now.get(key):
        difference = f"hydra.sweeper.{key}={was[key] or 'null'}, now it is {now.get(key) or 'null'}"
        raise SweepError(f"{folder} belongs to the study with {difference}: continue that study, or {ANOTHER_FOLDER}")


def check_links(folder: Path, export: str = "") -> None:
    """Raise SweepError if the sweep or Hydra would write to a link or a pipe.

    Other files in the jobs' folders belong to the job.
    """
    places = (folder, folder / "logs", *([folder / PurePosixPath(export).parent] if export else []))
    _check([path for place in places if place.is_dir() for path in place.iterdir()])
    for place in folder.glob("[0-9]*"):
        check_place(place)


def check_place(place: Path, *names: str) -> None:
    """Raise SweepError if Hydra would write to a link or a pipe in the folder of a job, or in one of these files."""
    hydra = place / ".hydra"
    _check([place, hydra, *(place / name for name in names), *(hydra.iterdir() if hydra.is_dir() else ())])


def _check(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_symlink():
            raise SweepError(f"{path}: a symbolic link, and a sweep does not write through one: remove it")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SweepError(f"{path}: neither a file nor a folder, in a folder that a sweep writes to: remove it")


def _load(path: Path) -> Any:
    """Return a YAML file; raise ValueError or YAMLError if it is too large, or if aliases could multiply it."""
    if path.stat().st_size > MAX_CONFIG:
        raise ValueError(f"more than {MAX_CONFIG:,} bytes")
    text = path.read_text(encoding="utf-8")
    if any(isinstance(event, AliasEvent) for event in yaml.parse(text)):  # Hydra writes none
        raise YAMLError("an alias")
    loaded = OmegaConf.load(StringIO(text))
    if not isinstance(loaded, DictConfig):
        raise YAMLError("a list")
    return loaded


def _raw(config: Any) -> dict[Any, Any]:
    """Return the sweeper's settings unresolved."""
    node = OmegaConf.select(config, "hydra.sweeper", throw_on_missing=False)
    raw = OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else {}
    return raw if isinstance(raw, dict) else {}
