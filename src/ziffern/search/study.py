"""Locating and reading the study of a search from its sweep folder."""

from pathlib import Path

import msgspec
import optuna

from hydra_study.journal import JOURNAL
from ziffern.errors import InputError
from ziffern.files.untrusted import read_text
from ziffern.records.config import MAX_BYTES, read_yaml
from ziffern.records.convert import from_plain
from ziffern.records.reader import is_search
from ziffern.search.journal import read_journal


def open_study(folder: Path) -> optuna.Study:
    """Return a checked copy, in memory, of the study of a sweep folder; nothing is written, and no lock acquired.

    Raises:
        InputError: There is no such study, or it is damaged.
    """
    name, path = locate(folder)
    try:
        return read_journal(path, name)
    except OSError as error:
        raise InputError("search.storage.unreadable", storage=path, why=error) from error


def locate(folder: Path) -> tuple[str, Path]:
    """Return the name of a search's study, and the path of its journal.

    A folder may come from anywhere, so nothing outside of it is opened.

    Raises:
        InputError: The folder has no study, or one outside of it, such as in a database.
    """
    (name, storage), path = _study_of(folder), folder / JOURNAL
    if not path.exists() and storage:  # of an earlier version
        kind = "database" if "://" in storage or "$" in storage else "other_file"
        raise InputError(f"search.storage.{kind}", folder=folder, storage=storage, path=path, name=name)
    if not path.exists():
        raise InputError("search.storage.no_such_file", path=path)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError("search.storage.outside", path=path)
    return name, path


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
