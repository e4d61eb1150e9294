"""A studio that is served on a real port, and what a browser sends to it."""

import contextlib
import gc
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ziffern.studio.server import BEHIND_PROXY, Options, make_app
from ziffern.web.sockets import free_socket

uvicorn = pytest.importorskip("uvicorn")


@contextlib.contextmanager
def served(options: Options, temporary: Path) -> Iterator[Any]:
    """Serve the studio on a real port, in a thread; its address is an attribute."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gradio deprecates things that it uses itself, and leaves event loops open
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(temporary))
        guarded: Any = make_app(options)
        gc.collect()
        warnings.simplefilter("error")
        with free_socket("127.0.0.1", 47960) as listening:
            config = uvicorn.Config(guarded, log_level="critical", timeout_graceful_shutdown=1, **BEHIND_PROXY)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            guarded.port = listening.getsockname()[1]
            yield guarded
            server.should_exit = True
            thread.join()
        warnings.simplefilter("ignore")
        del guarded, server
        gc.collect()


def gradio_app(app: Any) -> Any:
    return next(route for route in app.app.app.routes if getattr(route, "path", "") == "/en").app


def function(app: Any, name: str) -> int:
    functions = gradio_app(app).get_blocks().fns
    return int(next(number for number, each in functions.items() if each.name == name))


def file_of(path: str) -> dict[str, Any]:
    return {"path": path, "orig_name": "mine.csv", "meta": {"_type": "gradio.FileData"}}
