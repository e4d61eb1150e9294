"""Finds the run that a folder already holds, and decides whether a command continues it."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from ziffern.errors import InputError
from ziffern.files.untrusted import read_text

RECORD = ("metrics.json", "history.csv", "predictions.npz", "data.npz", "environment.json", "progress.jsonl")
LAST = "checkpoints/last.ckpt"
MAX_OVERRIDES = 1_000_000  # bytes of .hydra/overrides.yaml


def first_record(folder: Path) -> str:
    """Return the first file of RECORD that exists in a folder, or an empty string; only runs write these."""
    return next((name for name in RECORD if (folder / name).exists()), "")


def check_vacant(folder: Path, overrides: Sequence[str]) -> None:
    """Raise InputError where a folder holds a run that these overrides do not continue."""
    if not (record := first_record(folder)):
        return
    if record == RECORD[0]:
        raise InputError("experiment.folder.finished", folder=folder)
    if _overrides(folder) != _comparable(overrides):
        raise InputError("experiment.folder.other_settings", folder=folder)
    checkpoint = _checkpoint(overrides)
    if checkpoint is not None and checkpoint.resolve().parent.parent != folder.resolve():
        raise InputError("experiment.folder.other_checkpoint", folder=folder, checkpoint=checkpoint)


def unfinished_run(overrides: Sequence[str]) -> Path | None:
    """Return the folder of the unfinished run that overrides continue: those of the run, and its `ckpt_path`."""
    checkpoint = _checkpoint(overrides)
    if checkpoint is None or (folder := checkpoint.parent.parent).joinpath(RECORD[0]).exists():
        return None
    return folder if _overrides(folder) == _comparable(overrides) else None


def _overrides(folder: Path) -> list[str] | None:
    """Return the overrides of the run in a folder, sorted and without `ckpt_path`; None if they are unknown."""
    try:
        content = yaml.safe_load(read_text(folder / ".hydra/overrides.yaml", MAX_OVERRIDES))
    except (OSError, InputError, yaml.YAMLError, ValueError, RecursionError):
        return None
    is_list = isinstance(content, list) and all(isinstance(item, str) for item in content)
    return _comparable(content) if is_list else None


def _comparable(overrides: Sequence[str]) -> list[str]:
    return sorted(item for item in overrides if not item.startswith("ckpt_path="))


def _checkpoint(overrides: Sequence[str]) -> Path | None:
    """Return the checkpoint to continue from, if overrides name one."""
    path = next((item.split("=", 1)[1] for item in overrides if item.startswith("ckpt_path=")), "")
    return Path(path.strip("'\"")) if path else None
