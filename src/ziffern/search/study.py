"""The study of a search: what its trials agree on, and reading it from its sweep folder."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import optuna
from omegaconf import DictConfig, ListConfig, OmegaConf

from hydra_plugins.hydra_optuna_queue import SweepError
from hydra_plugins.hydra_optuna_queue._storage import JOURNAL
from ziffern.errors import InputError
from ziffern.files.untrusted import read_text
from ziffern.records.config import MAX_BYTES, read_yaml
from ziffern.records.convert import from_plain
from ziffern.records.kind import is_search
from ziffern.search.database import read_database, sqlite_path
from ziffern.search.journal import read_journal
from ziffern.text.printable import one_line, reason

if TYPE_CHECKING:
    from ziffern.data.datamodule import ImageDataModule

ENVIRONMENT = re.compile(r"\$\{oc\.env:(\w+)\}")


def agree_on_data(study: optuna.Study | None, data: "ImageDataModule", model: object = None) -> None:
    """Raise SweepError where a search goes on with other data than it was begun with; say what it is about."""
    if study is None:
        return
    mine = f"{data.dataset.name} ({data.dataset.fingerprint[:12]}), {data.split_name}"
    if (theirs := study.user_attrs.get("data")) is None:
        sizes = " / ".join(f"{len(part):,}" for part in data.parts.indices[:2])
        note = f" NOTE: {data.dataset.note.in_language('en')}" if data.dataset.note else ""
        study.set_user_attr("about", f"{data.dataset.name}: {sizes} digits to train / validate.{note}")
        study.set_user_attr("data", mine)
    elif theirs != mine:
        raise SweepError(
            f"this search was begun on {theirs}, and data.dir gives {mine}: give it the same data, or begin another "
            "by hydra.sweeper.study_name=NAME"
        )


def check_data(study: optuna.Study, cfg: DictConfig) -> None:
    """Raise SweepError if a finished search used other data than the command is configured for now."""
    from ziffern.config.instantiate import build
    from ziffern.data.datamodule import ImageDataModule

    if "data" in study.user_attrs:
        data = build(cfg.data, "data", ImageDataModule)
        data.setup()
        agree_on_data(study, data)


def check_direction(given: object, wanted: str | list[str]) -> None:
    """Raise InputError where a search would take the worst for the best."""
    found = OmegaConf.to_container(given) if isinstance(given, ListConfig) else given
    if found is not None and found != wanted:
        raise InputError(
            f"hydra.sweeper.direction={found}: must be {wanted} for this objective: use hydra/sweeper=ziffern"
        )


def open_study(folder: Path, storage: str | None = None) -> optuna.Study:
    """Return a checked copy of the study that a sweep folder belongs to, in memory; see `locate`.

    Nothing is written: not to the journal, not to a SQLite file, and no lock is taken.

    Raises:
        InputError: There is no such study, or it is damaged.
    """
    name, given = locate(folder, storage)
    try:
        return read_database(given, name) if "://" in given else read_journal(Path(given), name)
    except OSError as error:
        raise InputError(f"{one_line(given)}: {error.strerror}: its study cannot be read") from error


def locate(folder: Path, storage: str | None = None) -> tuple[str, str]:
    """Return the name of a search's study and its storage: an SQLAlchemy address, or the path of a journal file.

    A folder may come from anywhere, so a database on another machine, or a file outside the folder, is opened only if
    its address is given here or is in an environment variable that the search names.

    Args:
        folder: The sweep folder.
        storage: An SQLAlchemy address, or the path of a journal file; None for the search's own.

    Raises:
        InputError: The folder has no study, or its storage is not to be opened.
    """
    name, named = _study_of(folder)
    given, is_trusted = storage or named, storage is not None
    if variable := ENVIRONMENT.fullmatch(str(given)):
        given, is_trusted = os.environ.get(variable[1]), True
        if not given:
            raise InputError(f"{folder}: its storage is in ${variable[1]}, which is not set: pass --storage ADDRESS")
    is_address = bool(given) and "://" in str(given)
    if given and is_address and not given.startswith("sqlite:"):
        if not is_trusted:
            raise InputError(
                f"{folder}: its storage is a database; refusing to connect to one named by a folder: "
                "give --storage ADDRESS"
            )
        return name, given
    path = sqlite_path(given) if given and is_address else Path(given or folder / JOURNAL)
    if not path.exists():
        hint = "sqlite:///FILE" if is_address else "FILE"
        raise InputError(f"{one_line(path)}: no such file: the search has not begun, or give --storage {hint}")
    if not is_trusted and not path.resolve().is_relative_to(folder.resolve()):
        where = one_line(given or path.resolve())
        raise InputError(f"{folder}: its storage lies outside the folder: to read it, pass --storage {where}")
    return name, given or str(path)


def _study_of(folder: Path) -> tuple[str, str | None]:
    """Return the study's name and its storage as the search's configuration has them.

    Raises:
        InputError: The folder is not that of a search.
    """
    config = folder / "multirun.yaml"
    try:
        found = from_plain(read_yaml(read_text(config, MAX_BYTES)), _Multirun).hydra.sweeper
    except (OSError, ValueError) as error:
        if not folder.exists():
            raise InputError(f"{folder}: there is no such folder") from error
        if (folder / "history.csv").exists():
            raise InputError(f"{folder}: one run and no search: ziffern report {folder} shows it") from error
        there = [str(path.parent) for path in sorted(folder.glob("*/multirun.yaml")) if is_search(path.parent)]
        why = error.strerror if isinstance(error, OSError) else reason(error)
        named = f": there are {', '.join(there)}" if there else f" ({config.name}: {why})"
        raise InputError(f"{folder}: not the folder of a search{named}") from error
    return found.study_name, found.storage


class _Sweeper(msgspec.Struct):
    study_name: str
    storage: str | None = None


class _Hydra(msgspec.Struct):
    sweeper: _Sweeper


class _Multirun(msgspec.Struct):
    hydra: _Hydra
