"""Files in a folder by relative path.

Decisions: a search ends after many folders without data, so that `data.dir=/` fails at once; links inside a folder are
followed, since the user put them there, except one to a folder that contains it.
"""

import os
import unicodedata
from functools import partial
from pathlib import Path

from ziffern.data.formats.members import DATA, MAX_BYTES, MAX_FILES, Member, Members, is_ignored
from ziffern.errors import InputError
from ziffern.files.untrusted import read_bytes, reading
from ziffern.text.printable import one_line

MAX_DEPTH = 6  # folders: wrapper/wrapper/train/images/class/writer
MAX_EMPTY = 2000  # folders without a file that may be data, before a search is given up


def file_member(path: Path | str, size: int) -> Member:
    """Return a file on disk as a member, without opening it; text needs half the memory of a path."""
    return Member(one_line(path), size, partial(_read_file, str(path)))


def folder_members(root: Path, too_deep: list[str] | None = None) -> Members:
    """Return the files below a folder by relative path, without the ignored ones.

    Folders below the sixth level are not searched; their paths are added to `too_deep`.

    Raises:
        InputError: A folder is unreadable, there are more than 2,000,000 files, or no data in 2,000 folders.
    """
    members: Members = {}
    folders: list[tuple[Path, str, tuple[tuple[int, int], ...]]] = [(root, "", ())]
    empty = 0
    while folders:
        folder, prefix, above = folders.pop()
        with reading(folder), os.scandir(folder) as listing:
            status = folder.stat()
            entries = sorted((entry for entry in listing if not is_ignored(entry.name)), key=lambda entry: entry.name)
        here = (status.st_dev, status.st_ino)
        if here in above:
            continue
        if not entries and prefix:
            members[prefix] = file_member(folder, 0)
        empty += not any(DATA.fullmatch(entry.name) for entry in entries)
        if empty > MAX_EMPTY:
            raise InputError("data.members.no_data", folder=root, folders=empty)
        for entry in entries:
            path = f"{prefix}{unicodedata.normalize('NFC', entry.name)}"
            if not entry.is_dir():
                size = entry.stat().st_size if entry.is_file() else 0
                if path in members:
                    raise InputError("data.members.twice", path=Path(entry.path))
                members[path] = file_member(entry.path, size)
            elif len(above) < MAX_DEPTH:
                folders.append((Path(entry.path), f"{path}/", (*above, here)))
            elif too_deep is not None:
                too_deep.append(f"{path}/")
        if len(members) > MAX_FILES:
            raise InputError("data.members.too_many", folder=root, limit=MAX_FILES)
    return members


def _read_file(name: str) -> bytes:
    path = Path(name)
    with reading(path):
        return read_bytes(path, MAX_BYTES)
