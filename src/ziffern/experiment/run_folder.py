"""Decides which run may be written to a folder, and by which process, before the first file is written.

Decisions: a folder belongs to one run, which holds a lock on it until its process ends, however it ends; a folder that
holds a run accepts no other run, only the command that continues this one; nothing is written through links.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
from filelock import FileLock
from hydra.core.override_parser.overrides_parser import OverridesParser

from ziffern.errors import InputError
from ziffern.files.atomic import writing
from ziffern.machine.processes import is_first
from ziffern.text.printable import printable

RECORD = ("metrics.json", "history.csv", "predictions.npz", "data.npz", "environment.json", "progress.jsonl")
LAST = "checkpoints/last.ckpt"
LOCK = ".lock"
SWEEPS = ("study.journal", "jobs.jsonl")  # records of a sweeper, in the folder of a multirun
JOB = "${hydra.job.num}"
ARGUMENT = "folder"  # that chooses the folder of a run from Python, as hydra.run.dir does on the command line
_locks: dict[Path, FileLock] = {}  # held by this process


def claim(folder: Path, overrides: Sequence[str]) -> None:
    """Lock a folder for a run of these overrides until `release`.

    Raises:
        InputError: It holds another run, another process is writing to it, or links in it lead out of it.
        OutputError: It cannot be written.
    """
    check_links(folder)
    _lock(folder, "hydra.run.dir")
    try:
        _check_vacant(folder, overrides)
    except BaseException:
        release(folder)
        raise


@contextmanager
def claimed(folder: Path, ckpt_path: str | None) -> Iterator[None]:
    """Lock the folder of a run that is started from Python; a Hydra job has claimed its own.

    Args:
        folder: The run folder.
        ckpt_path: The checkpoint that the run continues, if any.

    Raises:
        InputError: It holds a finished run, or an unfinished one that `ckpt_path` does not continue, or see `claim`.
    """
    is_job, is_new = is_claimed(folder), not folder.exists()
    if not is_job:
        check_links(folder, ARGUMENT)
        _lock(folder, ARGUMENT)
    try:
        if (folder / RECORD[0]).exists():
            raise InputError("experiment.folder.finished", folder=folder, setting=ARGUMENT)
        inside = ckpt_path and Path(ckpt_path).resolve().is_relative_to(folder.resolve())
        if not is_job and not inside and (folder / LAST).is_file():
            raise InputError("experiment.folder.unfinished", folder=folder, checkpoint=folder / LAST, setting=ARGUMENT)
        yield
    finally:
        if not is_job:
            release(folder)
        if is_new:
            with suppress(OSError):  # a run has written to it
                folder.rmdir()


def claim_multirun(folder: Path, subdir: str, is_recorded: bool) -> None:
    """Check the folder of a multirun, and lock it.

    Args:
        folder: The folder.
        subdir: The setting `hydra.sweep.subdir`.
        is_recorded: Whether the sweeper locks the folder and continues what it has recorded there.

    Raises:
        InputError: It holds runs, two jobs would share a folder, or see `claim`.
    """
    check_links(folder, "hydra.sweep.dir")
    if JOB not in subdir.replace(" ", ""):
        raise InputError("experiment.folder.shared_by_jobs", subdir=subdir)
    if is_recorded and any((folder / name).is_file() for name in SWEEPS):
        return
    if not is_recorded:
        _lock(folder, "hydra.sweep.dir")
    jobs = folder.glob("/".join("*" * (subdir.count("/") + 1)))
    if run := next((job for job in sorted(jobs) if _first_record(job)), None):
        release(folder)
        raise InputError("experiment.folder.multirun_exists", folder=run)


def unfinished_run(overrides: Sequence[str]) -> Path | None:
    """Return the folder of the unfinished run that overrides continue: those of the run, and its `ckpt_path`."""
    checkpoint = _checkpoint(overrides)
    if checkpoint is None or (folder := checkpoint.parent.parent).joinpath(RECORD[0]).exists():
        return None
    return folder if has_overrides(folder, overrides) else None


def holds_unfinished_run(folder: Path) -> bool:
    """Return whether a folder holds a run that was interrupted after a checkpoint."""
    return (folder / LAST).is_file() and bool(_first_record(folder)) and not (folder / RECORD[0]).exists()


def release(folder: Path | None = None) -> None:
    """Release the lock on a folder, or all locks of this process."""
    for path in list(_locks) if folder is None else [folder.absolute()]:
        if lock := _locks.pop(path, None):
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()


def is_claimed(path: Path) -> bool:
    """Return whether a path lies in a folder that this process has claimed, so that no other process writes to it."""
    return any(path.absolute().is_relative_to(folder) for folder in _locks)


def remove_if_unused(folder: Path) -> None:
    """Empty a run folder that holds nothing but Hydra's own files; remove it if its name was generated."""
    leftovers = [path.name for path in folder.iterdir()] if folder.is_dir() and is_first() else []
    logs = [name for name in leftovers if re.fullmatch(r"train(_\w+)?\.log", name)]
    if not leftovers or not {*leftovers} <= {".hydra", LOCK, *logs}:
        return
    shutil.rmtree(folder / ".hydra", ignore_errors=True)
    for name in (*logs, LOCK):
        (folder / name).unlink(missing_ok=True)
    if folder.parent.name != "runs" or folder.parent.parent.name != "outputs":
        return  # the user named it with hydra.run.dir
    for path in (folder, *list(folder.parents)[:2]):
        try:
            path.rmdir()
        except OSError:  # there are other runs in it
            return


def check_links(folder: Path, setting: str = "hydra.run.dir") -> None:
    """Raise InputError where a write into `folder` could go elsewhere: a link out of it, a pipe, a device.

    Links within the folder are kept (W&B makes some). Another process may be writing there, so a file that vanishes
    during the check is no error. The message names `setting`, which chooses another folder.
    """
    root = folder.resolve()
    for place, folders, files in os.walk(root):
        for path in (Path(place, name) for name in (*folders, *files)):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # such as a temporary file that was renamed
                continue
            if stat.S_ISLNK(mode):
                if not path.resolve().is_relative_to(root):
                    raise InputError("experiment.folder.link", path=path, setting=setting)
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputError("experiment.folder.special_file", path=path, setting=setting)


def _lock(folder: Path, setting: str) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.absolute() / LOCK)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError("experiment.folder.in_use", folder=folder, setting=setting) from None
        except NotImplementedError:  # a file system without locks
            return
    _locks[folder.absolute()] = lock


def _first_record(folder: Path) -> str:
    """Return the first file of RECORD that exists in a folder, or an empty string; only runs write these."""
    return next((name for name in RECORD if (folder / name).exists()), "")


def _check_vacant(folder: Path, overrides: Sequence[str]) -> None:
    """Raise InputError where a folder holds a run that these overrides do not continue."""
    if not (record := _first_record(folder)):
        return
    if record == RECORD[0]:
        raise InputError("experiment.folder.finished", folder=folder, setting="hydra.run.dir")
    if not has_overrides(folder, overrides):
        raise InputError("experiment.folder.other_settings", folder=folder)
    checkpoint = _checkpoint(overrides)
    if checkpoint is not None and checkpoint.resolve().parent.parent != folder.resolve():
        raise InputError("experiment.folder.other_checkpoint", folder=folder, checkpoint=checkpoint)


def has_overrides(folder: Path, overrides: Sequence[str]) -> bool:
    """Return whether the run in a folder has these overrides, in any order, whatever the `ckpt_path` and plus signs."""
    from ziffern.records.reader import read_overrides

    if (known := read_overrides(folder)) is None:  # missing or damaged
        return False
    recorded, given = (
        sorted(printable(item).lstrip("+") for item in items if not item.startswith("ckpt_path="))
        for items in (known, overrides)
    )
    return recorded == given


def _checkpoint(overrides: Sequence[str]) -> Path | None:
    """Return the checkpoint to continue from, if overrides name one."""
    named = next((item for item in overrides if item.startswith("ckpt_path=")), "ckpt_path=null")
    path = OverridesParser.create().parse_override(named).value()
    return Path(str(path)).expanduser() if path else None
