"""What the endpoints that take images share: limits, the body, figures, and problems.

Decisions: they are plain ASGI applications, since FastAPI's own handling of a request takes longer than the model; a
request is refused before its body is read where possible; a full server answers 503 and a client with too many
requests at the same time 429, both with `Retry-After`, instead of letting requests wait.
"""

import asyncio
from collections import Counter
from time import perf_counter
from typing import Any

import prometheus_client as prometheus
from starlette.requests import ClientDisconnect

from ziffern.text.catalog import Message
from ziffern.web.limits import MAX_MEMORY, MAX_SECONDS, Limits
from ziffern.web.problems import RETRY, ProblemError

JSON = ((b"content-type", b"application/json"),)
GONE = 499  # for the figures: the client closed the connection before its request was complete


class Load:
    """The requests in progress, over all endpoints.

    Args:
        limits: What is refused.
        registry: Where figures for Prometheus are registered.
    """

    def __init__(self, limits: Limits, registry: prometheus.CollectorRegistry) -> None:
        self.limits = limits
        self.clients: Counter[object] = Counter()
        self.held = 0  # bytes of their bodies
        own: dict[str, Any] = {"registry": registry}
        self.requests = prometheus.Counter("ziffern_requests", "Requests by status", ["status"], **own)
        self.seconds = prometheus.Histogram("ziffern_request_seconds", "Time to answer a request", **own)

    @property
    def is_full(self) -> bool:
        """Whether a further request would be refused now."""
        return self.clients.total() >= self.limits.max_requests or self.held > MAX_MEMORY


class Endpoint:
    """ASGI application that answers a body with JSON; subclasses define `answer`."""

    def __init__(self, load: Load) -> None:
        self.load, self.limits = load, load.limits

    async def answer(self, scope: dict[str, Any], body: bytes) -> bytes:
        """Return the JSON for a body.

        Raises:
            ProblemError: The request is not answered.
        """
        raise NotImplementedError

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        start = perf_counter()
        client = scope.get("ziffern.client") or (scope.get("client") or ("",))[0]
        parts: list[bytes] = []
        status = 500
        self.load.clients[client] += 1
        try:
            self._check_load(scope, client)
            body = await self._body(receive, parts)
            content = await self.answer(scope, body)
            status = 200
        except ProblemError as problem:
            status = problem.status
            await problem.response()(scope, receive, send)
            return
        except ClientDisconnect:
            status = GONE
            return
        finally:
            self.load.clients[client] -= 1
            if not self.load.clients[client]:
                del self.load.clients[client]
            self.load.held -= sum(map(len, parts))
            self.load.requests.labels(status).inc()
            self.load.seconds.observe(perf_counter() - start)
        headers = [*JSON, (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _check_load(self, scope: dict[str, Any], client: object) -> None:
        """Raise ProblemError for a request that is refused before its body is read."""
        limits = self.limits
        if self.load.clients.total() > limits.max_requests:
            raise ProblemError(503, Message("web.busy"), RETRY)
        if self.load.clients[client] > limits.max_client:
            raise ProblemError(429, Message("web.many", limit=limits.max_client), RETRY)
        self._check_size(int(header(scope, b"content-length") or 0))  # digits, as the HTTP parser has checked

    def _check_size(self, size: int) -> None:
        if size > self.limits.max_body:
            raise ProblemError(413, Message("web.body.too_large", limit=self.limits.max_body))

    async def _body(self, receive: Any, parts: list[bytes]) -> bytes:
        """Return the body, whose parts are appended to `parts` as they arrive."""
        size, has_more = 0, True
        try:
            async with asyncio.timeout(MAX_SECONDS):
                while has_more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    self.load.held += len(parts[-1])
                    self._check_size(size)
                    if self.load.held > MAX_MEMORY:
                        raise ProblemError(503, Message("web.busy"), RETRY)
                    has_more = message.get("more_body", False)
        except TimeoutError:
            raise ProblemError(408, Message("web.body.slow", seconds=MAX_SECONDS)) from None
        return b"".join(parts)


def header(scope: dict[str, Any], wanted: bytes) -> str:
    """Return a header of a request, empty if it has none."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")
