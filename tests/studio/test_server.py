"""Who may ask the studio's server, from where and for what; the page is built, and no browser is needed."""

import gc
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.people import HASHED, PEOPLE, basic

from ziffern.errors import InputError
from ziffern.studio.server import Options, make_app
from ziffern.studio.sessions import MAX_SENT, MAX_UPLOADED
from ziffern.text.language import LANGUAGES
from ziffern.web.guard import Guard
from ziffern.web.sockets import free_socket


async def nothing(*_: Any) -> None:
    pytest.fail("what is refused reached the page")


def guard(people: dict[str, str] | None = None, shared: bool = False) -> Guard:
    return Guard(nothing, people or {}, shared)


# Hosts, origins, passwords


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 0),
        ("127.0.0.1:7860", 0),
        ("localhost:7860", 0),
        ("LOCALHOST", 0),
        ("[::1]:7860", 0),
        ("", 400),
        ("evil.com", 400),
        ("evil.com:7860", 400),
        ("127.0.0.1.evil.com", 400),
        ("localhost.evil.com:7860", 400),
        ("127.0.0.2", 400),
        ("192.168.0.3:7860", 400),
        ("[::2]", 400),
        ("[", 400),
        ("::1", 400),
        ("127.0.0.1@evil.com", 400),
        ("0.0.0.0:7860", 400),
    ],
)
def test_only_this_machines_names_are_answered(host: str, status: int) -> None:
    assert guard().refusal({"host": host})[0] == status


def test_a_request_without_a_host_is_refused() -> None:
    assert guard().refusal({})[0] == 400


@pytest.mark.parametrize(
    ("host", "status"), [("192.168.0.3:7860", 0), ("[fe80::1]:7860", 0), ("localhost", 0), ("evil.com", 400), ("", 400)]
)
def test_a_shared_page_has_its_addresses_but_no_foreign_name(host: str, status: int) -> None:
    assert guard(HASHED, shared=True).refusal({"host": host})[0] == status


def test_a_shared_page_has_the_machines_name_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "MyLaptop")
    monkeypatch.setattr("socket.getfqdn", lambda: "MyLaptop.local")
    assert guard(HASHED, shared=True).refusal({"host": "mylaptop:7860"})[0] == 0
    assert guard().refusal({"host": "mylaptop:7860"})[0] == 400


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7860", 0),
        ("http://127.0.0.1:7861", 403),
        ("http://localhost:7860", 403),
        ("http://evil.com", 403),
        ("http://127.0.0.1:7860.evil.com", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
        ("127.0.0.1:7860", 403),
    ],
)
def test_only_this_pages_own_requests_are_answered(origin: str, status: int) -> None:
    assert guard().refusal({"host": "127.0.0.1:7860", "origin": origin})[0] == status


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("same-origin", "cors", 0),
        ("none", "navigate", 0),
        ("cross-site", "navigate", 0),  # a link on another page
        ("cross-site", "no-cors", 403),
        ("cross-site", "", 403),
    ],
)
def test_another_site_may_link_here_but_not_embed(site: str, mode: str, status: int) -> None:
    headers = {"host": "localhost", "sec-fetch-site": site, "sec-fetch-mode": mode}
    assert guard().refusal(headers)[0] == status


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("studio.example.org", None, 0),
        ("STUDIO.example.org", None, 0),
        ("studio.example.org", "https://studio.example.org", 0),
        ("studio.example.org:8443", "https://studio.example.org:8443", 0),
        ("studio.example.org", "http://studio.example.org", 403),  # the same name without TLS is another site
        ("studio.example.org", "https://studio.example.org:8443", 403),
        ("studio.example.org", "https://evil.com", 403),
        ("studio.example.org", "null", 403),
        ("localhost:7860", "http://localhost:7860", 0),
        ("example.org", None, 400),
        ("studio.example.org.evil.com", None, 400),
    ],
)
def test_name_that_a_proxy_serves_is_answered_with_its_own_origin(host: str, origin: str | None, status: int) -> None:
    headers = {"host": host} | ({"origin": origin} if origin else {})
    assert Guard(nothing, HASHED, False, ["Studio.example.org"]).refusal(headers)[0] == status


# Options


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_needs_no_people(host: str) -> None:
    Options(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.3", "", "evil.com"])
def test_another_address_needs_people(host: str) -> None:
    with pytest.raises(InputError, match="--people FILE"):
        Options(host=host).check()
    Options(host=host, people=HASHED).check()


@pytest.mark.parametrize(
    "name", ["https://studio.example.org", "studio.example.org:443", "", "a b", "-x", "x" * 254, "\x1b[2J"]
)
def test_public_host_is_a_name_alone(name: str) -> None:
    with pytest.raises(InputError, match="give only a host name") as error:
        Options(public_hosts=[name], people=HASHED).check()
    assert str(error.value).isprintable()


def test_public_host_needs_people() -> None:
    with pytest.raises(InputError, match=r"--public-host studio\.example\.org: others could reach the page"):
        Options(public_hosts=["studio.example.org"]).check()
    Options(public_hosts=["studio.example.org"], people=HASHED).check()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_is_one(port: int) -> None:
    with pytest.raises(InputError, match=f"--port {port}"):
        Options(port=port).check()


def test_a_port_that_is_taken_is_passed_over() -> None:
    with free_socket("127.0.0.1", 47860) as first:
        taken = first.getsockname()[1]
        with free_socket("127.0.0.1", taken) as second:
            assert second.getsockname()[0] == "127.0.0.1"
            assert taken < second.getsockname()[1] < taken + 20


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(InputError, match=r"--host 192\.0\.2\.1"):
        free_socket("192.0.2.1", 47860)


# The app. Everything from here on needs Gradio.


@contextmanager
def made(folder: Path, make: Callable[[], Any]) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gradio deprecates things that it uses itself, and leaves event loops open
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "temporary"))
        pytest.importorskip("gradio")
        found = make()
        gc.collect()
        warnings.simplefilter("error")
        yield found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    folder = tmp_path_factory.mktemp("studio")
    with made(folder, lambda: make_app(Options(output=folder / "outputs"))) as guarded:
        yield guarded


@pytest.fixture(scope="module")
def client(app: Callable[..., Any]) -> Any:
    testclient = pytest.importorskip("starlette.testclient")
    return testclient.TestClient(app, base_url="http://127.0.0.1:7860", follow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/en/", "/en/config", "/de/gradio_api/queue/join", "/report/en/x", "/nowhere"])
def test_a_foreign_host_is_refused_everywhere(client: Any, path: str) -> None:
    answer = client.get(path, headers={"host": "evil.com:7860"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert client.post(path, headers={"host": "evil.com"}).status_code == 400


@pytest.mark.parametrize("path", ["/en/gradio_api/queue/join", "/de/gradio_api/upload", "/"])
def test_a_request_that_is_too_long_is_refused_before_it_is_read(client: Any, path: str) -> None:
    most = (MAX_UPLOADED if path.endswith("upload") else 0) + MAX_SENT
    for length in (str(most + 1), "-1", "x", "9" * 40):
        assert client.post(path, headers={"content-length": length}).status_code == 413
    assert client.post(path, headers={"content-length": str(most)}).status_code not in (411, 413)
    assert client.post(path, content=iter([b"x"])).status_code == 411  # in pieces, as many as it likes


@pytest.mark.parametrize("path", ["/en/gradio_api/queue/join", "/en/gradio_api/upload", "/de/gradio_api/run/predict"])
def test_another_sites_request_is_refused(client: Any, path: str) -> None:
    assert client.post(path, headers={"origin": "http://evil.com"}, json={}).status_code == 403
    assert client.post(path, headers={"origin": "null"}, json={}).status_code == 403
    assert client.post(path, headers={"sec-fetch-site": "cross-site"}, json={}).status_code == 403


def test_a_websocket_of_another_host_is_closed(client: Any) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/en/", headers={"host": "evil.com"}):
        pass


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("en-GB", "en"),
        ("fr-FR,de;q=0.5", "de"),
        ("fr", "en"),
        ("", "en"),
        ("x" * 5000, "en"),
    ],
)
def test_the_page_is_in_the_browsers_language(client: Any, wanted: str, language: str) -> None:
    answer = client.get("/", headers={"accept-language": wanted})
    assert answer.is_redirect
    assert answer.headers["location"] == f"/{language}/"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_there_and_names_no_other_host_to_load_from(client: Any, language: str) -> None:
    answer = client.get(f"/{language}/")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "frame-ancestors" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "fonts.googleapis.com" not in answer.text
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "name", ["nothing", "..", "%2e%2e", "..%2f..%2fetc", ".", "%00", "a%20b", "x" * 300, "%2fetc%2fpasswd", "ä"]
)
def test_a_report_of_an_unknown_run_is_not_found(client: Any, app: Any, name: str) -> None:
    app_output(app).joinpath("runs").mkdir(parents=True, exist_ok=True)
    for language in ("en", "fr"):
        assert client.get(f"/report/{language}/{name}").status_code == 404


def app_output(guarded: Any) -> Path:
    root = next(route for route in guarded.app.app.routes if getattr(route, "path", "") == "/report/{language}/{name}")
    cells = [cell.cell_contents for cell in root.endpoint.__closure__ or ()]
    return next(cell.output for cell in cells if hasattr(cell, "output"))


@pytest.mark.parametrize(
    "path", ["file=/etc/passwd", "file=../../etc/passwd", "proxy=http://127.0.0.1:1/", "run-history/buckets"]
)
def test_gradio_hands_out_no_file_and_asks_no_other_host(client: Any, path: str) -> None:
    assert client.get(f"/en/gradio_api/{path}").status_code >= 400


def blocks_of(guarded: Any, language: str) -> Any:
    mounted = next(route for route in guarded.app.app.routes if getattr(route, "path", "") == f"/{language}")
    return mounted.app.get_blocks()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_handler_is_private(app: Any, client: Any, language: str) -> None:
    functions = blocks_of(app, language).fns.values()
    assert len(functions) > 20
    assert {function.api_visibility for function in functions} == {"private"}
    found = client.get(f"/{language}/gradio_api/info").json()
    assert found == {"named_endpoints": {}, "unnamed_endpoints": {}}


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_a_list_that_grows_are_looked_up_and_not_compared_with_what_gradio_gave_last(
    app: Any, language: str
) -> None:
    """Gradio's own comparison stopped the page's ticks where the browser showed an answer before."""
    gradio = pytest.importorskip("gradio")
    functions = blocks_of(app, language).fns.values()

    def is_compared(part: Any) -> bool:
        return isinstance(part, gradio.Dropdown) and not part.choices and not part.allow_custom_value

    given = [each for each in functions if any(map(is_compared, each.inputs))]
    assert len(given) > 15
    assert [each.fn for each in given if each.preprocess] == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A page whose handlers can be called; it takes a second to build."""
    pytest.importorskip("gradio")
    from ziffern.studio.page import Page, Studio
    from ziffern.studio.views import Words

    page = Page(Studio(tmp_path_factory.mktemp("built"), None, is_shared=False), Words("en"))
    with made(page.studio.output, page.build):
        return page


@pytest.mark.parametrize("name", [None, 5, 0.5, True, ["nn"], {"a": 1}, "../x", "gone", "x" * 300, "a\0b"], ids=repr)
def test_name_that_is_none_of_the_list_is_told(built: Any, tmp_path: Path, name: Any) -> None:
    page, nobody, lost = built, None, "no longer exists"
    page.studio.output, page.studio.is_shared = tmp_path, False
    assert page.choose_run(name, (None,), nobody)[2] is False
    assert name is None or lost in page.show_run(name, nobody)[0]
    assert page.show_mistakes(name, name, name, nobody) == ""
    assert lost in page.compare([name, name], nobody)
    assert lost in page.test_digits([name], nobody)
    for at_once in (False, True):
        assert lost in page.end(name, at_once, nobody)[0]
    assert lost in page.resume(name, nobody)[0]
    assert page.tick("", name, name, nobody)[0]
    assert page.run_choices(name, (None,), nobody)
    assert page.model_choices([name], nobody)
    assert page.remove_upload(name, "Remove this file: x", "mnist5k", nobody)


@pytest.mark.parametrize("way", ["run", "api", "call", "call/v2"])
def test_no_handler_can_be_called_by_its_name(client: Any, way: str) -> None:
    answer = client.post(f"/en/gradio_api/{way}/show_command", json={"data": ["mnist5k", "", ["nn"], *[1] * 11]})
    assert answer.status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
def test_gradio_keeps_no_history_of_what_people_do(app: Any, language: str) -> None:
    assert blocks_of(app, language).run_history is False


def test_a_report_of_a_run_that_has_only_begun_is_no_crash(client: Any, app: Any) -> None:
    run = app_output(app) / "runs/begun"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra/config.yaml").write_text("model: {}")
    assert client.get("/report/en/begun").status_code in (200, 404)


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_files_that_were_uploaded_are_taken(app: Any, tmp_path: Path, language: str) -> None:
    from gradio.context import LocalContext
    from gradio.exceptions import InvalidPathError
    from gradio.processing_utils import _check_allowed

    (tmp_path / "secret.csv").touch()
    token = LocalContext.blocks.set(blocks_of(app, language))
    try:
        with pytest.raises(InvalidPathError, match="not uploaded by a user"):
            _check_allowed(tmp_path / "secret.csv", True)
    finally:
        LocalContext.blocks.reset(token)


# Several people


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("shared")
    with made(folder, lambda: make_app(Options(output=folder / "outputs", host="0.0.0.0", people=HASHED))) as guarded:
        testclient = pytest.importorskip("starlette.testclient")
        yield testclient.TestClient(guarded, base_url="http://127.0.0.1:7860", follow_redirects=False)


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("path", ["/", "/en/", "/en/config", "/en/theme.css", "/favicon.ico", "/report/en/x"])
def test_nothing_is_shown_without_a_password(shared: Any, path: str) -> None:
    answer = shared.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert shared.get(path, headers={"authorization": basic("anna", "wrong wrong")}).status_code == 401
    assert shared.get(path, headers={"authorization": basic("anna", PEOPLE["anna"])}).status_code != 401


def test_two_people_have_a_workspace_each(shared: Any) -> None:
    output = app_output(shared.app)
    run = output / "people/anna/runs/hers"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra/config.yaml").write_text("model: {}")
    (run / "metrics.json").write_text("{")
    said = {
        name: shared.get("/report/en/hers", headers={"authorization": basic(name, password)}).text
        for name, password in PEOPLE.items()
    }
    assert said["bert"].startswith("hers no longer exists")
    assert "metrics.json" in said["anna"]  # found, and damaged


def test_workspaces_are_chosen_by_who_asks_and_by_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    from ziffern.studio.page import Studio

    class Asked:
        def __init__(self, person: str) -> None:
            self.scope = {"ziffern.person": person}

    studio = Studio(tmp_path, None, is_shared=True)
    anna, bert = (studio.workspace(Asked(name)) for name in PEOPLE)
    anna.keep_digit(np.zeros((28, 28), np.uint8), 1)
    assert len(anna.digits()[0]) == 1
    assert len(bert.digits()[0]) == 0
    anna.save_form({"source": "mnist"})
    assert anna.saved_form() == {"source": "mnist"}
    assert bert.saved_form() == {}
    assert Studio(tmp_path, None, is_shared=False).workspace(Asked("anna")).root == tmp_path
    with pytest.raises(InputError, match="no longer exists"):
        studio.data_overrides(bert, "upload:hers.csv")


@pytest.mark.parametrize("source", ["local", "../x", "upload:../../x", "upload:", "nothing", ""])
def test_data_are_named_by_the_list_alone(tmp_path: Path, source: str) -> None:
    pytest.importorskip("gradio")
    from ziffern.studio.page import Studio
    from ziffern.studio.workspace import Workspace

    with pytest.raises(InputError):
        Studio(tmp_path, None, is_shared=False).data_overrides(Workspace(tmp_path), source)


def test_the_studio_says_what_to_install_where_gradio_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from ziffern.studio.server import serve

    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(InputError, match=r"pip install 'ziffern\[studio\]'"):
        serve(Options(port=47900, browser=False))


def test_a_handler_knows_who_asks(tmp_path: Path) -> None:
    gradio = pytest.importorskip("gradio")
    from starlette.requests import Request

    from ziffern.studio.page import Studio

    scope = {"type": "http", "headers": [(b"host", b"localhost")], "ziffern.person": "anna"}
    studio = Studio(tmp_path, None, is_shared=True)
    for request in (Request(scope), gradio.Request(Request(scope))):
        assert studio.workspace(request).root == tmp_path / "people/anna"


def test_each_handler_shows_people_their_own_things_alone(built: Any, tmp_path: Path) -> None:
    gradio = pytest.importorskip("gradio")
    from starlette.requests import Request

    page, studio = built, built.studio
    studio.output, studio.is_shared = tmp_path, True
    scope = {"type": "http", "headers": []}
    anna, bert = (gradio.Request(Request({**scope, "ziffern.person": name})) for name in PEOPLE)
    hers = studio.workspace(anna)
    (hers.runs_folder / "nn_secret/.hydra").mkdir(parents=True)
    (hers.runs_folder / "nn_secret/.hydra/config.yaml").write_text("model: {}\n")
    plan = {"trainings": [{"overrides": ["model=nn"], "folder": str(hers.runs_folder / "nn_secret")}]}
    (hers.jobs_folder / "20260101-000000-a").mkdir(parents=True)
    (hers.jobs_folder / "20260101-000000-a/job.json").write_text(json.dumps(plan))
    hers.keep_digit(np.zeros((28, 28), np.uint8), 1)

    def seen(who: Any) -> list[bool]:
        return [
            "nn_secret" in str(page.run_choices(None, (None,), who)),
            "no longer exists" not in str(page.show_run("nn_secret", who)[0]),
            "1 digit kept" in page.test_digits([], who),
            "model=nn" in page.watch(who)[0],
            "no longer exists" not in str(page.end("20260101-000000-a", False, who)[0]),
        ]

    assert seen(bert) == [False] * 5
    assert not (hers.jobs_folder / "20260101-000000-a/stop").exists()
    assert seen(anna) == [True] * 5
