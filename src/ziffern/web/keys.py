"""API keys: a file with one key per line, and the check of each request.

Decisions: only hashes of keys are kept and compared, so that the time of a comparison reveals nothing; a message names
a line, never a key; the pages that say whether and how the service works need no key.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from ziffern.errors import InputError
from ziffern.files.untrusted import read_text, reading
from ziffern.text.catalog import Message
from ziffern.web.problems import ProblemError

KEY = re.compile(r"[!-~]{16,256}")  # printable ASCII
MAX_FILE = 2**20  # bytes
OPEN = ("/", "/health", "/ready", "/docs", "/openapi.json")
Application = Callable[..., Awaitable[None]]  # ASGI


def read_keys(path: Path) -> frozenset[bytes]:
    """Return the hashes of the keys in a file; empty lines and those that start with `#` are skipped.

    Raises:
        InputError: The file cannot be read, has no keys, or a line is not a key of at least 16 characters.
    """
    with reading(path):
        text = read_text(path, MAX_FILE).removeprefix("\ufeff")  # of Windows' editor
    keys = {
        number: line.strip() for number, line in enumerate(text.splitlines(), 1) if line.strip()[:1] not in ("", "#")
    }
    for number, key in keys.items():
        if not KEY.fullmatch(key):
            raise InputError("web.keys.line", path=path, number=number)
    if not keys:
        raise InputError("web.keys.none", path=path)
    return frozenset(sha256(key.encode()).digest() for key in keys.values())


class Entrance:
    """ASGI middleware: requests need a key in `X-API-Key` or `Authorization: Bearer`, unless there are no keys.

    It sets `ziffern.client` in the scope to the key's hash. Requests to `/predict` go straight to `predict`, since
    FastAPI's router would take a fifth of their time.
    """

    def __init__(self, app: Application, keys: frozenset[bytes], predict: Application) -> None:
        self.app, self.keys, self.predict = app, keys, predict

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        app = self.app
        if scope["type"] == "http":
            if self.keys and scope["path"] not in OPEN:
                scope["ziffern.client"] = sha256(_key_in(scope["headers"])).digest()
                if scope["ziffern.client"] not in self.keys:
                    challenge = {"WWW-Authenticate": "Bearer"}
                    app = ProblemError(401, Message("web.keys.needed"), challenge).response()
                    await app(scope, receive, send)
                    return
            if scope["path"] == "/predict" and scope["method"] == "POST":
                app = self.predict
        await app(scope, receive, send)


def _key_in(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
    return b""
