"""Requests that are no proper HTTP, sent byte by byte."""

import socket
import time
from collections.abc import Iterator

import pytest
from tests.support.web import IMAGES, listening, png

BODY = png(IMAGES[0])
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with listening() as port:
        yield port


def exchanged(port: int, *parts: bytes) -> bytes:
    """Send parts, one after the other, and return what arrives until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)
            while data := connection.recv(2**16):
                received += data
        except ConnectionError:
            pass
        return received


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("parts", [1, 5, len(BODY)])
def test_bodies_in_chunks(port: int, parts: int) -> None:
    size = -(-len(BODY) // parts)
    chunks = b"".join(chunk(BODY[at : at + size]) for at in range(0, len(BODY), size))
    head = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchanged(port, head + chunks[:40], chunks[40:] + chunk(b""))
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: x\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_not_http_is_a_problem(port: int, request_bytes: bytes) -> None:
    answer = exchanged(port, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer
    assert b'"web.head"' in answer


def test_an_endless_head_is_refused(port: int) -> None:
    start = time.monotonic()
    answer = exchanged(port, HEAD, *[b"X: " + b"a" * 2**18 + b"\r\n"] * 8)
    assert time.monotonic() - start < 5
    assert b"Content-Length" not in answer  # its end is lost where the client still sends
    assert exchanged(port, HEAD + b"Connection: close\r\nX: " + b"a" * 2**17 + b"\r\n\r\n").startswith(b"HTTP/1.1 422")


def test_a_connection_without_a_complete_head_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ziffern.web.connection.MAX_SECONDS", 0.2)
    assert exchanged(port) == b""
    assert exchanged(port, HEAD) == b""


def test_a_client_that_goes_is_not_answered(port: int, caplog: pytest.LogCaptureFixture) -> None:
    for body in (BODY[:20], BODY):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + body)
    answer = exchanged(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b'ziffern_requests_total{status="499"}' in answer
    assert not caplog.records
