"""The page's server: who may send requests, from where, and for what.

Decisions: it listens only on this machine unless it is given an address and a file of names and hashed passwords, and
then each name has its own workspace. Headers of a proxy are trusted only from this machine. A request that names
another host (DNS rebinding) or comes from another site's page is refused before anything processes it. Each language
has its own page.
"""

import ipaddress
import logging
import os
import re
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ziffern.errors import InputError
from ziffern.studio.logins import Logins, TooManyError
from ziffern.studio.sessions import RefusedError, Sessions
from ziffern.text.language import LANGUAGES
from ziffern.text.printable import printable

MAX_UPLOADED = 200 * 2**20  # bytes of a file
MAX_SENT = 16 * 2**20  # bytes of any other request: a drawing takes some thousand
LOCAL = ("127.0.0.1", "localhost", "::1")
MAX_HOST = 253  # characters
HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
UNTRUSTED = (b"x-forwarded-", b"x-gradio-")  # Gradio would take its address from these; Host has it, and is checked
BEHIND_PROXY: dict[str, Any] = {"proxy_headers": True, "forwarded_allow_ips": "127.0.0.1,::1"}  # of uvicorn
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
        output: The folder of runs and uploads.
        data: The folder of data sets, where they are also downloaded to; `data` where None, as on the command line.
        host: The address to listen on.
        port: The first port to try; the next free one is used.
        people: Names and hashed passwords; required unless the host is this machine.
        browser: Open the page in a browser.
        public_hosts: Names under which a proxy serves the page with TLS.
    """

    output: Path = Path("outputs")
    data: Path | None = None
    host: str = "127.0.0.1"
    port: int = 7860
    people: Mapping[str, str] = field(default_factory=dict)
    browser: bool = True
    public_hosts: Sequence[str] = ()

    def check(self) -> None:
        """Raise InputError unless the page is for this machine alone, or for people with passwords."""
        if not 1 <= self.port <= 65535:  # noqa: PLR2004
            raise InputError("studio.server.port", port=self.port)
        for name in self.public_hosts:
            if len(name) > MAX_HOST or not HOST.fullmatch(name):
                raise InputError("studio.server.public_host", name=name)
        if self.host in LOCAL and not self.public_hosts:
            return
        if not self.people:
            option = f"--host {self.host}" if self.host not in LOCAL else f"--public-host {self.public_hosts[0]}"
            raise InputError("studio.server.passwords_needed", option=option)


class Guard:
    """Refuses requests that name another host, come from another site, or have no password.

    Args:
        app: Answers the other requests.
        people: Names and hashed passwords; without any, no password is required.
        shared: The page is served beyond this machine: addresses and this machine's name are its hosts too.
        public_hosts: Names under which a proxy serves the page with TLS.
    """

    def __init__(
        self, app: Callable[..., Any], people: Mapping[str, str], shared: bool, public_hosts: Sequence[str] = ()
    ) -> None:
        self.app, self.people = app, people
        self.sessions, self.logins = Sessions(app), Logins(people)
        self.names = {*LOCAL, *((socket.gethostname().lower(), socket.getfqdn().lower()) if shared else ())}
        self.public_hosts = {name.lower() for name in public_hosts}
        self.shared = shared

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":  # the page uses none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        try:
            self._check(headers, scope["path"])
            person, proof = await self._person(scope, headers) if self.people else (None, "")
            scope = {**scope, "headers": [pair for pair in scope["headers"] if not pair[0].startswith(UNTRUSTED)]}
            scope["ziffern.person"] = person
            more = [(b"set-cookie", _cookie(scope, proof).encode())] if proof else []
            await self.sessions(scope, receive, _with_headers(send, [*HEADERS, *more]), person or "")
        except RefusedError as refused:
            await _answer(send, refused.status, refused.line)
        except TooManyError as error:
            await _answer(send, 429, "too many wrong passwords: wait\n", (b"retry-after", str(error.seconds).encode()))

    def _check(self, headers: Mapping[str, str], path: str) -> None:
        for status, line in (self.refusal(headers), _too_long(headers, path)):
            if status:
                raise RefusedError(status, line)

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, str]:
        """Return a status and a reason where the host or the origin is not this page's, and otherwise 0."""
        host = headers.get("host", "")
        if not self._is_own(host):
            fix = "" if self.public_hosts else ": behind a proxy, start it with --public-host NAME"
            return 400, f"{host[:80]}: this page is not served under that name{fix}\n"
        origin = headers.get("origin")
        own = f"https://{host}" if _host_name(host) in self.public_hosts else None  # behind a proxy with TLS
        if origin is not None and (_place(origin) != host or own not in (None, origin)):
            return 403, "requested by another site's page\n"
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return 403, "requested by another site's page\n"
        return 0, ""

    async def _person(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[str, str]:
        """Return who sends a request, and the proof to be kept as a cookie where the browser has none yet.

        Raises:
            RefusedError: The name or the password is wrong.
            TooManyError: Too many guesses are waiting.
        """
        cookie = re.search(rf"(?:^|;\s*){_cookie_name(scope)}=([0-9a-f]{{64}})(?:;|$)", headers.get("cookie", ""))
        known = cookie[1] if cookie else ""
        address = str((scope.get("client") or ("unknown",))[0])
        person, proof = await self.logins.person(headers.get("authorization", ""), known, address)
        if person is None:
            raise RefusedError(401, "a name and a password are required\n")
        return person, "" if proof == known else proof

    def _is_own(self, host: str) -> bool:
        name = _host_name(host)
        if name in self.names or name in self.public_hosts:
            return True
        try:
            return self.shared and bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def _host_name(host: str) -> str:
    """Return the name in a header `Host`, without its port; an empty string if it has none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookie_name(scope: Mapping[str, Any]) -> str:
    """Return the name of the cookie, which has the port in it: browsers give cookies to every port of a host."""
    return f"ziffern-{(scope.get('server') or ('', 0))[1]}"


def _cookie(scope: Mapping[str, Any], proof: str) -> str:
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{_cookie_name(scope)}={proof}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _with_headers(send: Callable[..., Any], more: Sequence[tuple[bytes, bytes]]) -> Callable[..., Any]:
    async def with_headers(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return with_headers


async def _answer(send: Callable[..., Any], status: int, line: str, *more: tuple[bytes, bytes]) -> None:
    ask = [(b"www-authenticate", b'Basic realm="ziffern", charset="UTF-8"')] if status == 401 else []  # noqa: PLR2004
    kind = (b"content-type", b"text/plain; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *ask, *more]})
    await send({"type": "http.response.body", "body": printable(line.rstrip()).encode() + b"\n"})


def _too_long(headers: Mapping[str, str], path: str) -> tuple[int, str]:
    """Return a status and a reason where a request's body is too long, or has no length; otherwise 0."""
    if "transfer-encoding" in headers:
        return 411, "a content length is required\n"
    limit = MAX_UPLOADED + MAX_SENT if path.endswith("/upload") else MAX_SENT  # the file and the form around it
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > limit:
        return 413, f"{length[:20]} bytes: at most {limit}\n"
    return 0, ""


def _place(address: str) -> str:
    """Return host and port of an address; an empty string if it has none."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""


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
        try:
            import gradio  # noqa: F401  # fails here where it is missing
            import uvicorn
        except ImportError as error:
            raise InputError("studio.server.no_gradio", why=error) from error
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
                logging.getLogger("uvicorn.error").setLevel(
                    logging.CRITICAL
                )  # no errors about connections that it cuts off
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
    return Guard(app, options.people, options.host not in LOCAL, options.public_hosts)


def free_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket at the first free port from `port` on.

    Raises:
        InputError: None of twenty ports is free, or the address does not belong to this machine.
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
    raise InputError("studio.server.no_free_port", host=host, port=port, why=problem)
