"""The studio behind a proxy that adds TLS, as the nginx of the manual does."""

import asyncio
import json
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.data_files import table
from tests.support.people import HASHED, PEOPLE
from tests.support.studio import file_of, function, served

from ziffern.studio.server import BEHIND_PROXY, Options
from ziffern.web.logins import FREE

httpx = pytest.importorskip("httpx")

HOST = "studio.example.org"
NAMED = {"sni_hostname": HOST}
CLIENT = "203.0.113.9"
pytestmark = [
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
    pytest.mark.filterwarnings(
        "ignore:.*no_silent_downcasting", "ignore:The copy keyword"
    ),  # Gradio's own use of pandas
]


class Proxy(threading.Thread):
    """Takes TLS connections on a port of its own, and forwards each request on a connection of its own."""

    def __init__(self, port: int, folder: Path) -> None:
        super().__init__()
        self.target, self.folder = port, folder
        self.port = 0
        self.is_ready, self.loop = threading.Event(), asyncio.new_event_loop()
        self.end = asyncio.Event()

    def run(self) -> None:
        self.loop.run_until_complete(self.serve())
        self.loop.close()

    async def serve(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        async with await asyncio.start_server(self.forward, "127.0.0.1", 0, ssl=context) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.is_ready.set()
            await self.end.wait()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
        more = f"X-Forwarded-For: {CLIENT}\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
        length = int((re.search(r"(?i)content-length: (\d+)", head) or ["", "0"])[1])
        kept = re.sub(r"(?im)^(connection|x-forwarded-\w+):.*\r\n", "", head.removesuffix("\r\n"))
        answer, request = await asyncio.open_connection("127.0.0.1", self.target)
        request.write((kept + more).encode("latin1") + await reader.readexactly(length))
        while part := await answer.read(65536):
            writer.write(part)
            await writer.drain()
        for each in (request, writer):
            each.close()
            await each.wait_closed()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("proxy")
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *subject]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    options = Options(output=folder / "outputs", people=HASHED, public_hosts=[HOST])
    with served(options, folder / "temporary") as guarded:
        proxy = Proxy(guarded.port, folder)
        proxy.start()
        proxy.is_ready.wait()
        guarded.proxy = proxy
        yield guarded
        proxy.loop.call_soon_threadsafe(proxy.end.set)
        proxy.join()


@pytest.fixture
def browser(app: Any) -> Iterator[Any]:
    trusted = ssl.create_default_context(cafile=str(app.proxy.folder / "cert.pem"))
    address = f"https://127.0.0.1:{app.proxy.port}"
    own = {"host": HOST, "origin": f"https://{HOST}", "connection": "close"}
    with httpx.Client(
        base_url=address, verify=trusted, auth=("anna", PEOPLE["anna"]), headers=own, timeout=60
    ) as client:
        client.get("/en/gradio_api/startup-events", extensions=NAMED)
        yield client


def test_page_is_served_under_its_public_name(browser: Any) -> None:
    answer = browser.get("/en/", extensions=NAMED)
    assert answer.status_code == 200
    config = json.loads(browser.get("/en/config", extensions=NAMED).text)
    assert config["root"] == f"https://{HOST}/en"
    assert f"https://{HOST}/en" in answer.text
    assert not re.search(r"http://(?!www\.w3\.org)[\w.]*(example|127\.0\.0\.1|localhost)", answer.text)


def test_cookie_is_for_tls_alone(app: Any, browser: Any) -> None:
    browser.cookies.clear()
    cookie = browser.get("/en/theme.css", extensions=NAMED).headers["set-cookie"]
    assert "; Secure" in cookie
    assert "; HttpOnly; SameSite=Strict" in cookie
    assert "set-cookie" not in browser.get("/en/theme.css", extensions=NAMED).headers


def test_another_origin_is_refused(browser: Any) -> None:
    for origin in (f"http://{HOST}", "https://evil.com", f"https://{HOST}:8443"):
        answer = browser.post("/en/gradio_api/queue/join", json={}, headers={"origin": origin}, extensions=NAMED)
        assert answer.status_code == 403
    for name in ("x-forwarded-host", "x-gradio-server"):  # which Gradio would believe
        answer = browser.get("/en/config", headers={name: "http://evil.com"}, extensions=NAMED)
        assert "evil.com" not in answer.text


def test_upload_is_sent_taken_and_told_through_the_proxy(app: Any, browser: Any) -> None:
    files = {"files": ("mine.csv", table(slice(None)))}
    (path,) = browser.post("/en/gradio_api/upload", files=files, extensions=NAMED).json()
    body = {"session_hash": "s1", "fn_index": function(app, "take_upload"), "data": [file_of(path), "mnist5k"]}
    assert browser.post("/en/gradio_api/queue/join", json=body, extensions=NAMED).status_code == 200
    told = browser.get("/en/gradio_api/queue/data", params={"session_hash": "s1"}, extensions=NAMED).text
    assert "has been uploaded and selected" in told


@pytest.mark.slow
def test_guesses_count_for_the_client_and_not_for_the_proxy(app: Any, browser: Any) -> None:
    for place in range(FREE + 1):
        browser.get("/", auth=("carl", f"guess {place}"), headers={"x-forwarded-for": "192.0.2.7"}, extensions=NAMED)
    delays = {each: app.logins.failures.delay(f"address {each}", 60) for each in (CLIENT, "127.0.0.1", "192.0.2.7")}
    assert delays[CLIENT] > 0
    assert delays["127.0.0.1"] == delays["192.0.2.7"] == 0


@pytest.mark.parametrize(("peer", "client"), [("127.0.0.1", CLIENT), ("::1", CLIENT), ("192.0.2.7", "192.0.2.7")])
def test_forwarded_addresses_are_believed_from_this_machine_alone(peer: str, client: str) -> None:
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    seen: list[str] = []

    async def note(scope: Any, *_: Any) -> None:
        seen.append(scope["client"][0])

    headers = [(b"x-forwarded-for", f"198.51.100.1, {CLIENT}".encode())]
    scope: Any = {"type": "http", "scheme": "http", "client": (peer, 1), "headers": headers}
    believed = ProxyHeadersMiddleware(note, trusted_hosts=BEHIND_PROXY["forwarded_allow_ips"])
    asyncio.run(believed(scope, note, note))  # type: ignore[arg-type]
    assert seen == [client]
