"""The server of `ziffern verify`."""

import fcntl
import os
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ziffern.deploy.extra import require
from ziffern.errors import InputError
from ziffern.files.untrusted import reading as access
from ziffern.text.language import terminal_words
from ziffern.web.guard import Guard, check_access
from ziffern.web.sockets import LOCAL, address_of, free_socket

STOP_SECONDS = 5  # for requests in progress
BEHIND_PROXY: dict[str, Any] = {"proxy_headers": True, "forwarded_allow_ips": "127.0.0.1,::1"}  # of uvicorn


@dataclass(frozen=True)
class Options:
    """How a batch folder is served."""

    folder: Path
    host: str = "127.0.0.1"  # the address to listen on
    port: int = 7870  # the first port to try; the next free one is used
    people: Mapping[str, str] = field(default_factory=dict)  # hashed passwords; required unless the host is local
    public_hosts: Sequence[str] = ()  # names under which a proxy serves the page with TLS
    double: bool = False  # each field by two people
    browser: bool = True  # open the page in a browser

    def check(self) -> None:
        """Raise InputError unless the page is for this machine alone, or for people with passwords."""
        check_access(self.host, self.port, self.people, self.public_hosts)


def serve(options: Options) -> None:
    """Serve the page until it is interrupted.

    Raises:
        InputError: Others could reach it without a password, there is no free port, or the folder cannot be used or is
            being served.
    """
    options.check()
    require("verify", "fastapi", "uvicorn", "httptools")
    import uvicorn

    from ziffern.web.connection import Connection
    from ziffern.web.verify.queue import Queue

    with _alone(options.folder), free_socket(options.host, options.port) as listening:
        queue = Queue(options.folder, options.double)
        with closing(queue.decisions):
            address = address_of(listening)
            print(terminal_words()("verify.address", address=address), flush=True)
            if options.browser:
                threading.Timer(0.5, webbrowser.open, [address]).start()
            more: dict[str, Any] = {"ws": "none", "server_header": False, **BEHIND_PROXY}
            config = uvicorn.Config(
                guarded(queue, options),
                http=Connection,
                log_level="warning",
                timeout_graceful_shutdown=STOP_SECONDS,
                **more,
            )
            uvicorn.Server(config).run(sockets=[listening])


def guarded(queue: Any, options: Options) -> Callable[..., Any]:
    """Return the ASGI application behind its checks."""
    from ziffern.web.verify.app import make_app

    return Guard(make_app(queue), options.people, options.host not in LOCAL, options.public_hosts)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock a folder: a second server would not know to whom the first one lends fields."""
    with access(folder):
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError("web.verify.served", path=folder) from error
        yield
    finally:
        os.close(place)
