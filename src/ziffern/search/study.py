"""Locating and reading the study of a search from its sweep folder."""

import os
import re
from pathlib import Path

import msgspec
import optuna

from hydra_study.storage import JOURNAL
from ziffern.errors import InputError
from ziffern.files.untrusted import read_text
from ziffern.records.config import MAX_BYTES, read_yaml
from ziffern.records.convert import from_plain
from ziffern.records.reader import is_search
from ziffern.search.database import read_database, sqlite_path
from ziffern.search.journal import read_journal

ENVIRONMENT = re.compile(r"\$\{oc\.env:(\w+)\}")


def open_study(folder: Path, storage: str | None = None) -> optuna.Study:
    """Return a checked copy, in memory, of the study of a sweep folder; see `locate`.

    Nothing is written, neither to a journal nor to a SQLite file, and no lock is acquired.

    Raises:
        InputError: There is no such study, or it is damaged.
    """
    name, located = locate(folder, storage)
    try:
        return read_database(located, name) if "://" in located else read_journal(Path(located), name)
    except OSError as error:
        raise InputError("search.storage.unreadable", storage=located, why=error) from error


def locate(folder: Path, storage: str | None = None) -> tuple[str, str]:
    """Return the name of a search's study and its storage: an SQLAlchemy address, or the path of a journal file.

    A folder may come from anywhere, so a database on another machine, or a file outside the folder, is opened only if
    its address is given as `storage`, or by an environment variable that the search names.

    Raises:
        InputError: The folder has no study, or its storage must not be opened.
    """
    name, own_storage = _study_of(folder)
    address, is_trusted = storage or own_storage, storage is not None
    if variable := ENVIRONMENT.fullmatch(str(address)):
        address, is_trusted = os.environ.get(variable[1]), True
        if not address:
            raise InputError("search.storage.variable_not_set", folder=folder, variable=variable[1])
    is_url = bool(address) and "://" in str(address)
    if address and is_url and not address.startswith("sqlite:"):
        if not is_trusted:
            raise InputError("search.storage.untrusted_database", folder=folder)
        return name, address
    path = sqlite_path(address) if address and is_url else Path(address or folder / JOURNAL)
    if not path.exists():
        raise InputError("search.storage.no_such_file", path=path, example="sqlite:///FILE" if is_url else "FILE")
    if not is_trusted and not path.resolve().is_relative_to(folder.resolve()):
        raise InputError("search.storage.outside", folder=folder, storage=address or path.resolve())
    return name, address or str(path)


def _study_of(folder: Path) -> tuple[str, str | None]:
    """Return the study's name and storage from the configuration of a search.

    Raises:
        InputError: The folder is not that of a search.
    """
    config = folder / "multirun.yaml"
    try:
        sweeper = from_plain(read_yaml(read_text(config, MAX_BYTES))["hydra"]["sweeper"], _Sweeper)
    except (OSError, ValueError, LookupError, TypeError) as error:
        if not folder.exists():
            raise InputError("search.folder.missing", folder=folder) from error
        if (folder / "history.csv").exists():
            raise InputError("search.folder.is_a_run", folder=folder) from error
        if searches := [path.parent for path in sorted(folder.glob("*/multirun.yaml")) if is_search(path.parent)]:
            raise InputError("search.folder.holds_searches", folder=folder, searches=searches) from error
        raise InputError("search.folder.no_search", folder=folder, file=config.name, why=error) from error
    return sweeper.study_name, sweeper.storage


class _Sweeper(msgspec.Struct):
    study_name: str
    storage: str | None = None
