"""Why a training failed, in every language of the page.

Decision: the training's own process writes the texts, since it has the error with its code and values; the page looks
up the text in its own language, and nothing parses what the training printed.
"""

import json
from collections.abc import Callable
from pathlib import Path

from ziffern.errors import InputError
from ziffern.files.atomic import write_json
from ziffern.text.catalog import Message
from ziffern.text.language import LANGUAGES


def record_failure(run: Callable[[], None], file: Path) -> None:
    """Run a command; if it exits because of an error that it has explained, write that error's texts to a file."""
    try:
        run()
    except SystemExit as end:
        message = _message(end.__cause__ or end.__context__)  # what was printed, or the error that was being handled
        if message is not None:
            write_json(file, {code: message.in_language(code) for code in LANGUAGES})
        raise


def read_failure(file: Path, language: str) -> str:
    """Return the text in a language; empty if none was written."""
    try:
        return str(json.loads(file.read_bytes()).get(language, ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _message(error: BaseException | None) -> Message | None:
    if isinstance(error, InputError):
        return error.message
    if isinstance(error, OSError):
        return Message("studio.training.system", path=Path(error.filename or ""), why=error)
    return None
