"""Whether a mirror answers: the truth, in one line, and in time even where nothing ever answers."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from ziffern.data.sources.download import reachable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def listening(answer):
    """Yield the address of a server that gives each connection these bytes; None: it never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(10_000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        if answer is not None:
            thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)
    if answer is not None:
        thread.join()


@pytest.fixture
def nowhere():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "500 Internal Server Error"])
def test_any_status_is_an_answer(status):
    with listening(OK.replace(b"200 OK", status.encode())) as address:
        assert reachable([address]) == [address]


def test_those_that_answer_come_in_the_order_they_were_given(nowhere):
    with listening(OK) as one, listening(OK) as other:
        assert reachable([other, nowhere, one]) == [other, one]


@pytest.mark.parametrize(
    ("answer", "word"),
    [(b"", "closed connection"), (b"\x00\x1b[31m no HTTP\r\n\r\n", "no HTTP"), (b"HTTP/1.1 2\r\n\r\n", "HTTP/1.1 2")],
    ids=["hangs up", "garbage", "bad status"],
)
def test_what_is_no_http_is_no_answer(answer, word):
    with listening(answer) as address, pytest.raises(ConnectionError, match="no mirror answers: ") as error:
        reachable([address])
    assert word in str(error.value)
    assert str(error.value).isprintable()


def test_reasons_are_given_once_each(nowhere):
    with pytest.raises(ConnectionError) as error:
        reachable([nowhere, f"{nowhere}other", "gopher://127.0.0.1/", "no address"])
    assert str(error.value).count("refused") == 1
    assert "gopher" in str(error.value)
    assert "no address" in str(error.value)


def test_error_without_words_is_no_answer(monkeypatch):
    def silent(*args, **kwargs):
        raise TimeoutError

    monkeypatch.setattr("urllib.request.urlopen", silent)
    with pytest.raises(ConnectionError, match="TimeoutError"):
        reachable(["http://127.0.0.1/"])


def test_silence_ends_in_time_and_does_not_hide_an_answer():
    with listening(None) as silent, listening(OK) as answering:
        start = time.monotonic()
        assert reachable([silent, answering, silent], seconds=0.2) == [answering]
        with pytest.raises(ConnectionError, match=r"timed out|in time"):
            reachable([silent], seconds=0.2)
        assert time.monotonic() - start < 3


def test_name_look_up_that_hangs_is_not_waited_for(monkeypatch):
    release, asked = threading.Event(), []

    def hang(*args, **kwargs):
        asked.append(threading.current_thread())
        release.wait(60)
        raise socket.gaierror("released")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="no answer in time"):
        reachable(["http://digits.example/"], seconds=0.2)
    assert time.monotonic() - start < 3
    release.set()
    for thread in asked:
        thread.join()
