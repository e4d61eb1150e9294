"""The endpoint `/predict`."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
import numpy as np
import prometheus_client as prometheus
from numpy.typing import NDArray

from ziffern.data.polarity import inverted_if_light
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.web.batching import Batcher
from ziffern.web.bodies import Reader
from ziffern.web.endpoint import Endpoint, Load, header
from ziffern.web.model import Answer, ServedModel
from ziffern.web.problems import ProblemError

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Predict(Endpoint):
    """Answers images with predictions.

    Args:
        model: The model; `start` loads it.
        load: The requests in progress.
        registry: Where its figures for Prometheus are registered.
    """

    def __init__(self, model: ServedModel, load: Load, registry: prometheus.CollectorRegistry) -> None:
        super().__init__(load)
        self.model, self.is_loaded = model, False
        self._encode = msgspec.json.Encoder().encode
        own: dict[str, Any] = {"registry": registry}
        self._images = prometheus.Counter("ziffern_images", "Images by the status of their answer", ["status"], **own)
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

    async def answer(self, scope: dict[str, Any], body: bytes) -> bytes:
        """Return one answer per image; those that cannot be read have the status `unreadable`.

        Raises:
            ProblemError: No image can be read, or `max_error` is wrong or not supported by the run.
        """
        max_error = max_error_of(scope["query_string"]) if scope["query_string"] else None
        images = await self._reader.images(header(scope, b"content-type"), body)
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
        return self._encode(answers)

    def _batch(self, images: NDArray[np.uint8], max_error: float | None) -> list[Answer]:
        self._sizes.observe(len(images))
        return self._predict(inverted_if_light(images) if self.model.inference.dark_ground else images, max_error)


def max_error_of(query: bytes) -> float:
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
