"""Messages from jobs to the driver and its answers, as JSON over a socket; nothing is unpickled.

Decision: `multiprocessing.connection` frames and authenticates. Its listener would do the handshake before it accepts
the next connection, so that a silent stranger could block it; here each connection has a thread.
"""

import json
import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

MAX_MESSAGE = 2**20  # bytes
MAX_CONNECTIONS = 1000  # at once; strangers count until their handshake fails
CONNECT, PATIENCE = 5.0, 60.0  # seconds to connect to the driver, and for its answer
PAUSE = 0.1  # seconds after a connection that failed
CONTACT = ".driver.json"  # in the sweep folder, for jobs that outlive their driver
HANDSHAKE = 10  # seconds for a connection to prove that it knows the key
BROKEN = (OSError, EOFError, AuthenticationError, ValueError, RecursionError)


@dataclass(frozen=True)
class Contact:
    """How a job reaches the driver; with a `file`, that of the driver that runs now.

    Attributes:
        address: Host and port.
        key: Shared secret.
        file: Where a later driver leaves its own contact; readable by its owner alone.
    """

    address: tuple[str, int]
    key: str
    file: str = ""

    def now(self) -> "Contact":
        """Return the contact of the driver that runs now."""
        if not self.file:
            return self
        plain = json.loads(Path(self.file).read_text())
        return Contact((str(plain["host"]), int(plain["port"])), str(plain["key"]), self.file)


class Channel:
    """The driver's end.

    Args:
        answer: Takes a message and returns the answer; called in threads of its own.
        public: Whether jobs run on other machines.
        file: Where to leave the contact, if jobs may outlive this driver.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Any], public: bool = False, file: Path | None = None) -> None:
        self._answer, self._open = answer, threading.Semaphore(MAX_CONNECTIONS)
        self._file, self._closed = file, False
        self._listener = Listener(("0.0.0.0" if public else "127.0.0.1", 0), backlog=128)
        port = self._listener.address[1]
        host = _own_address() if public else "127.0.0.1"
        self.contact = Contact((host, int(port)), secrets.token_hex(32), str(file.absolute()) if file else "")
        if file:
            new = file.with_name(f"{file.name}.new")
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                json.dump({"host": host, "port": port, "key": self.contact.key}, stream)
            new.replace(file)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._closed:
            self._open.acquire()
            try:
                connection = self._listener.accept()
            except OSError:  # a reset, or too many open files
                self._open.release()
                time.sleep(PAUSE)
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        self._listener.close()

    def _serve(self, connection: Connection) -> None:
        key = self.contact.key.encode()
        try:
            with connection, socket.socket(fileno=os.dup(connection.fileno())) as patience:
                patience.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", HANDSHAKE, 0))
                deliver_challenge(connection, key)
                answer_challenge(connection, key)
                patience.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
                while True:
                    message = json.loads(connection.recv_bytes(MAX_MESSAGE))
                    connection.send_bytes(json.dumps(self._answered(message)).encode())
        except BROKEN:  # the job has ended, or a stranger
            pass
        finally:
            self._open.release()

    def _answered(self, message: dict[str, Any]) -> Any:
        try:
            return self._answer(message)
        except OSError:  # the disk is full: the driver will notice
            raise
        except Exception as error:  # the job shows it
            return {"error": f"{type(error).__name__}: {error}"}

    def close(self) -> None:
        """Accept no more connections."""
        self._closed = True
        if self._file:
            self._file.unlink(missing_ok=True)
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.contact.address[1]), 1):
            pass  # wakes the thread that accepts


class Line:
    """A job's end of the channel; safe in threads and in processes that the job forks."""

    def __init__(self, contact: Contact) -> None:
        self._contact, self._lock, self._process = contact, threading.Lock(), 0
        self._connection: Connection | None = None

    def ask(self, **message: Any) -> Any:
        """Return the driver's answer; None if there is no driver, or if it was killed."""
        if self._process != os.getpid():  # a fork shares neither the lock nor the connection
            self._process, self._lock, self._connection = os.getpid(), threading.Lock(), None
        with self._lock:
            for _ in range(2):  # the connection may be one to an earlier driver
                with suppress(*BROKEN, KeyError):
                    if self._connection is None:
                        contact = self._contact.now()
                        self._connection = _connect(contact)
                    self._connection.send_bytes(json.dumps(message).encode())
                    if not self._connection.poll(PATIENCE):
                        raise EOFError
                    return json.loads(self._connection.recv_bytes(MAX_MESSAGE))
                self._connection = None
        return None


def _connect(contact: Contact) -> Connection:
    """Return a connection to the driver; `multiprocessing.connection.Client` could wait for minutes."""
    connection = Connection(socket.create_connection(contact.address, CONNECT).detach())
    os.set_blocking(connection.fileno(), True)
    answer_challenge(connection, contact.key.encode())
    deliver_challenge(connection, contact.key.encode())
    return connection


def _own_address() -> str:
    """Return this machine's address as others see it; that of its own name may be 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # reserved for documentation; nothing is sent
        return str(probe.getsockname()[0])
    return "127.0.0.1"
