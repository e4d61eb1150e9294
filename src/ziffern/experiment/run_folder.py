"""Decides who may write to a run folder, before the first file is written.

Decisions: a folder belongs to one run, which holds a lock on it until its process ends, however it ends; a folder that
holds a run accepts no other run, only the command that continues this one; nothing is written through a link that leads
out of the folder, which somebody else may have placed there. Links within the folder are kept (W&B makes some).
"""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import filelock
import yaml
from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from ziffern.errors import InputError
from ziffern.experiment.failure import describe, fail
from ziffern.files.atomic import writing
from ziffern.files.untrusted import read_text
from ziffern.machine.processes import is_first
from ziffern.text.printable import one_line

LOCK = ".lock"
RECORD = ("metrics.json", "history.csv", "predictions.npz", "data.npz", "environment.json", "progress.jsonl")
LAST = "checkpoints/last.ckpt"
MAX_OVERRIDES = 1_000_000  # bytes of .hydra/overrides.yaml
JOB = "${hydra.job.num}"
WORKER = "HYDRA_OPTUNA_QUEUE_WORKER"  # a process of a search, whose first process has checked the folder
_held: dict[Path, FileLock] = {}


class ClaimRunFolder(Callback):
    """Claims the folder of a run or a multirun before Hydra writes to it; conf/train.yaml names this class."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the run folder; exit with 2 where that is not possible."""
        if not is_first():
            return
        overrides = [str(item) for item in config.hydra.overrides.task]
        _or_exit(lambda: claim(_folder(config, "hydra.run.dir"), overrides), "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a multirun; a search shares its own with other processes, and only links are refused."""
        if not is_first() or WORKER in os.environ:
            return
        raw = OmegaConf.to_container(config.hydra.sweep)
        assert isinstance(raw, dict)
        is_search = "OptunaQueueSweeper" in str(config.hydra.sweeper.get("_target_"))
        _or_exit(
            lambda: check_multirun(_folder(config, "hydra.sweep.dir"), str(raw["subdir"]), is_search), "hydra.sweep.dir"
        )


def claim(folder: Path, overrides: Sequence[str]) -> None:
    """Lock a folder for a run of these overrides until `release`.

    Raises:
        InputError: It holds another run, another process is writing to it, or links in it lead elsewhere.
        OutputError: It cannot be written.
    """
    check_links(folder)
    _lock(folder, "hydra.run.dir")
    try:
        _check_vacant(folder, overrides)
    except BaseException:
        release(folder)
        raise


def check_multirun(folder: Path, subdir: str, is_search: bool) -> None:
    """Check the folder of a multirun, and lock it unless it is that of a search, which several processes share.

    Raises:
        InputError: It holds runs, two jobs would share a folder, or see `claim`.
    """
    check_links(folder, "hydra.sweep.dir")
    if JOB not in subdir.replace(" ", ""):
        raise InputError(
            f"hydra.sweep.subdir={one_line(subdir)}: two jobs could share a folder: put {JOB} into it, such as "
            f"hydra.sweep.subdir='run_{JOB}'"
        )
    if is_search:
        return
    _lock(folder, "hydra.sweep.dir")
    jobs = folder.glob("/".join("*" * (subdir.count("/") + 1)))
    if run := next((job for job in sorted(jobs) if _record(job)), None):
        release(folder)
        raise InputError(f"{one_line(run)}: holds a run already: name another folder with hydra.sweep.dir=FOLDER")


def check_links(folder: Path, setting: str = "hydra.run.dir") -> None:
    """Raise InputError where something in `folder` would be written elsewhere: a link out of it, a pipe, a device.

    Another process may be writing there, so a file that vanishes during the check is no error.
    """
    root = folder.resolve()
    for place, folders, files in os.walk(root):
        for path in (Path(place, name) for name in (*folders, *files)):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # such as a temporary file that was renamed
                continue
            shown = one_line(path)
            if stat.S_ISLNK(mode) and not path.resolve().is_relative_to(root):
                raise InputError(
                    f"{shown}: a symbolic link out of the folder, through which a run could write: remove it, or "
                    f"name another folder with {setting}=FOLDER"
                )
            if not (stat.S_ISLNK(mode) or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputError(
                    f"{shown}: neither a file nor a folder, in a folder that a run writes to: remove it, or "
                    f"name another folder with {setting}=FOLDER"
                )


def settings(folder: Path) -> list[str] | None:
    """Return the overrides of the run in a folder, sorted and without its checkpoint; None if they are unknown."""
    try:
        found = yaml.safe_load(read_text(folder / ".hydra/overrides.yaml", MAX_OVERRIDES))
    except (OSError, InputError, yaml.YAMLError, ValueError, RecursionError):
        return None
    is_list = isinstance(found, list) and all(isinstance(item, str) for item in found)
    return comparable(found) if is_list else None


def comparable(overrides: Sequence[str]) -> list[str]:
    """Return overrides sorted, without the checkpoint to continue from."""
    return sorted(item for item in overrides if not item.startswith("ckpt_path="))


def checkpoint(overrides: Sequence[str]) -> Path | None:
    """Return the checkpoint that overrides continue from, if any."""
    found = next((item.split("=", 1)[1] for item in overrides if item.startswith("ckpt_path=")), "")
    return Path(found.strip("'\"")) if found else None


def release(folder: Path | None = None) -> None:
    """Release the lock on a folder, or all locks of this process."""
    for path in list(_held) if folder is None else [folder.absolute()]:
        if lock := _held.pop(path, None):
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()


def _check_vacant(folder: Path, overrides: Sequence[str]) -> None:
    """Raise InputError where a folder holds a run that these overrides do not continue."""
    if not (record := _record(folder)):
        return
    shown, last, own = one_line(folder), folder / LAST, settings(folder) == comparable(overrides)
    other = "name another folder with hydra.run.dir=FOLDER"
    if record == RECORD[0]:
        raise InputError(f"{shown}: holds a finished run already: {other}")
    given = checkpoint(overrides)
    if not own:
        raise InputError(f"{shown}: holds a run of other settings (.hydra/overrides.yaml has them): {other}")
    if given is None and last.exists():
        raise InputError(f"{shown}: holds this run already: continue it with ckpt_path={shown}/{LAST}, or {other}")
    if given is not None and given.resolve().parent.parent != folder.resolve():
        raise InputError(
            f"{shown}: holds a run already, and ckpt_path={one_line(given)} belongs to another run: {other}"
        )


def _record(folder: Path) -> str:
    """Return the first file of RECORD that exists in a folder, or an empty string; only runs write these."""
    return next((name for name in RECORD if (folder / name).exists()), "")


def _lock(folder: Path, setting: str) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.absolute() / LOCK)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(
                f"{one_line(folder)}: another process is training there: wait until it has ended, or name another "
                f"folder with {setting}=FOLDER"
            ) from None
        except NotImplementedError:  # a file system without locks
            return
    _held[folder.absolute()] = lock


def is_claimed(path: Path) -> bool:
    """Return whether a path lies in a folder that this process has claimed, so that nobody else writes it."""
    return any(path.absolute().is_relative_to(folder) for folder in _held)


def _or_exit(check: Callable[[], None], setting: str) -> None:
    """Exit with 2 if a check fails: Hydra turns an exception in a callback into a warning."""
    try:
        check()
    except OSError as error:
        fail(describe(error, f"{setting}=FOLDER"))
    except InputError as error:
        fail(str(error))


def _folder(config: DictConfig, key: str) -> Path:
    """Return a folder from the configuration, resolved as Hydra will resolve it."""
    hydra = HydraConfig.instance()
    before = hydra.cfg
    hydra.set_config(config)
    try:
        return Path(str(OmegaConf.select(config, key)))
    finally:
        hydra.cfg = before
        OmegaConf.set_readonly(config.hydra, False)  # set_config made it so
