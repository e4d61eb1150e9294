"""The server of `ziffern verify`."""

import errno
import fcntl
import os
import threading
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ziffern.deploy.extra import require
from ziffern.errors import InputError
from ziffern.files.untrusted import reading as access
from ziffern.reading.decisions import FILE
from ziffern.text.language import terminal_words
from ziffern.web.guard import BEHIND_PROXY, Guard, check_access
from ziffern.web.sockets import LOCAL, address_of, free_socket

STOP_SECONDS = 5  # for requests in progress


def serve(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 7870,
    people: Mapping[str, str] | None = None,
    public_hosts: Sequence[str] = (),
    double: bool = False,
    browser: bool = True,
) -> None:
    """Serve the page of a batch folder until it is interrupted.

    Args:
        folder: The folder of the batch.
        host: The address to listen on.
        port: The first port to try; the next free one is used.
        people: Names and hashed passwords; required unless the host is local.
        public_hosts: Names under which a proxy serves the page with TLS.
        double: Whether each field needs two people.
        browser: Whether to open the page in a browser.

    Raises:
        InputError: Others could reach it without a password, there is no free port, or the folder cannot be used or is
            being served.
    """
    check_access(host, port, people or {}, public_hosts)
    require("verify", "fastapi", "uvicorn", "httptools")
    import uvicorn

    from ziffern.web.connection import Connection
    from ziffern.web.verify.app import make_app
    from ziffern.web.verify.queue import Queue

    if folder.is_dir() and not os.access(folder, os.W_OK):  # before anybody enters something
        raise InputError("reading.decisions.unwritable", path=folder / FILE, reason=PermissionError(errno.EACCES, ""))
    with _alone(folder), free_socket(host, port) as listening:
        queue = Queue(folder, double)
        with closing(queue.decisions):
            print(terminal_words()("verify.address", address=address_of(listening)), flush=True)
            if browser:
                threading.Timer(0.5, webbrowser.open, [address_of(listening)]).start()
            app = Guard(make_app(queue), people or {}, host not in LOCAL, public_hosts)
            how: dict[str, Any] = {"http": Connection, "ws": "none", "log_level": "warning", "server_header": False}
            uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=STOP_SECONDS, **how, **BEHIND_PROXY)).run(
                sockets=[listening]
            )


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
        except OSError:  # some file systems have no locks
            pass
        yield
    finally:
        os.close(place)
