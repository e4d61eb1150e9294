"""The endpoint `/predict`, and what limits it.

Decisions: it is a plain ASGI application, since FastAPI's own handling of a request takes longer than the model; a
request is refused before its body is read where possible; a full server answers 503 and a client with too many
requests at the same time 429, both with `Retry-After`, instead of letting requests wait.
"""

import asyncio
from collections import Counter
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import numpy as np
import prometheus_client as prometheus
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect

from ziffern.data.polarity import inverted_if_light
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.web.batching import Batcher
from ziffern.web.bodies import Reader
from ziffern.web.limits import MAX_MEMORY, MAX_SECONDS, Limits
from ziffern.web.model import Answer, ServedModel
from ziffern.web.problems import RETRY, ProblemError

JSON = ((b"content-type", b"application/json"),)
GONE = 499  # for the figures: the client closed the connection before its request was complete
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Predict:
    """ASGI application that answers images with predictions.

    Args:
        model: The model; `start` loads it.
        limits: What is refused.
        registry: Where its figures for Prometheus are registered.
    """

    def __init__(self, model: ServedModel, limits: Limits, registry: prometheus.CollectorRegistry) -> None:
        self.model, self.limits = model, limits
        self.is_loaded = False
        self._clients: Counter[object] = Counter()  # requests in progress
        self._held = 0  # bytes of their bodies
        self._encode = msgspec.json.Encoder().encode
        own: dict[str, Any] = {"registry": registry}
        self._requests = prometheus.Counter("ziffern_requests", "Requests to /predict", ["status"], **own)
        self._images = prometheus.Counter("ziffern_images", "Images by the status of their answer", ["status"], **own)
        self._seconds = prometheus.Histogram("ziffern_request_seconds", "Time to answer a request", **own)
        self._sizes = prometheus.Histogram("ziffern_batch_images", "Images per batch", buckets=BATCHES, **own)

    def start(self) -> None:
        """Load the model, and predict once, so that the first request is as fast as others."""
        inference = self.model.inference
        self._predict = self.model.predictions()
        self._reader = Reader(self.model.shape, inference.prepare, inference.dark_ground, self.limits)
        self._batcher = Batcher(self._batch, self.limits.max_images)
        self._predict(np.zeros((1, *self.model.shape), np.uint8), None)
        self.is_loaded = True

    def close(self) -> None:
        """End the threads."""
        self.is_loaded = False
        self._batcher.close()
        self._reader.threads.shutdown(cancel_futures=True)

    @property
    def is_full(self) -> bool:
        """Whether a further request would be refused now."""
        return self._clients.total() >= self.limits.max_requests or self._held > MAX_MEMORY

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        start = perf_counter()
        client = scope.get("ziffern.client") or (scope.get("client") or ("",))[0]
        parts: list[bytes] = []
        status = 500
        self._clients[client] += 1
        try:
            self._check_load(scope, client)
            body = await self._body(receive, parts)
            content = self._encode(await self._answers(scope, body))
            status = 200
        except ProblemError as problem:
            status = problem.status
            await problem.response()(scope, receive, send)
            return
        except ClientDisconnect:
            status = GONE
            return
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
            self._held -= sum(map(len, parts))
            self._requests.labels(status).inc()
            self._seconds.observe(perf_counter() - start)
        headers = [*JSON, (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _check_load(self, scope: dict[str, Any], client: object) -> None:
        """Raise ProblemError for a request that is refused before its body is read."""
        limits = self.limits
        if self._clients.total() > limits.max_requests:
            raise ProblemError(503, Message("web.busy"), RETRY)
        if self._clients[client] > limits.max_client:
            raise ProblemError(429, Message("web.many", limit=limits.max_client), RETRY)
        self._check_size(int(_header(scope, b"content-length") or 0))  # digits, as the HTTP parser has checked

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
                    self._held += len(parts[-1])
                    self._check_size(size)
                    if self._held > MAX_MEMORY:
                        raise ProblemError(503, Message("web.busy"), RETRY)
                    has_more = message.get("more_body", False)
        except TimeoutError:
            raise ProblemError(408, Message("web.body.slow", seconds=MAX_SECONDS)) from None
        return b"".join(parts)

    async def _answers(self, scope: dict[str, Any], body: bytes) -> list[Answer]:
        """Return one answer per image; those that cannot be read have the status `unreadable`.

        Raises:
            ProblemError: No image can be read, or `max_error` is wrong or not supported by the run.
        """
        max_error = _max_error(scope["query_string"]) if scope["query_string"] else None
        images = await self._reader.images(_header(scope, b"content-type"), body)
        readable = [image for image in images if not isinstance(image, ProblemError)]
        if not readable:
            raise next(image for image in images if isinstance(image, ProblemError))
        try:
            found = iter(await self._batcher.answers(np.stack(readable), max_error))
        except InputError as error:
            raise ProblemError(422, error) from None
        answers = [
            Answer("unreadable", detail=image.detail) if isinstance(image, ProblemError) else next(found)
            for image in images
        ]
        for answer in answers:
            self._images.labels(answer.status).inc()
        return answers

    def _batch(self, images: NDArray[np.uint8], max_error: float | None) -> list[Answer]:
        self._sizes.observe(len(images))
        return self._predict(inverted_if_light(images) if self.model.inference.dark_ground else images, max_error)


def _header(scope: dict[str, Any], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def _max_error(query: bytes) -> float:
    """Return the value of the only parameter, `max_error`.

    Raises:
        ProblemError: There is another parameter, or the value is not between 0 and 1.
    """
    try:
        ((name, value),) = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        share = float(value)
    except ValueError:
        name, share = "", 0.0
    if name != "max_error" or not 0 < share < 1:
        raise ProblemError(422, Message("web.query", query=query.decode("latin-1")))
    return share
