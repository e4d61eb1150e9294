"""The endpoint `/read`: numbers from pages, by the reader's own model.

Decisions: a template comes with its request, and names no files; nothing is written; one request is read at a time per
worker process, by all cores, since a page takes longer than the model; after MAX_SECONDS no further page is begun.
"""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.web.bodies import check_count, from_form
from ziffern.web.endpoint import Endpoint, Load, header
from ziffern.web.predict import max_error_of
from ziffern.web.problems import RETRY, ProblemError

MAX_FILES = 64  # per request
MAX_SECONDS = 120  # until all pages are read, the wait for other requests included
MAX_ERROR = 0.01  # unless the request says otherwise
FILES = ("image/", "application/pdf", "application/zip", "application/octet-stream")  # a body that is one file


class Read(Endpoint):
    """Answers pages with a reading (`ziffern.reading.result`)."""

    def __init__(self, load: Load) -> None:
        super().__init__(load)
        self._thread = ThreadPoolExecutor(1, "ziffern-pages")

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    async def answer(self, scope: dict[str, Any], body: bytes) -> bytes:
        """Return the reading of the pages in a body.

        Raises:
            ProblemError: No page can be read, or the template or `max_error` is wrong, or it takes too long.
        """
        max_error = max_error_of(scope["query_string"]) if scope["query_string"] else MAX_ERROR
        content_type = header(scope, b"content-type")
        kind = content_type.partition(";")[0].strip().lower()
        if kind.startswith(FILES):
            parts: list[str | bytes] = [body]
        elif kind == "multipart/form-data":
            parts = await from_form(content_type, body, MAX_FILES + 1)
        else:
            raise ProblemError(415, Message("web.read.kind", kind=kind))
        texts = [text for part in parts if (text := _text(part)) is not None]
        files = [part for part in parts if _text(part) is None]
        check_count(len(files), MAX_FILES)
        if not files or len(texts) > 1:
            raise ProblemError(422, Message("web.read.parts", files=len(files), texts=len(texts)))
        text = texts[0] if texts else None
        stop, run = threading.Event(), asyncio.get_running_loop().run_in_executor
        try:
            async with asyncio.timeout(MAX_SECONDS):
                return await run(self._thread, _read, files, text, max_error, stop)
        except TimeoutError:
            raise ProblemError(503, Message("web.read.slow", seconds=MAX_SECONDS), RETRY) from None
        finally:
            stop.set()


def _text(part: str | bytes) -> str | None:
    """Return a part that is text, also as a file; None for pages."""
    if isinstance(part, str):
        return part
    if b"%PDF-" in part[:1024]:
        return None
    try:
        return part.decode()
    except UnicodeDecodeError:
        return None


def _until(stop: threading.Event, pages: Iterable[Any]) -> Iterator[Any]:
    """Yield pages until nobody waits for them."""
    for page in pages:
        if stop.is_set():
            raise ProblemError(503, Message("web.busy"))
        yield page


def _read(files: list[Any], text: str | None, max_error: float, stop: threading.Event) -> bytes:
    from ziffern.reading.model import ReaderModel
    from ziffern.reading.pages import pages_of
    from ziffern.reading.read import read_pages
    from ziffern.reading.template import parse_template

    template, problems = (None, []) if text is None else parse_template(text, None)
    if problems:
        raise ProblemError(422, problems[0])
    try:
        result = read_pages(
            _until(stop, pages_of(files)), ReaderModel.builtin(), template=template, max_error=max_error
        )
    except InputError as error:
        raise ProblemError(422, error) from None
    if all(page.problem for page in result.pages):
        problem = result.pages[0].problem
        assert problem is not None
        raise ProblemError(422, Message(problem.code, **problem.values))
    return msgspec.json.encode(result)
