"""Files by relative path, in a folder or in a ZIP: the common interface of all readers.

Decisions: a member is read only when it is needed, so that a wrong path costs no memory; only subfolders that may
hold data are searched, so that `data.dir=/` fails at once; links inside a folder are followed, since the user put them
there; names in messages pass `one_line`, since names in a foreign archive may contain line breaks or terminal codes.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from ziffern.errors import InputError
from ziffern.files.untrusted import read_bytes, reading
from ziffern.text.printable import one_line

MAX_BYTES = 4 * 2**30
MAX_FILES = 2_000_000
MAX_DEPTH = 4  # wrapper/train/class/folder: one deeper than allowed, so that a stray folder is detected
DATA_FOLDERS = frozenset({"train", "test", "raw"})
LABEL = re.compile(r"[0-9]{1,3}")  # a class folder's name
SYSTEM_FILES = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Member:
    """One file.

    Args:
        label: Its name in messages; one printable line.
        size: Its size in bytes, as the folder or the archive declares it.
        read: Returns its content; raises InputError if that fails.
    """

    label: str
    size: int
    read: Callable[[], bytes]


Members = dict[str, Member]  # POSIX path below the folder or ZIP → file


def is_ignored(path: str) -> bool:
    """Return whether a path is hidden, or a file that an operating system creates by itself."""
    return any(part.startswith(".") or part.lower() in SYSTEM_FILES for part in PurePosixPath(path).parts)


def file_member(path: Path, size: int) -> Member:
    """Return a file on disk as a member, without opening it."""
    return Member(one_line(path), size, partial(_read_file, path))


def folder_members(root: Path) -> Members:
    """Return the files below a folder by relative path, without the ignored ones.

    Raises:
        InputError: A folder is unreadable, or there are more than 2,000,000 files.
    """
    members: Members = {}
    for path, member in _walk(root, ()):
        members[path] = member
        if len(members) > MAX_FILES:
            raise InputError("data.members.too_many", folder=root, limit=MAX_FILES)
    return members


def _walk(folder: Path, parts: tuple[str, ...]) -> Iterator[tuple[str, Member]]:
    with reading(folder):
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not is_ignored(entry.name)]
        for entry in entries:
            here = (*parts, entry.name)
            if not entry.is_dir():
                size = entry.stat().st_size if entry.is_file() else 0
                yield "/".join(here), file_member(Path(entry.path), size)
            elif _may_hold_data(here):
                yield from _walk(Path(entry.path), here)


def _may_hold_data(parts: tuple[str, ...]) -> bool:
    """Return whether to search a folder: a wrapper, or anything in train/, test/, raw/ or the folder of a label."""
    is_data = not DATA_FOLDERS.isdisjoint(parts[:2]) or any(map(LABEL.fullmatch, parts[:2]))
    return len(parts) == 1 or (len(parts) <= MAX_DEPTH and is_data)


def _read_file(path: Path) -> bytes:
    with reading(path):
        return read_bytes(path, MAX_BYTES)
