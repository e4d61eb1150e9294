"""The page's server: who may ask, from where, and for what.

Decisions: it listens on this machine alone; elsewhere only with an explicit address and a file of names and passwords,
and then each name has a workspace of its own. A request that names another host (DNS rebinding) or comes from another
site's page is refused before anything looks at it. Two pages, one a language, so that no text is of the other.
"""

import base64
import binascii
import hmac
import ipaddress
import logging
import os
import re
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ziffern.errors import InputError
from ziffern.report.language import LANGUAGES

MOST_UPLOADED = 200 * 2**20  # bytes of a file
MOST_SENT = 16 * 2**20  # bytes of any other request: a drawing takes some thousand
LOCAL = ("127.0.0.1", "localhost", "::1")
PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
LEAST_PASSWORD = 8  # characters
BY_NAME = re.compile(r"/[a-z]{2}/gradio_api/(run|api|call)(/|$)")  # Gradio's other way to call what the page calls
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; frame-ancestors 'self'"
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True)
class Options:
    """How the studio is served.

    Args:
        output: Where runs and uploads go.
        data: Where data sets lie or are downloaded to; `data` where None, as on the command line.
        host: Address to listen on.
        port: The next free one from here on.
        people: Names and passwords; needed for another host than this machine.
        browser: Open the page.
    """

    output: Path = Path("outputs")
    data: Path | None = None
    host: str = "127.0.0.1"
    port: int = 7860
    people: Mapping[str, str] = field(default_factory=dict)
    browser: bool = True

    def check(self) -> None:
        """Raise InputError unless the page is for this machine alone, or for people with passwords."""
        if not 1 <= self.port <= 65535:  # noqa: PLR2004
            raise InputError(f"--port {self.port}: must lie between 1 and 65535")
        if self.host not in LOCAL and not self.people:
            raise InputError(
                f"--host {self.host}: others could reach the page: give each a line NAME:PASSWORD in --people FILE"
            )


def read_people(path: Path) -> dict[str, str]:
    """Return the names and passwords of a file of NAME:PASSWORD lines.

    Raises:
        InputError: The file cannot be read, a line is none, or a password is too short.
    """
    people: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"--people {path}: cannot be read ({reason}): a text file of NAME:PASSWORD lines") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, password = line.partition(":")
        if not PERSON.fullmatch(name):
            raise InputError(f"{path}: line {number}: a name has up to 40 letters, digits, _ and -: NAME:PASSWORD")
        if len(password) < LEAST_PASSWORD:
            raise InputError(f"{path}: line {number}: {name}'s password is shorter than {LEAST_PASSWORD} characters")
        if name.casefold() in (known.casefold() for known in people):  # they would share a folder on some systems
            raise InputError(f"{path}: line {number}: {name} is there already: give another name")
        people[name] = password
    if not people:
        raise InputError(f"{path}: no names in it: a line is NAME:PASSWORD")
    return people


class Guard:
    """Refuses requests that name another host, come from another site, or have no password.

    Args:
        app: What answers the others.
        people: Names and passwords; without, nobody is asked for one.
        shared: The page is served beyond this machine: addresses and this machine's name are its hosts too.
    """

    def __init__(self, app: Callable[..., Any], people: Mapping[str, str], shared: bool) -> None:
        self.app, self.people = app, people
        self.names = {*LOCAL, *((socket.gethostname().lower(), socket.getfqdn().lower()) if shared else ())}
        self.shared = shared

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        status, text = self.refusal(headers)
        if not status and BY_NAME.match(scope["path"]):
            status, text = 404, "not here\n"
        if not status:
            status, text = _too_long(headers, scope["path"])
        if status and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if status:
            more = [(b"www-authenticate", b'Basic realm="ziffern", charset="UTF-8"')] if status == 401 else []  # noqa: PLR2004
            kind = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": status, "headers": [*kind, *more]})
            await send({"type": "http.response.body", "body": text.encode()})
            return

        async def with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        await self.app({**scope, "ziffern.person": self.person(headers)}, receive, with_headers)

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, str]:
        """Return a status and a reason, or 0 where the request is answered."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 400, f"{host[:80]}: this page is not served under that name\n"
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            return 403, "asked for from another site's page\n"
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return 403, "asked for from another site's page\n"
        if self.people and self.person(headers) is None:
            return 401, "name and password, please\n"
        return 0, ""

    def person(self, headers: Mapping[str, str]) -> str | None:
        """Return who asks, where the password is right."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        known = self.people.get(name, "")
        return name if known and hmac.compare_digest(known.encode(), password.encode()) else None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.names:
            return True
        try:
            return self.shared and bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def _too_long(headers: Mapping[str, str], path: str) -> tuple[int, str]:
    """Return a status and a reason where a request's body is longer than what the page sends, or does not say so."""
    if "transfer-encoding" in headers:
        return 411, "say how long it is\n"
    most = MOST_UPLOADED + MOST_SENT if path.endswith("/upload") else MOST_SENT  # with what stands around the file
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        return 413, f"{length[:20]} bytes: at most {most}\n"
    return 0, ""


def _place(address: str) -> str:
    """Return host and port of an address; an empty string where there are none."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""


def serve(options: Options) -> None:
    """Serve the page until it is interrupted.

    Raises:
        InputError: It would be open to others, or there is no free port.
    """
    options.check()
    with tempfile.TemporaryDirectory(prefix="ziffern-studio-") as temporary:
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": temporary}  # before its import
        try:
            import gradio  # noqa: F401  # said now where it is missing
            import uvicorn
        except ImportError as error:
            raise InputError(
                f"the studio needs gradio ({error}): pip install 'ziffern[studio]', or make studio"
            ) from error
        app = make_app(options)
        listening = free_socket(options.host, options.port)
        host, port = listening.getsockname()[:2]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{port}/"
        print(f"ziffern studio: {address}  (Ctrl-C ends the page, not the trainings)", flush=True)
        if options.browser:
            threading.Timer(1.0, webbrowser.open, [address]).start()

        class Server(uvicorn.Server):
            def handle_exit(self, sig: int, frame: Any) -> None:
                logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # of what it cuts off
                super().handle_exit(sig, frame)

        # An open page never lets go of its connection.
        config = uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
        Server(config).run(sockets=[listening])


def make_app(options: Options) -> Callable[..., Any]:
    """Return the ASGI application: a page a language, and the reports."""
    import gradio as gr
    from fastapi import FastAPI, Request
    from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

    from ziffern.report.run_page import write_report
    from ziffern.studio.look import head, theme
    from ziffern.studio.page import Studio

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
        try:
            run = studio.workspace(request).run(name)
            path = write_report(run, run.folder / f"report.{language}.html", language)
        except InputError as error:
            return PlainTextResponse(str(error), status_code=404)
        return FileResponse(path, media_type="text/html")

    for language in LANGUAGES:
        page = studio.page(language)
        page.has_launched = True  # so that Gradio takes no file that it was not sent: mounting alone does not say so
        app = gr.mount_gradio_app(
            app,
            page,
            path=f"/{language}",
            app_kwargs=plain,
            max_file_size=MOST_UPLOADED,
            enable_monitoring=False,
            show_error=True,
            theme=theme(),
            head=head(language),
            footer_links=[],
            run_history=False,
        )
    return Guard(app, options.people, options.host not in LOCAL)


def free_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket at the first free port from `port` on.

    Raises:
        InputError: None of twenty is free, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem: OSError | None = None
    for number in range(port, min(port + 20, 65536)):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
            listening.listen(128)
        except OSError as error:
            listening.close()
            problem = error
        else:
            return listening
    raise InputError(f"--host {host} --port {port}: cannot listen there ({problem}): name another --port")
