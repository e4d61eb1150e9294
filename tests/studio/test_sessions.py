"""That nobody can read or use another person's session or upload, on Gradio's real server."""

import asyncio
import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.data_files import table
from tests.support.people import HASHED, PEOPLE
from tests.support.studio import file_of, function, gradio_app, served

from ziffern.studio import sessions
from ziffern.studio.server import Options
from ziffern.studio.sessions import API, MAX_PATHS, ROUTES

httpx = pytest.importorskip("httpx")

CALLED = {  # every route of Gradio that the page calls
    *("/", "/assets/{path:path}", "/static/{path:path}", "/svelte/{path:path}", "/theme.css", "/config"),
    *("/manifest.json", "/robots.txt", f"{API}/info", f"{API}/info/", f"{API}/startup-events", f"{API}/theme.css"),
    *(f"{API}/heartbeat/{{session_hash}}", f"{API}/queue/data", f"{API}/upload_progress"),
    *(f"{API}/queue/join", f"{API}/upload"),
}
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*no_silent_downcasting", "ignore:The copy keyword"
)  # Gradio's own use of pandas
names = itertools.count()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("sessions")
    options = Options(output=folder / "outputs", host="0.0.0.0", people=HASHED)
    with served(options, folder / "temporary") as guarded:
        yield guarded


class Person(httpx.Client):  # type: ignore[misc]
    """A browser of somebody who has logged in."""

    def __init__(self, app: Any, name: str) -> None:
        super().__init__(base_url=f"http://127.0.0.1:{app.port}", auth=(name, PEOPLE[name]), timeout=60)

    def join(self, session: str, function: int, data: list[Any]) -> Any:
        body = {"session_hash": session, "fn_index": function, "data": data}
        return self.post("/en/gradio_api/queue/join", json=body)

    def read(self, session: str) -> str:
        text = ""
        with (
            self.stream("GET", "/en/gradio_api/queue/data", params={"session_hash": session}) as answer,
            contextlib.suppress(httpx.RemoteProtocolError),  # Gradio breaks off where there is no such session
        ):
            for part in answer.iter_text():
                text += part
        return text

    def give(self, content: bytes, name: str = "mine.csv") -> str:
        (path,) = self.post("/en/gradio_api/upload", files={"files": (name, content)}).json()
        return str(path)


@pytest.fixture(scope="module")
def anna(app: Any) -> Iterator[Person]:
    with Person(app, "anna") as person:
        person.get("/en/gradio_api/startup-events")
        yield person


@pytest.fixture(scope="module")
def bert(app: Any) -> Iterator[Person]:
    with Person(app, "bert") as person:
        yield person


@pytest.fixture
def session() -> str:
    return f"session{next(names)}"


@pytest.mark.slow
def test_everything_that_the_page_does_not_call_is_not_there(app: Any, anna: Person) -> None:
    called, refused = set(), 0
    top = gradio_app(app).routes
    included = [each for route in top for each in getattr(getattr(route, "original_router", None), "routes", ())]
    for route in (*top, *included):
        path = getattr(route, "path", "")
        for method in getattr(route, "methods", None) or ():
            allowed = ROUTES.get("GET" if method == "HEAD" else method)
            filled = re.sub(r"{[^}]+}", "x", path)
            if allowed and allowed.fullmatch(filled):
                called.add(path)
                continue
            refused += 1
            assert anna.request(method, f"/en{filled}").status_code == 404, (method, path)
            assert anna.request(method, f"/en{filled}%0a").status_code == 404, (method, path)
    assert refused > 40
    assert called == CALLED


def test_call_of_a_handler_is_answered(app: Any, anna: Person, session: str) -> None:
    assert anna.join(session, function(app, "test_digits"), [[]]).status_code == 200
    assert "No digits are kept yet" in anna.read(session)


@pytest.mark.parametrize("name", ["{}", "anna.{}", ".{}", "bert.anna.{}", "%61nna.{}", "bert/../anna.{}"])
def test_session_of_another_person_cannot_be_read(
    app: Any, anna: Person, bert: Person, session: str, name: str
) -> None:
    assert anna.join(session, function(app, "test_digits"), [[]]).status_code == 200
    stolen = bert.read(name.format(session))
    assert "No digits are kept" not in stolen
    assert "process_" not in stolen
    assert "No digits are kept yet" in anna.read(session)  # and it is still whole


@pytest.mark.parametrize("name", ["anna.{}", ".{}", "anna.{}\n", "", None, 5.5, ["a"], {"a": 1}])
def test_session_of_another_person_cannot_be_joined(app: Any, bert: Person, session: str, name: Any) -> None:
    wanted = name.format(session) if isinstance(name, str) else name
    assert bert.join(wanted, function(app, "test_digits"), [[]]).status_code == 400


def test_state_of_a_session_is_its_persons(app: Any, anna: Person, bert: Person, session: str) -> None:
    for person in (anna, bert):
        assert person.join(session, function(app, "ask"), ["", []]).status_code == 200
        person.read(session)
    held = set(gradio_app(app).state_holder.session_data)
    assert {f"anna.{session}", f"bert.{session}"} <= held
    assert session not in held


@pytest.mark.parametrize("name", ["anna.x", ".x", "a%2Fb", "x%0a"])
def test_heartbeat_of_another_session_is_refused(bert: Person, name: str) -> None:
    assert bert.get(f"/en/gradio_api/heartbeat/{name}").status_code in (400, 404)
    assert bert.get("/en/gradio_api/upload_progress", params={"upload_id": "anna.x"}).status_code == 400


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b"{}", b'{"session_hash": "x"', b"\xff", b"5"])
def test_call_that_is_none_is_refused(anna: Person, content: bytes) -> None:
    answer = anna.post("/en/gradio_api/queue/join", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_upload_is_used_by_whoever_sent_it_and_by_nobody_else(
    app: Any, anna: Person, bert: Person, session: str
) -> None:
    path, take = anna.give(table(slice(None))), function(app, "take_upload")
    assert Path(path).is_file()
    for given in (path, f"/tmp/..{path}", os.path.relpath(path), path.replace("/", "//")):
        assert bert.join(session, take, [file_of(given), "mnist5k"]).status_code == 403
    assert bert.join(session, take, [{"deep": [file_of(path)]}, "mnist5k"]).status_code == 403
    for way in (f"file={path}", f"file/{path}", f"/file={path}"):
        assert bert.get(f"/en/gradio_api/{way}").status_code == 404
        assert bert.get(f"/de/gradio_api/{way}").status_code == 404
    assert anna.join(session, take, [file_of(path), "mnist5k"]).status_code == 200
    assert "has been uploaded and selected" in anna.read(session)


def test_file_that_nobody_sent_is_not_taken(app: Any, anna: Person, session: str, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_bytes(table(slice(None)))
    for path in (str(tmp_path / "secret.csv"), "http://127.0.0.1:1/x.csv", "/etc/passwd", ""):
        assert anna.join(session, function(app, "take_upload"), [file_of(path), "mnist5k"]).status_code == 403


@pytest.mark.slow
def test_one_persons_many_uploads_do_not_push_out_anothers(app: Any, anna: Person, bert: Person, session: str) -> None:
    path, take = anna.give(b"hers"), function(app, "take_upload")
    his = [bert.give(f"{place}".encode()) for place in range(MAX_PATHS + 1)]
    assert anna.join(session, take, [file_of(path), "mnist5k"]).status_code == 200
    assert bert.join(session, take, [file_of(his[0]), "mnist5k"]).status_code == 403
    assert bert.join(session, take, [file_of(his[-1]), "mnist5k"]).status_code == 200
    assert json.dumps("Not accepted")[1:-1] in anna.read(session)
    bert.read(session)


@pytest.mark.parametrize(("path", "is_told_at_once"), [("queue/data", False), ("info", True)])
def test_the_end_of_a_stream_of_answers_is_not_taken_for_a_lost_page(
    path: str, is_told_at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "GRACE", 0.2)
    told = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(asyncio.create_task(receive()))
        await asyncio.sleep(0.05)  # until Gradio ends the stream itself
        told.append(told[0].done())
        assert (await told[0])["type"] == "http.disconnect"  # a page that is really gone is noticed

    async def disconnected() -> dict[str, str]:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/en{API}/{path}",
        "query_string": b"session_hash=a",
        "ziffern.person": "ada",
    }
    asyncio.run(sessions.Sessions(app)(scope, disconnected, None))  # type: ignore[arg-type]
    assert told[1] is is_told_at_once
