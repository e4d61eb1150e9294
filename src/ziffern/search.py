"""The study of a search: what its trials agree on, and reading it from its sweep folder."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from omegaconf import ListConfig, OmegaConf
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError

from hydra_plugins.hydra_optuna_queue import SweepError
from hydra_plugins.hydra_optuna_queue._storage import JOURNAL
from ziffern.errors import InputError
from ziffern.runs import is_search

if TYPE_CHECKING:
    from ziffern.data.datamodule import DigitDataModule

ENVIRONMENT = re.compile(r"\$\{oc\.env:(\w+)\}")


def agree_on_data(study: optuna.Study | None, data: "DigitDataModule", model: object = None) -> None:
    """Raise SweepError where a search goes on with other data than it was begun with; say what it is about."""
    if study is None:
        return
    mine = f"{data.digits.name} ({data.digits.fingerprint[:12]}), {data.split_name}"
    if (theirs := study.user_attrs.get("data")) is None:
        sizes = " / ".join(f"{len(part):,}" for part in data.parts.indices[:2])
        note = f" NOTE: {data.digits.note}" if data.digits.note else ""
        study.set_user_attr("about", f"{data.digits.name}: {sizes} digits to train / validate.{note}")
        study.set_user_attr("data", mine)
    elif theirs != mine:
        raise SweepError(
            f"this search was begun on {theirs}, and data.dir gives {mine}: give it the same data, or begin another "
            "by hydra.sweeper.study_name=NAME"
        )


def check_direction(given: object, wanted: str | list[str]) -> None:
    """Raise InputError where a search would take the worst for the best."""
    found = OmegaConf.to_container(given) if isinstance(given, ListConfig) else given
    if found is not None and found != wanted:
        raise InputError(
            f"hydra.sweeper.direction={found}: must be {wanted} for this objective: use hydra/sweeper=ziffern"
        )


def check_seconds(objectives: Sequence[str], together: int) -> None:
    """Raise InputError where seconds are to be improved that trials share."""
    if together > 1 and "train_seconds" in objectives:
        raise InputError(
            f"hydra.sweeper.together={together} beside objective=train_seconds: a trial would have the seconds of all "
            "that are trained with it: use hydra.sweeper.together=1"
        )


def open_study(folder: Path, storage: str | None = None) -> optuna.Study:
    """Return the study that a sweep folder belongs to; see `locate`."""
    name, given = locate(folder, storage)
    try:
        if "://" in given:
            return optuna.load_study(study_name=name, storage=given)
        return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(given)))
    except (KeyError, ValueError, ImportError, SQLAlchemyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{folder}: its study cannot be read ({reason}): give --storage ADDRESS") from error


def locate(folder: Path, storage: str | None = None) -> tuple[str, str]:
    """Return the name of a search's study and where it lies, an SQLAlchemy address or the path of a journal file.

    A database on another machine is asked only where its address was given here or stands in an environment
    variable that the search named: a folder may come from anywhere.

    Args:
        folder: The sweep folder.
        storage: An SQLAlchemy address, or the path of a journal file; None for the search's own.

    Raises:
        InputError: The folder has no study, or its storage cannot be read.
    """
    config = folder / "multirun.yaml"
    try:
        hydra: Any = OmegaConf.load(config).hydra.sweeper
        settings = OmegaConf.to_container(hydra, resolve=False)
        assert isinstance(settings, dict)
        name, given = str(settings["study_name"]), storage or settings["storage"]
    except Exception as error:  # whatever reading a file that is no such configuration raises
        if not folder.exists():
            raise InputError(f"{folder}: there is no such folder") from error
        if (folder / "history.csv").exists():
            raise InputError(f"{folder}: one run and no search: ziffern report {folder} shows it") from error
        there = [str(path.parent) for path in sorted(folder.glob("*/multirun.yaml")) if is_search(path.parent)]
        named = f": there are {', '.join(there)}" if there else f" (no readable {config.name} with a study)"
        raise InputError(f"{folder}: not the folder of a search{named}") from error
    if variable := ENVIRONMENT.fullmatch(str(given)):
        given = os.environ.get(variable[1])
        if not given:
            raise InputError(f"{folder}: its storage is in ${variable[1]}, which is not set: give --storage ADDRESS")
    elif storage is None and given and "://" in given and not given.startswith("sqlite:"):
        raise InputError(f"{folder}: its storage is a database, which is not asked unbidden: give --storage ADDRESS")
    if given and "://" in given:
        path = given.partition(":///")[2]
        if given.startswith("sqlite:") and not Path(path).is_file():
            raise InputError(f"{path}: no such file: give --storage sqlite:///FILE")
        return name, given
    journal = Path(given or folder / JOURNAL)
    if not journal.is_file():
        raise InputError(f"{journal}: no such file: the search has not begun, or give --storage FILE")
    return name, str(journal)
