"""Reading untrusted files.

Decisions: a file is opened once, without waiting for a pipe's other end, and the open file is checked, so it cannot be
replaced between check and read; only regular files are read, and only up to a limit.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ziffern.errors import InputError

FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def open_regular(path: Path, max_bytes: int) -> BinaryIO:
    """Open a regular file of at most `max_bytes` for reading; symbolic links are followed.

    Raises:
        InputError: It is a pipe, a device or a folder, or it is larger.
        OSError: It cannot be opened.
    """
    return _checked(os.open(path, FLAGS), path, max_bytes)


def open_below(folder: Path, name: str, max_bytes: int) -> BinaryIO:
    """Open the regular file at the relative path `name` below `folder`; no symbolic link on the way is followed.

    Raises:
        InputError: A part of `name` is a symbolic link; or as `open_regular`.
        OSError: It cannot be opened.
    """
    *folders, last = name.split("/")
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            before, place = place, _open_part(place, part, os.O_DIRECTORY, folder / name)
            os.close(before)
        return _checked(_open_part(place, last, 0, folder / name), folder / name, max_bytes)
    finally:
        os.close(place)


@contextlib.contextmanager
def reading(label: object) -> Iterator[None]:
    """Turn an OSError into an InputError with `label`, the path of the file or folder, or its name in messages."""
    try:
        yield
    except OSError as error:
        problem = "permission" if isinstance(error, PermissionError) else "failed"
        why = error.strerror or type(error).__name__
        raise InputError(f"files.unreadable.{problem}", path=label, reason=why) from error


def _open_part(place: int, part: str, kind: int, path: Path) -> int:
    try:
        return os.open(part, FLAGS | os.O_NOFOLLOW | kind, dir_fd=place)
    except OSError as error:
        is_link = error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR) and stat.S_ISLNK(
            os.stat(part, dir_fd=place, follow_symlinks=False).st_mode
        )
        if not is_link:
            raise
        raise InputError("files.link", path=path, part=part) from error


def _checked(descriptor: int, path: Path, max_bytes: int) -> BinaryIO:
    """Return the open file, or close it and raise InputError if it is not regular, or too large."""
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InputError("files.not_regular", path=path)
    raise InputError("files.too_large", path=path, size=status.st_size, limit=max_bytes)


def read_all(file: BinaryIO, path: Path, max_bytes: int) -> bytes:
    """Return the content of an open file of at most `max_bytes`, and close it.

    Raises:
        InputError: It is larger: it grew, or its reported size is wrong, as in /proc.
    """
    with file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError("files.too_long", path=path, limit=max_bytes)
    return content


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most `max_bytes`; raises as `open_regular`."""
    return read_all(open_regular(path, max_bytes), path, max_bytes)


def read_text(path: Path, max_bytes: int) -> str:
    """Return the UTF-8 text of a regular file of at most `max_bytes`; raises as `open_regular`.

    Raises:
        InputError: It is not UTF-8.
    """
    try:
        return read_bytes(path, max_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("files.not_utf8", path=path) from error
