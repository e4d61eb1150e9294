"""Errors of the service in the form of RFC 9457, `application/problem+json`.

Decision: the texts are those of the error catalogs, in English; `code` identifies the problem in every language.
"""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ziffern.errors import InputError
from ziffern.text.catalog import Message

RETRY = {"Retry-After": "1"}  # seconds; a batch takes milliseconds


class ProblemDetails(msgspec.Struct):
    """An error: `detail` explains it in English, and `code` identifies it."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"


class ProblemError(Exception):
    """A request that is not answered: an HTTP status, a message, and further headers."""

    def __init__(self, status: int, message: Message | InputError, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, message)
        self.status, self.headers = status, headers
        self.message = message.message if isinstance(message, InputError) else message

    @property
    def detail(self) -> str:
        """The message in English."""
        return self.message.in_language("en")

    def response(self) -> Response:
        """Return the response."""
        return _response(self.status, self.detail, self.message.code, self.headers)


def answer_http_error(request: Request, error: Any) -> Response:
    """Return the response to an address or a method that does not exist."""
    assert isinstance(error, HTTPException)
    values = {"path": request.url.path, "method": request.method}
    code = {404: "web.path", 405: "web.method"}.get(error.status_code)
    detail = Message(code, **values).in_language("en") if code else str(error.detail)
    return _response(error.status_code, detail, code or "web.request", dict(error.headers or {}))


def answer_failure(*_: Any) -> Response:
    """Return the response to an error of the program, without its text, which uvicorn logs."""
    return _response(500, Message("web.failure").in_language("en"), "web.failure", None)


def _response(status: int, detail: str, code: str, headers: dict[str, str] | None) -> Response:
    content = ProblemDetails(HTTPStatus(status).phrase, status, detail, code)
    return Response(msgspec.json.encode(content), status, headers, "application/problem+json")
