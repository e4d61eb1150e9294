"""Micro-batching: requests that wait for the model are predicted together.

Decisions: a batch starts as soon as the model is free, so that an idle server adds no delay; the model runs in one
thread beside the event loop, which meanwhile reads the next requests; a request is never split over two batches.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Waiting(NamedTuple):
    """The images (n, C, H, W) of one request, the key of its predictor, and the future that receives its answers."""

    images: NDArray[np.uint8]
    key: Any
    answers: "asyncio.Future[list[Any]]"


class Batcher:
    """Predict the images of concurrent requests in batches.

    Args:
        predict: Maps images (N, C, H, W) and a key to one answer per image; runs in a thread of its own.
        size: Images per batch; a larger request is a batch of its own.
    """

    def __init__(self, predict: Callable[[NDArray[np.uint8], Any], list[Any]], size: int) -> None:
        self._predict, self._size = predict, size
        self._waiting: deque[Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, "ziffern-model")
        self._is_busy = False

    async def answers(self, images: NDArray[np.uint8], key: Any) -> list[Any]:
        """Return one answer per image, once the model had time for them; only requests with equal keys share a batch.

        Raises:
            Exception: What `predict` raised.
        """
        loop = asyncio.get_running_loop()
        waiting = Waiting(images, key, loop.create_future())
        self._waiting.append(waiting)
        if not self._is_busy:
            self._is_busy = True
            loop.call_soon(self._start)  # after the requests that arrived at the same moment
        return await waiting.answers

    def _start(self) -> None:
        batch: list[Waiting] = []
        count = 0
        while self._waiting:
            first = self._waiting[0]
            if batch and (count + len(first.images) > self._size or first.key != batch[0].key):
                break
            self._waiting.popleft()
            if not first.answers.done():  # its client has not gone
                batch.append(first)
                count += len(first.images)
        self._is_busy = bool(batch)
        if batch:
            images = np.concatenate([waiting.images for waiting in batch])
            future = asyncio.get_running_loop().run_in_executor(self._thread, self._predict, images, batch[0].key)
            future.add_done_callback(lambda done: self._finish(batch, done))

    def _finish(self, batch: list[Waiting], done: "asyncio.Future[list[Any]]") -> None:
        self._start()  # before the answers are sent, so that the model does not wait for that
        error = done.exception()
        answers = iter(() if error else done.result())
        for waiting in batch:
            own = list(islice(answers, len(waiting.images)))
            if waiting.answers.done():
                continue
            if error:
                waiting.answers.set_exception(error)
            else:
                waiting.answers.set_result(own)

    def close(self) -> None:
        """End the thread, after the batch that runs."""
        self._thread.shutdown()
