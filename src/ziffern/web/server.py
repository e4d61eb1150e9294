"""The server of `ziffern serve`: worker processes behind one socket.

Decisions: the address is taken before the model is exported, so that a wrong one is reported at once; the model is
always in processes of its own, which are replaced when they die, answer what has arrived when they are stopped
(SIGTERM), and do not outlive the first process.
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ziffern.deploy.extra import require
from ziffern.errors import InputError
from ziffern.text.language import terminal_words
from ziffern.web.keys import read_keys
from ziffern.web.sockets import LOCAL, address_of, free_socket

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ziffern.runs.run import Run

PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "onnx", "onnxscript", "onnxruntime")
STOP_SECONDS = 30  # for requests in progress
HANGING_SECONDS = 60  # until a worker that does not respond is replaced; the import of torch takes seconds
MAX_PORT, MAX_WORKERS = 65535, 256


@dataclass(frozen=True)
class Options:
    """How a run is served."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0 is any free one
    workers: int = 1  # processes
    keys: Path | None = None  # the file of API keys
    limits: dict[str, int] = field(default_factory=dict)  # fields of `Limits` other than their defaults

    def check(self) -> None:
        """Raise InputError for a number out of range."""
        if not 0 <= self.port <= MAX_PORT:
            raise InputError("web.server.port", port=self.port)
        for name, value in {"workers": self.workers, **self.limits}.items():
            if value < 1 or (name == "workers" and value > MAX_WORKERS):
                raise InputError("web.server.number", name=f"--{name.replace('_', '-')}", value=value)


def serve(run: "Run", options: Options) -> None:
    """Serve a run until the process is stopped.

    Raises:
        InputError: A package, the run, the keys or the address cannot be used.
    """
    options.check()
    require("serve", *PACKAGES)
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from ziffern.web.app import make_app
    from ziffern.web.model import ServedModel
    from ziffern.web.predict import Limits

    keys: Sequence[bytes] = read_keys(options.keys) if options.keys else ()
    words = terminal_words()
    with free_socket(options.host, options.port, tries=1) as listening, tempfile.TemporaryDirectory() as figures:
        if options.host not in LOCAL and not keys:
            print(words("serve.open", host=options.host), flush=True)
        threads = max(1, (os.cpu_count() or 1) // options.workers - 1)  # beside the event loop
        model = ServedModel.of(run, threads)
        # Read when a worker imports prometheus_client and NumPy; the matrices are too small for more threads.
        os.environ |= {"PROMETHEUS_MULTIPROC_DIR": figures, "OMP_NUM_THREADS": "1"}
        config = uvicorn.Config(
            partial(worker, partial(make_app, model, Limits(**options.limits), keys), os.getpid()),
            factory=True,
            log_level="warning",
            access_log=False,
            workers=options.workers,
            timeout_graceful_shutdown=STOP_SECONDS,
            timeout_worker_healthcheck=HANGING_SECONDS,
            server_header=False,
        )
        print(words("serve.address", name=model.name, address=address_of(listening)), flush=True)
        Multiprocess(config, [listening]).run()


def worker(make: "Callable[[], FastAPI]", parent: int) -> "FastAPI":
    """Return the application of a worker process, which stops when its parent was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    return make()
