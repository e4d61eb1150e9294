"""The page's server: its options, its application and the port that it listens on.

Decisions: it listens only on this machine unless it is given an address and a file of names and hashed passwords, and
then each name has its own workspace. Headers of a proxy are trusted only from this machine. Each language has its own
page.
"""

import logging
import os
import re
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ziffern.deploy.extra import require
from ziffern.errors import InputError
from ziffern.studio.sessions import MAX_UPLOADED, POLICY, Sessions, max_body
from ziffern.text.language import LANGUAGES
from ziffern.text.printable import printable
from ziffern.web.guard import BEHIND_PROXY, Guard, check_access
from ziffern.web.sockets import LOCAL, address_of, free_socket


@dataclass(frozen=True)
class Options:
    """How the studio is served."""

    output: Path = Path("outputs")  # the folder of runs and uploads
    data: Path | None = None  # the folder of data sets, also for downloads; `data` where None, as on the command line
    host: str = "127.0.0.1"  # the address to listen on
    port: int = 7860  # the first port to try; the next free one is used
    people: Mapping[str, str] = field(default_factory=dict)  # hashed passwords; required unless the host is local
    browser: bool = True  # open the page in a browser
    public_hosts: Sequence[str] = ()  # names under which a proxy serves the page with TLS

    def check(self) -> None:
        """Raise InputError unless the page is for this machine alone, or for people with passwords."""
        check_access(self.host, self.port, self.people, self.public_hosts)


def serve(options: Options) -> None:
    """Serve the page until it is interrupted.

    Raises:
        InputError: Others could reach it without a password, or there is no free port.
    """
    options.check()
    try:
        folder = tempfile.TemporaryDirectory(prefix="ziffern-studio-")
    except OSError as error:
        raise InputError("studio.server.no_temporary_folder", why=error) from error
    with folder as temporary:
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": temporary}  # before its import
        require("studio", "gradio", "uvicorn")
        import uvicorn

        app = make_app(options)
        listening = free_socket(options.host, options.port)
        address = address_of(listening)
        print(f"ziffern studio: {address}  (Ctrl-C ends the page, not the trainings)", flush=True)
        if options.browser:
            threading.Timer(1.0, webbrowser.open, [address]).start()

        class Server(uvicorn.Server):
            def handle_exit(self, sig: int, frame: Any) -> None:
                # No errors about the connections that it cuts off.
                logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
                super().handle_exit(sig, frame)

        # An open page never closes its connection.
        config = uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1, **BEHIND_PROXY)
        Server(config).run(sockets=[listening])


def make_app(options: Options) -> Callable[..., Any]:
    """Return the ASGI application: one page per language, and the reports."""
    import gradio as gr
    from fastapi import FastAPI, Request
    from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

    from ziffern.report.run_page import write_report
    from ziffern.studio.look import head, theme
    from ziffern.studio.page import Page, Studio
    from ziffern.studio.views import Words

    plain: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
    app = FastAPI(**plain)
    studio = Studio(options.output.absolute(), options.data.absolute() if options.data else None, bool(options.people))

    @app.get("/")
    def root(request: Request) -> Response:
        wanted = request.headers.get("accept-language", "").lower()
        first = next((word[:2] for word in re.split(r"[,;]", wanted) if word[:2] in LANGUAGES), "en")
        return RedirectResponse(f"/{first}/")

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)  # the page names its own

    @app.get("/report/{language}/{name}")
    def report(request: Request, language: str, name: str) -> Response:
        if language not in LANGUAGES:
            return PlainTextResponse(f"{printable(language[:20])}: no such language", status_code=404)
        try:
            run = studio.workspace(request).run(name)
            path = write_report(run, run.folder / f"report.{language}.html", language)
        except InputError as error:
            return PlainTextResponse(error.message.in_language(language), status_code=404)
        return FileResponse(path, media_type="text/html")

    for language in LANGUAGES:
        words = Words(language)
        page = Page(studio, words).build()
        page.has_launched = True  # mounting does not set this, and Gradio would accept files that were not uploaded
        app = gr.mount_gradio_app(
            app,
            page,
            path=f"/{language}",
            app_kwargs=plain,
            max_file_size=MAX_UPLOADED,
            enable_monitoring=False,
            show_error=True,
            theme=theme(),
            head=head(words),
            footer_links=[],
            run_history=False,
        )
    is_shared = options.host not in LOCAL
    return Guard(Sessions(app), options.people, is_shared, options.public_hosts, POLICY, max_body)
