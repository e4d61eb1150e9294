"""Writing files atomically: a reader sees the old content or the new, never a part of it."""

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ziffern.errors import InputError, OutputError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into an OutputError with `path`, since a failed read has other causes and fixes."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(error.errno, error.strerror or str(error), str(path)) from error


def refuse_existing(path: Path) -> None:
    """Raise InputError if there is anything at `path`, for commands that replace no file."""
    if path.exists() or path.is_symlink():
        raise InputError("files.exists", path=path)


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`, replacing a link there.

    Raises:
        OutputError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
            os.replace(temporary, path)  # noqa: PTH105
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON; NaN and infinity are refused, since JSON has none.

    Raises:
        ValueError: A number is not finite.
    """
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
