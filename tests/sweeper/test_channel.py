"""Messages of jobs: plain JSON, with a key, from many at once, and whoever is silent keeps nobody waiting."""

import json
import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import pytest

from hydra_study import channel as module
from hydra_study.channel import MAX_MESSAGE, Channel, Contact, Line


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("unpickled",)


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel(lambda message: {"again": message})
    yield made
    made.close()


def raw(channel: Channel) -> Any:
    return Client(channel.contact.address, authkey=channel.contact.key.encode())


def test_an_answer_and_an_error_in_it(channel: Channel) -> None:
    assert Line(channel.contact).ask(ask="x", value=[1, None, "ä"]) == {"again": {"ask": "x", "value": [1, None, "ä"]}}

    def fail(message: dict[str, Any]) -> Any:
        raise OSError(28, "No space left on device") if message["ask"] == "x" else KeyError("y")

    other = Channel(fail)
    assert Line(other.contact).ask(ask="y") == {"error": "KeyError: 'y'"}
    assert Line(other.contact).ask(ask="x") is None  # which the driver itself notices
    other.close()


def test_nothing_is_unpickled(channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for message in (pickle.dumps(Payload()), b"\xff", b"[" * 10**5):
        with raw(channel) as connection:
            connection.send_bytes(message)
            with pytest.raises((EOFError, OSError)):
                connection.recv_bytes()
    assert not Path("unpickled").exists()
    assert Line(channel.contact).ask(ask="x") == {"again": {"ask": "x"}}


def test_what_is_no_message_is_an_error(channel: Channel, studies: Any) -> None:
    study = studies.open(n_trials=1)
    other = Channel(study.answer)
    for message in (b"3", b"[]", b'{"ask": "begin"}', b'{"ask": "report", "number": 7, "attempt": 1}'):
        with raw(other) as connection:
            connection.send_bytes(message)
            assert "error" in json.loads(connection.recv_bytes())
    other.close()


def test_a_message_that_is_too_large_ends_the_connection_alone(channel: Channel) -> None:
    line = Line(channel.contact)
    assert line.ask(text="x" * MAX_MESSAGE) is None
    assert line.ask(text="x") == {"again": {"text": "x"}}


def test_a_wrong_key_and_silent_strangers(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDSHAKE", 1)
    assert Line(Contact(channel.contact.address, "wrong")).ask(ask="x") is None
    with pytest.raises(AuthenticationError):
        Client(channel.contact.address, authkey=b"wrong")
    strangers = [socket.create_connection(channel.contact.address) for _ in range(20)]
    assert Line(channel.contact).ask(ask="x") == {"again": {"ask": "x"}}
    for stranger in strangers:
        stranger.settimeout(10)
        with suppress(ConnectionResetError):
            while stranger.recv(100):
                pass
        stranger.close()


def test_a_job_may_be_silent_for_longer_than_a_stranger(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDSHAKE", 1)
    line = Line(channel.contact)
    assert line.ask(ask="x")
    connection = line._connection
    time.sleep(1.5)
    assert line.ask(ask="x")
    assert line._connection is connection


def test_200_jobs_at_once() -> None:
    lock, answered = threading.Lock(), []

    def answer(message: dict[str, Any]) -> int:
        with lock:
            answered.append(message["number"])
        return int(message["number"])

    made = Channel(answer)
    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(lambda number: Line(made.contact).ask(number=number), range(200)))
    assert found == sorted(answered) == list(range(200))
    made.close()


def test_a_job_finds_the_next_driver_by_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".driver.json"
    first = Channel(lambda message: 1, file=file)
    line = Line(first.contact)
    assert file.stat().st_mode & 0o777 == 0o600
    assert line.ask() == 1
    assert line._connection is not None
    line._connection.close()  # as the kernel does for a driver that is killed
    first.close()
    assert not file.exists()
    assert line.ask() is None
    second = Channel(lambda message: 2, file=file)
    assert line.ask() == 2
    second.close()


def test_a_fork_has_a_connection_of_its_own(channel: Channel) -> None:
    line = Line(channel.contact)
    assert line.ask(ask="parent")
    reading, writing = os.pipe()
    with line._lock:  # held by another thread at the moment of the fork
        child = os.fork()
        if child == 0:
            os.write(writing, json.dumps(line.ask(ask="child")).encode())
            os._exit(0)
    os.waitpid(child, 0)
    assert json.loads(os.read(reading, 1000)) == {"again": {"ask": "child"}}
    assert line.ask(ask="parent") == {"again": {"ask": "parent"}}
    os.close(reading)
    os.close(writing)
