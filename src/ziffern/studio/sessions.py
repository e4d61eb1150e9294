"""Limits which of Gradio's routes may be called, and ties its sessions and uploads to the person who made them.

Decisions: Gradio has some sixty routes, and the page calls a dozen of them; all others are answered with 404, whatever
they do. Gradio itself ties nothing to a person: anyone who names a session may read and use it. So the names that a
browser gives to its sessions and uploads are prefixed with the person's name before Gradio sees them, and nobody can
name another person's. Gradio identifies uploaded files by their path alone; only the person who uploaded a file may use
it.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ziffern.web.refused import RefusedError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_UPLOADED = 200 * 2**20  # bytes of a file
MAX_SENT = 16 * 2**20  # bytes of any other request: a drawing takes some thousand
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; frame-ancestors 'self'"
GRACE = 1.0  # seconds
MAX_PATHS = 100  # uploads of one person that the page may still use
CHOSEN = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a name that a browser gives to a session or an upload
API = "/gradio_api"
ROUTES = {  # what the page calls, below its language
    "GET": re.compile(
        r"/|/(?:assets|static|svelte)/.*|/(?:theme\.css|config|manifest\.json|robots\.txt)"
        rf"|{API}/(?:info|startup-events|theme\.css|heartbeat/[^/]+|queue/data|upload_progress)/?"
    ),
    "POST": re.compile(rf"{API}/(?:queue/join|upload)"),
}
PAGE = re.compile(r"(/[a-z]{2})(/.*)", re.DOTALL)
HEARTBEAT = re.compile(rf"(.*{API}/heartbeat/)([^/]+)(/?)")


def max_body(path: str) -> int:
    """Return how many bytes a request to this path may have."""
    return MAX_UPLOADED + MAX_SENT if path.endswith("/upload") else MAX_SENT  # the file and the form around it


class Sessions:
    """Ties requests to a person; `app`, which contains Gradio, answers the permitted ones."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app
        self._uploaded: dict[str, deque[str]] = {}  # paths by person

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of the person in `scope["ziffern.person"]`, which is None if no password is required.

        Raises:
            RefusedError: The page makes no such request, or it names a session or a file of somebody else.
        """
        route = PAGE.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if route is None:  # our own routes, which look names up in the person's workspace
            await self.app(scope, receive, send)
            return
        person = scope["ziffern.person"] or ""
        allowed = ROUTES.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if allowed is None or not allowed.fullmatch(route[2]):
            raise RefusedError(404, "not here\n")
        scope = _tied(scope, person)
        if route[2] == f"{API}/queue/join":
            scope, receive = await self._joined(scope, receive, person)
        if route[2] == f"{API}/queue/data":
            receive = _late_disconnect(receive)
        if route[2] == f"{API}/upload":
            send = self._recording(send, person)
        await self.app(scope, receive, send)

    async def _joined(self, scope: Scope, receive: Receive, person: str) -> tuple[Scope, Receive]:
        """Return a call of a handler with the session tied to the person, and no file but their own."""
        from starlette.requests import ClientDisconnect, Request

        try:
            body = await Request(scope, receive).json()
            body["session_hash"] = _own(person, body["session_hash"])
            paths, content = _paths(body), json.dumps(body).encode()
        except (ValueError, TypeError, KeyError, RecursionError, ClientDisconnect) as error:
            raise RefusedError(400, "not a call of the page\n") from error
        own = self._uploaded.get(person, ())
        if not all(path in own for path in paths):
            raise RefusedError(403, "this file was not uploaded by you, or too long ago: upload it again\n")
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        remaining: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

        async def again() -> Message:
            return remaining.pop() if remaining else await receive()

        return {**scope, "headers": [*headers, (b"content-length", str(len(content)).encode())]}, again

    def _recording(self, send: Send, person: str) -> Send:
        """Return a `send` that passes an answer on, and records the paths in it as the person's uploads."""
        content = bytearray()
        status = 0

        async def record(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            content.extend(message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body") and status == 200:  # noqa: PLR2004
                own = self._uploaded.setdefault(person, deque(maxlen=MAX_PATHS))
                own.extend(map(str, json.loads(content)))
            await send(message)

        return record


def _late_disconnect(receive: Receive) -> Receive:
    """Return a `receive` that reports the end of a connection a moment later.

    A browser closes a stream of answers as soon as it has the last one. If Gradio, which is about to end the stream
    itself, hears of that first, it drops the answers to later calls of the page: they end with `404: Not Found`.
    """

    async def wait() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            await asyncio.sleep(GRACE)
        return message

    return wait


def _own(person: str, name: str) -> str:
    """Return a name that a browser chose as one of a person's own; a dot is in neither, so no two are the same."""
    if not CHOSEN.fullmatch(name):
        raise RefusedError(400, "not a session of the page\n")
    return f"{person}.{name}"


def _tied(scope: Scope, person: str) -> Scope:
    """Return a request whose path and query name the person's sessions and uploads."""
    heartbeat = HEARTBEAT.fullmatch(scope["path"])
    if heartbeat:
        path = f"{heartbeat[1]}{_own(person, heartbeat[2])}{heartbeat[3]}"
        scope = {**scope, "path": path, "raw_path": path.encode()}
    query = parse_qsl(scope["query_string"].decode("latin1"), keep_blank_values=True)
    tied = [(k, _own(person, v) if k in ("session_hash", "upload_id") else v) for k, v in query]
    return {**scope, "query_string": urlencode([pair for pair in tied if pair[0] != "deep_link"]).encode()}


def _paths(value: Any) -> list[str]:
    """Return every value under a key `path` in a call: Gradio treats them as files."""
    if isinstance(value, dict):
        here = [str(value["path"])] if value.get("path") is not None else []
        return here + [path for item in value.values() for path in _paths(item)]
    return [path for item in value for path in _paths(item)] if isinstance(value, list) else []
