"""A file of JSON lines with one writer, which a kill or a full disk leaves whole."""

import errno
import json
import os
import weakref
from pathlib import Path
from typing import Any


class Lines:
    """The file, open for reading once and for appending.

    Raises:
        OSError: It cannot be opened, or is a link.
    """

    _file = -1

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._file = path, os.open(path, flags, 0o666)
        weakref.finalize(self, os.close, self._file)
        self.size = os.fstat(self._file).st_size

    def read(self) -> list[dict[str, Any]]:
        """Return all entries, and cut off a half-written last one.

        Raises:
            ValueError: A line is not JSON.
        """
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(0)
            text = file.read()
        self.size = text.rfind(b"\n") + 1
        if self.size < len(text):  # the writer was killed in the middle of a line
            os.ftruncate(self._file, self.size)
        return [json.loads(line) for line in text[: self.size].splitlines()]

    def append(self, entries: list[dict[str, Any]], to_disk: bool = True) -> list[str]:
        """Append entries, all or none; return their lines. Without `to_disk` they outlive this process at least.

        Raises:
            OSError: The disk is full, or the file system is read-only.
        """
        lines = [json.dumps(entry, separators=(",", ":")) for entry in entries]
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            written = os.write(self._file, data)
            if to_disk:
                os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        if written < len(data):
            os.ftruncate(self._file, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self.size += len(data)
        return lines
