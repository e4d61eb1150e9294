"""API keys: a file with one key per line, and the check of each request.

Decisions: keys are compared by their hashes, all of them and in constant time; a message names a line, never a key. The
pages that say whether the service works, and how, need no key.
"""

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from ziffern.errors import InputError
from ziffern.files.untrusted import read_text, reading
from ziffern.text.catalog import Message
from ziffern.web.problems import ProblemError

KEY = re.compile(r"[!-~]{16,256}")  # printable ASCII
MAX_FILE = 2**20  # bytes
OPEN = ("/health", "/ready", "/docs", "/openapi.json")
CHALLENGE = {"WWW-Authenticate": "Bearer"}
BEARER = b"bearer "
Application = Callable[..., Awaitable[None]]  # ASGI


def read_keys(path: Path) -> list[bytes]:
    """Return the hashes of the keys in a file; empty lines and those that start with `#` are skipped.

    Raises:
        InputError: The file cannot be read, has no keys, or a line is not a key of at least 16 characters.
    """
    with reading(path):
        lines = [line.strip() for line in read_text(path, MAX_FILE).splitlines()]
    for number, line in enumerate(lines, 1):
        if line and line[0] != "#" and not KEY.fullmatch(line):
            raise InputError("web.keys.line", path=path, number=number)
    keys = [hashlib.sha256(line.encode()).digest() for line in lines if line and line[0] != "#"]
    if not keys:
        raise InputError("web.keys.none", path=path)
    return keys


class Entrance:
    """ASGI middleware: requests need a key in `X-API-Key` or `Authorization: Bearer`, unless there are no keys.

    It sets `ziffern.client` in the scope to the key's hash. Requests to `/predict` go straight to `predict`, since
    FastAPI's router would take a fifth of their time.
    """

    def __init__(self, app: Application, keys: Sequence[bytes], predict: Application) -> None:
        self.app, self.keys, self.predict = app, keys, predict

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "http" and self.keys and scope["path"] not in OPEN:
            key = hashlib.sha256(_key_in(scope["headers"])).digest()
            if not any([hmac.compare_digest(key, known) for known in self.keys]):  # noqa: C419  # compares all of them
                await ProblemError(401, Message("web.keys.needed"), CHALLENGE).response()(scope, receive, send)
                return
            scope["ziffern.client"] = key
        is_short = scope["type"] == "http" and scope["path"] == "/predict" and scope["method"] == "POST"
        await (self.predict if is_short else self.app)(scope, receive, send)


def _key_in(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization" and value[: len(BEARER)].lower() == BEARER:
            return value[len(BEARER) :].strip()
    return b""
