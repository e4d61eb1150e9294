"""The server of `ziffern serve`: worker processes behind one socket.

Decisions: the address is taken before the model is exported, so that a wrong one is reported at once; the model is
always in processes of its own, which are replaced when they die, answer what has arrived when they are stopped
(SIGTERM), and do not outlive the first process.
"""

import os
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ziffern.deploy.extra import require
from ziffern.errors import InputError
from ziffern.text.language import terminal_words
from ziffern.web.limits import Limits
from ziffern.web.sockets import LOCAL, address_of, free_socket

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ziffern.runs.run import Run

PACKAGES = (
    "fastapi",
    "uvicorn",
    "httptools",
    "prometheus_client",
    "python_multipart",
    "onnx",
    "onnxscript",
    "onnxruntime",
)
STOP_SECONDS = 30  # for requests in progress
HANGING_SECONDS = 60  # until a worker that does not respond is replaced; the import of torch takes seconds
MAX_PORT, MAX_WORKERS = 65535, 256


def serve(
    run: "Run", host: str, port: int, workers: int = 1, keys_file: Path | None = None, limits: Limits | None = None
) -> None:
    """Serve a run until the process is stopped.

    Args:
        run: The run.
        host: The address to listen on.
        port: Its port; 0 is any free one.
        workers: Processes.
        keys_file: API keys, of which each request needs one.
        limits: Limits of each process; None for the defaults.

    Raises:
        InputError: A package, the run, the keys, the address or a number cannot be used.
    """
    limits = limits or Limits()
    if not 0 <= port <= MAX_PORT:
        raise InputError("web.server.port", port=port)
    if not 1 <= workers <= MAX_WORKERS:
        raise InputError("web.server.workers", workers=workers, limit=MAX_WORKERS)
    for name, value in vars(limits).items():
        if value < 1:
            raise InputError("web.server.limit", name=f"--{name.replace('_', '-')}", value=value)
    require("serve", *PACKAGES)
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from ziffern.web.app import make_app
    from ziffern.web.connection import Connection
    from ziffern.web.keys import read_keys
    from ziffern.web.model import ServedModel

    keys = read_keys(keys_file) if keys_file else frozenset()
    words = terminal_words()
    with free_socket(host, port, tries=1) as listening:
        if host not in LOCAL and not keys:
            print(words("serve.open", host=host), flush=True)
        if keys_file and keys_file.stat().st_mode & stat.S_IROTH:
            print(words("serve.readable", path=keys_file), flush=True)
        threads = max(1, (os.cpu_count() or 1) // workers - 1)  # beside the event loop
        make = partial(make_app, ServedModel.of(run, threads), limits, keys)
        with tempfile.TemporaryDirectory() as figures:
            # Read when a worker imports prometheus_client and NumPy; the matrices are too small for more threads.
            os.environ |= {"PROMETHEUS_MULTIPROC_DIR": figures, "OMP_NUM_THREADS": "1"}
            config = uvicorn.Config(
                partial(worker, make, os.getpid()),
                factory=True,
                http=Connection,
                ws="none",
                log_level="warning",
                access_log=False,
                workers=workers,
                timeout_graceful_shutdown=STOP_SECONDS,
                timeout_worker_healthcheck=HANGING_SECONDS,
                server_header=False,
            )
            server = Multiprocess(config, [listening])  # from here on, SIGTERM stops it in order
            print(words("serve.address", name=run.folder.resolve().name, address=address_of(listening)), flush=True)
            server.run()


def worker(make: "Callable[[], FastAPI]", parent: int) -> "FastAPI":
    """Return the application of a worker process, which stops when its parent was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    return make()
