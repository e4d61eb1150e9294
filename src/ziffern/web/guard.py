"""Checks every request before the page processes it: its host, its origin, its length, and who sends it.

Decision: a request that names another host (DNS rebinding) or comes from another site's page is refused.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ziffern.errors import InputError
from ziffern.text.printable import printable
from ziffern.web.logins import Logins
from ziffern.web.refused import RefusedError
from ziffern.web.sockets import LOCAL

MAX_HOST = 253  # characters
HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
MAX_BODY = 2**16  # bytes of a request
UNTRUSTED = (b"x-forwarded-", b"x-gradio-")  # Gradio would take its address from these; Host has it, and is checked
OWN = ("img-src", "script-src", "style-src", "connect-src", "form-action")
POLICY = "".join(f"{kind} 'self'; " for kind in OWN) + "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = (
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
BEHIND_PROXY: dict[str, Any] = {"proxy_headers": True, "forwarded_allow_ips": "127.0.0.1,::1"}  # of uvicorn
REALM = b'Basic realm="ziffern", charset="UTF-8"'
FOREIGN = 403, "requested by another site's page\n"


def check_access(host: str, port: int, people: Mapping[str, str], public_hosts: Sequence[str]) -> None:
    """Raise InputError unless a page is for this machine alone, or for people with passwords."""
    if not 1 <= port <= 65535:  # noqa: PLR2004
        raise InputError("web.access.port", port=port)
    for name in public_hosts:
        if len(name) > MAX_HOST or not HOST.fullmatch(name):
            raise InputError("web.access.public_host", name=name)
    if (host not in LOCAL or public_hosts) and not people:
        option = f"--host {host}" if host not in LOCAL else f"--public-host {public_hosts[0]}"
        raise InputError("web.access.passwords_needed", option=option)


class Guard:
    """Refuses requests that name another host, come from another site, or have no password; `app` answers the others.

    Without `people`, no password is required. If the page is `shared`, served beyond this machine, addresses and this
    machine's name are its hosts too; `public_hosts` are names under which a proxy serves it with TLS. `policy` is the
    Content-Security-Policy, and `max_body` returns how many bytes a request to a path may have.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        people: Mapping[str, str],
        shared: bool,
        public_hosts: Sequence[str] = (),
        policy: str = POLICY,
        max_body: Callable[[str], int] = lambda _: MAX_BODY,
    ) -> None:
        self.app, self.people, self.shared = app, people, shared
        self.logins, self.max_body = Logins(people), max_body
        self.headers = [(b"content-security-policy", policy.encode()), *HEADERS]
        self.names = {*LOCAL, *((socket.gethostname().lower(), socket.getfqdn().lower()) if shared else ())}
        self.public_hosts = {name.lower() for name in public_hosts}

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":  # the page uses none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        for status, line in (self.refusal(headers), _too_long(headers, self.max_body(scope["path"]))):
            if status:
                await _answer(send, RefusedError(status, line))
                return
        try:
            person, proof = await self._person(scope, headers) if self.people else (None, "")
            scope = {**scope, "headers": [pair for pair in scope["headers"] if not pair[0].startswith(UNTRUSTED)]}
            scope["ziffern.person"] = person
            more = [(b"set-cookie", _cookie(scope, proof).encode())] if proof else []
            await self.app(scope, receive, _with_headers(send, [*self.headers, *more]))
        except RefusedError as refused:
            await _answer(send, refused)

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, str]:
        """Return a status and a reason where the host or the origin is not this page's, and otherwise 0."""
        host = headers.get("host", "")
        if not self._is_own(host):
            fix = "" if self.public_hosts else ": behind a proxy, start it with --public-host NAME"
            return 400, f"{host[:80]}: this page is not served under that name{fix}\n"
        origin = headers.get("origin")
        own = f"https://{host}" if _host_name(host) in self.public_hosts else None  # behind a proxy with TLS
        if origin is not None and (_split(origin).netloc != host or own not in (None, origin)):
            return FOREIGN
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return FOREIGN
        return 0, ""

    async def _person(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[str, str]:
        """Return who sends a request, and the proof to be kept as a cookie where the browser has none yet.

        Raises:
            RefusedError: The name or the password is wrong, or too many guesses are waiting.
        """
        cookie = re.search(rf"(?:^|;\s*){_cookie_name(scope)}=([0-9a-f]{{64}})(?:;|$)", headers.get("cookie", ""))
        known = cookie[1] if cookie else ""
        address = str((scope.get("client") or ("unknown",))[0])
        person, proof = await self.logins.person(headers.get("authorization", ""), known, address)
        if person is None:
            raise RefusedError(401, "a name and a password are required\n", (b"www-authenticate", REALM))
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
    return _split(f"//{host}").hostname or ""


def _split(address: str) -> SplitResult:
    """Return the parts of an address, which are empty if it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


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


async def _answer(send: Callable[..., Any], refused: RefusedError) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *refused.headers]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": printable(refused.line.rstrip()).encode() + b"\n"})


def _too_long(headers: Mapping[str, str], limit: int) -> tuple[int, str]:
    """Return a status and a reason where a request's body is too long, or has no length; otherwise 0."""
    if "transfer-encoding" in headers:
        return 411, "a content length is required\n"
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > limit:
        return 413, f"{length[:20]} bytes: at most {limit}\n"
    return 0, ""
