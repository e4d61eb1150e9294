"""Reading files that somebody else may have written.

Decisions: a file is opened once, without waiting for a pipe's other end, and what was opened is checked, so nobody can
exchange it between the check and the read; only regular files are read, and none beyond its limit.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from ziffern.errors import InputError
from ziffern.text import one_line


def open_regular(path: Path, max_bytes: int) -> BinaryIO:
    """Open a regular file of at most `max_bytes` for reading; symbolic links are followed.

    Raises:
        InputError: It is a pipe, a device or a folder, or it is larger.
        OSError: It cannot be opened.
    """
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123, SIM115
    try:
        _check(path, os.fstat(file.fileno()), max_bytes)
    except BaseException:
        file.close()
        raise
    return file


def _check(path: Path, status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{one_line(path)}: not a regular file: replace it by the file itself, or remove it")
    if status.st_size > max_bytes:
        raise InputError(
            f"{one_line(path)}: {status.st_size:,} bytes, and at most {max_bytes:,} are read: was it changed by hand?"
        )


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most `max_bytes`; raises as `open_regular`."""
    with open_regular(path, max_bytes) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:  # it grew, or its size is not its content's, as in /proc
        raise InputError(f"{one_line(path)}: more than {max_bytes:,} bytes: was it changed by hand?")
    return content


def read_text(path: Path, max_bytes: int) -> str:
    """Return the UTF-8 text of a regular file of at most `max_bytes`; raises as `open_regular`.

    Raises:
        InputError: It is not UTF-8.
    """
    try:
        return read_bytes(path, max_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{one_line(path)}: not UTF-8 text: was it changed by hand?") from error
