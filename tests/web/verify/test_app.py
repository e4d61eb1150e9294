"""The requests of the page: fields, entries, undo, files, hostile requests, and a server that is killed."""

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.people import HASHED, PEOPLE, basic

testclient = pytest.importorskip("starlette.testclient")
pytest.importorskip("fastapi")

from ziffern.errors import InputError, OutputError  # noqa: E402
from ziffern.reading.decisions import decided  # noqa: E402
from ziffern.reading.folder import load_reading  # noqa: E402
from ziffern.reading.result import Reason  # noqa: E402
from ziffern.reading.verified import verified_fields  # noqa: E402
from ziffern.text.language import Language  # noqa: E402
from ziffern.web.guard import Guard  # noqa: E402
from ziffern.web.verify.app import make_app  # noqa: E402
from ziffern.web.verify.queue import Queue  # noqa: E402
from ziffern.web.verify.server import serve  # noqa: E402
from ziffern.web.verify.views import HERE, _reason  # noqa: E402

ADDRESS = "http://127.0.0.1:7870"
VERIFY = [sys.executable, "-c", "from ziffern.cli.main import main; main()", "verify"]


def client_of(queue: Queue, name: str = "anna", people: dict[str, str] | None = None) -> Any:
    client = testclient.TestClient(Guard(make_app(queue), people or {}, False), ADDRESS, follow_redirects=False)
    if name:
        client.post("/en/name", content=f"name={name}")
    return client


@pytest.fixture
def queue(batch: Path) -> Iterator[Queue]:
    queue = Queue(batch)
    with closing(queue.decisions):
        yield queue


@pytest.fixture
def client(queue: Queue) -> Any:
    return client_of(queue)


def entry(place: list[int], value: str = "1", **more: Any) -> dict[str, Any]:
    return {"place": place, "kind": "value", "value": value, "seconds": 1, "queue": "review", "held": []} | more


def places(html: str) -> list[list[int]]:
    return [[int(number) for number in place.split("/")] for place in re.findall(r'data-place="(\d+/\d+)"', html)]


def test_page_shows_the_first_field_and_answers_bring_the_next(queue: Queue, client: Any) -> None:
    page = client.get("/en/review")
    assert page.status_code == 200
    first, *others = places(page.text)
    assert len(others) == 5
    answer = client.post("/en/decide", json=entry(first, held=others)).json()
    assert answer["progress"]["done"] == 1
    assert len(places(answer["fields"])) == 1
    answer = client.post("/en/undo", json={"queue": "review", "held": others, "at": 1.5}).json()
    assert places(answer["undone"]) == [first]
    assert client.post("/en/undo", json={"queue": "review", "held": [], "at": 2.5}).json()["undone"] == ""
    assert client.post("/en/undo", json={"queue": "review", "held": []}).status_code == 422


def test_with_double_entry_nobody_sees_a_guess_or_the_entry_of_another_person(batch: Path) -> None:
    queue = Queue(batch, double=True)
    with closing(queue.decisions):
        anna, bert = client_of(queue), client_of(queue, "bert")
        first, *_ = places(anna.get("/en/review").text)
        guess = queue.reading.pages[first[0]].fields[first[1]].guess
        anna.post("/en/decide", json=entry(first, "777"))
        shown = [bert.get(f"/en/field/{first[0]}/{first[1]}?queue={name}").text for name in ("review", "settle")]
        assert all("777" not in page and guess not in page and 'data-options="[]"' in page for page in shown)
        bert.post("/en/decide", json=entry(first, "888"))
        settled = bert.get(f"/en/field/{first[0]}/{first[1]}?queue=settle").text
        assert "777" in settled
        assert "888" in settled


def test_rules_are_checked_before_a_value_is_entered(batch: Path) -> None:
    content = json.loads((batch / "reading.json").read_bytes())
    limits = {"number_2": {"check": "iban"}, "number_3": {"pattern": r"\d*\d*\d*1"}, "number_4": {"choose": [0, 60]}}
    content |= {"limits": limits, "lists": {"number_1": ["12"], "number_4": ["x" * 40, "y" * 40, "z" * 40]}}
    (batch / "reading.json").write_text(json.dumps(content))
    queue = Queue(batch)
    with closing(queue.decisions):
        client = client_of(queue)

        def doubt(row: int, value: str, language: str = "en") -> str:
            answer = client.get(f"/{language}/doubt/0/{row}", params={"value": value})
            assert answer.status_code == 200
            return str(answer.text)

        assert doubt(0, "12") == doubt(1, "89370400440532013000") == doubt(2, "001") == ""
        assert doubt(0, "13") == "13 is not in the list of valid values. Press Enter again to keep it."
        assert doubt(1, "89370400440532013001", "de").startswith("Die Prüfziffer von 89370400440532013001 ist falsch")
        assert doubt(2, "2" * 2500).endswith("has 2500 digits, not 1–60. Press Enter again to keep it.")
        ticked = ";".join(content["lists"]["number_4"])  # more than a field of 100 characters
        assert doubt(3, ticked) == ""
        assert client.post("/en/decide", json=entry([0, 3], ticked)).status_code == 200
        assert queue.standing.of_person["anna"][0].value == ticked
        for path in ("0/0", "9/0?value=1", "0/0?value=" + "1" * 2501):
            assert client.get(f"/en/doubt/{path}").status_code in (404, 422)


@pytest.mark.parametrize("limits", [{"pattern": r"(\d+)+1"}, {"pattern": "[9-0]"}, {"check": "x"}, {"country": "../"}])
def test_rules_that_no_template_has_are_refused(batch: Path, limits: dict[str, str]) -> None:
    content = json.loads((batch / "reading.json").read_bytes())
    (batch / "reading.json").write_text(json.dumps(content | {"limits": {"number_1": limits}}))
    with pytest.raises(InputError):
        Queue(batch)


def test_every_picture_is_encoded_anew(batch: Path, client: Any) -> None:
    jpeg = b"\xff\xd8", "image/jpeg"
    for kind, start, form in (("crop", b"\x89PNG", "image/png"), ("context", *jpeg), ("page", *jpeg)):
        answer = client.get(f"/picture/{kind}/0/1")
        assert (answer.content[: len(start)], answer.headers["content-type"]) == (start, form)
        assert answer.headers["x-content-type-options"] == "nosniff"
    context = np.asarray(Image.open(io.BytesIO(client.get("/picture/context/0/0").content)).convert("L"))
    assert 10 < np.flatnonzero((context < 128).any(0))[0] < 30  # the label begins there, and is not cut off
    (batch / "crops/0-0.png").write_bytes(b"<script>alert(1)</script>")
    (batch / "crops/0-2.png").unlink()
    (batch / "crops/0-2.png").symlink_to("/etc/passwd")
    for row in (0, 2):
        assert client.get(f"/picture/crop/0/{row}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/reading.json",
        "/verify.sqlite",
        "/picture/crop/9/0",
        "/picture/crop/-1/0",
        "/picture/crop/0/99",
        "/picture/crop/" + "9" * 40 + "/0",
        "/picture/../../etc/passwd",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/en/field/0/99",
        "/en/field/-1/0",
        "/fr/review",
        "/fr/",
        "/en/nothing",
        "/values",
        "/docs",
        "/openapi.json",
    ],
)
def test_nothing_else_is_there(client: Any, path: str) -> None:
    assert client.get(path).status_code in (404, 422)


def test_entries_that_the_page_does_not_send_are_refused(queue: Queue, client: Any) -> None:
    wrong: list[Any] = [
        entry([9, 0]),
        entry([0, -1]),
        entry([0, 0], ""),
        entry([0, 0], "9" * 2501),
        entry([0, 0], "\x1b[2J"),
        entry([0, 0], " 1"),
        entry([0, 0], kind="undo"),
        entry([0, 0], kind="empty"),
        entry([0, 0], seconds="1"),
        entry([0, 0], queue="other"),
        entry([0, 0], held=[[0, 0]] * 8),
        [],
    ]
    for content in wrong:
        assert client.post("/en/decide", json=content).status_code in (404, 422), content
    text = json.dumps(entry([0, 0]))
    assert client.post("/en/decide", content=text, headers={"content-type": "text/plain"}).status_code == 415
    assert client.post("/en/decide", json=entry([0, 0]), headers={"origin": "http://evil.com"}).status_code == 403
    assert client.post("/en/decide", json=entry([0, 0]), headers={"host": "evil.com"}).status_code == 400
    assert client.post("/en/decide", content=b"[" * 70_000).status_code == 413
    assert client.get("/en/decide").status_code in (404, 405, 422)
    assert client_of(queue, "").post("/en/decide", json=entry([0, 0])).status_code == 401
    assert not queue.standing.of_person


def test_hostile_texts_are_shown_as_text(batch: Path) -> None:
    script = "<script>alert('x')</script>\"&"
    plain = json.loads((batch / "reading.json").read_text())
    for page in plain["pages"]:
        page["source"] = script
        for field in page["fields"]:
            reason = {"code": "reading.decisions.foreign", "values": {"path": script, "code": script}}
            field |= {"guess": script, "alternatives": [[script, 0.5]], "reason": reason}
        page["fields"][0]["name"] = script
    (batch / "reading.json").write_text(json.dumps(plain))
    queue = Queue(batch)
    with closing(queue.decisions):
        client = client_of(queue, "%3Cb%3E")
        for path in ("/en/review", "/de/field/0/0", "/en/"):
            page = client.get(path)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "<b>" not in page.text
            policy = page.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
        options = re.search(r'data-options="([^"]*)"', client.get("/en/field/0/0").text)
        assert options
        assert json.loads(unescape(options[1]))[0][0] == script


def test_results(batch: Path, client: Any, truth: list[list[str]]) -> None:
    assert client.post("/en/decide", json=entry([0, 0], truth[0][0])).status_code == 200
    assert f",{truth[0][0]},person,anna," in client.get("/en/values.csv").text
    assert client.post("/en/examples").headers["location"] == "/en/?examples=5"
    assert len(list(batch.glob("examples/*/*.png"))) == 5
    assert "5 examples" in client.get("/en/?examples=5").text
    assert client.get("/values?field=number_1").json() == sorted({values[0] for values in truth})
    assert client.get("/values?field=number_2").json() == []


def test_entries_that_cannot_be_written_are_not_confirmed(batch: Path, queue: Queue, client: Any) -> None:
    content = (batch / "reading.json").read_bytes()
    long = "1" * 2500  # more than half of a page of the file
    assert client.post("/de/decide", json=entry([0, 1], long)).status_code == 200
    queue.decisions._connection.execute("PRAGMA max_page_count=1")  # as on a full disk
    answer = client.post("/de/decide", json=entry([0, 0], long))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert "verify.sqlite: lässt sich nicht schreiben (database or disk is full)" in answer.text
    queue.decisions._connection.execute("PRAGMA max_page_count=1000")
    batch.rename(batch.with_name("old"))  # and a new batch of this name is read
    shutil.copytree(batch.with_name("old"), batch)
    answer = client.post("/en/decide", json=entry([0, 0]))
    assert answer.status_code == 503
    assert answer.text.startswith("batch: the batch was replaced or changed while this page was open")
    shutil.rmtree(batch)
    assert client.post("/en/decide", json=entry([0, 0])).status_code == 503
    batch.with_name("old").rename(batch)
    assert [each.value for each in verified_fields(batch)] == [long]
    assert client.post("/en/decide", json=entry([0, 0])).status_code == 200
    (batch / "reading.json").write_bytes(content[:-1] + b" }")
    assert client.post("/en/undo", json={"queue": "review", "held": [], "at": 1.5}).status_code == 503
    assert [each.value for each in verified_fields(batch)] == ["1", long]


def test_examples_that_cannot_be_written(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutputError(errno.ENOSPC, "No space left on device", "examples")

    monkeypatch.setattr("ziffern.web.verify.app.write_examples", full)
    answer = client.post("/en/examples")
    assert (answer.status_code, answer.text) == (503, "examples: No space left on device")


def test_a_folder_in_which_nothing_can_be_written_is_not_served(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InputError, match=r"verify.sqlite: cannot be written \(Permission denied\)"):
        serve(batch, browser=False)


def test_a_folder_without_locks_is_served(
    batch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_lock)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    serve(batch, browser=False)
    assert "http://" in capsys.readouterr().out


@pytest.mark.slow
def test_passwords_are_needed_where_there_are_people(queue: Queue) -> None:
    client = client_of(queue, "", HASHED)
    assert client.get("/en/").status_code == 401
    headers = {"authorization": basic("anna", PEOPLE["anna"])}
    client.cookies.set("ziffern-name-7870", "bert")  # which counts for nothing
    assert client.post("/en/decide", json=entry([0, 0]), headers=headers).status_code == 200
    assert list(queue.standing.of_person) == ["anna"]


def test_others_cannot_reach_the_page_without_a_password(batch: Path) -> None:
    with pytest.raises(InputError, match="--people FILE"):
        serve(batch, host="0.0.0.0")
    with pytest.raises(InputError, match="--people FILE"):
        serve(batch, public_hosts=["verify.example.org"])
    with pytest.raises(InputError, match=r"nothing"):
        serve(batch / "nothing")


class Server:
    """`ziffern verify` in a process of its own."""

    def __init__(self, batch: Path) -> None:
        self.process = subprocess.Popen([*VERIFY, str(batch), "--no-browser"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        found = re.search(r"http://\S+\d", self.process.stdout.readline())
        assert found
        self.address = found[0]

    def end(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.process.pid, number)
        self.process.communicate(timeout=30)


@pytest.mark.slow
def test_killed_server_has_lost_nothing_that_it_confirmed(batch: Path, truth: list[list[str]]) -> None:
    import httpx

    confirmed = []
    reading = load_reading(batch)
    for page in range(2):
        server = Server(batch)
        with httpx.Client(base_url=server.address, cookies={f"ziffern-name-{server.address[-4:]}": "anna"}) as client:
            for row, value in enumerate(truth[page][:2]):
                assert client.post("/en/decide", json=entry([page, row], value)).status_code == 200
                confirmed.append((page, f"number_{row + 1}", value, "anna"))
            second = subprocess.run([*VERIFY, str(batch), "--no-browser"], capture_output=True, text=True, check=False)
            assert (second.returncode, second.stderr.count("\n")) == (2, 1)
            assert "already open" in second.stderr
            server.end()
        assert [tuple(each) for each in verified_fields(batch)] == confirmed
    assert len(decided(batch, reading).of_person["anna"]) == 4
    export = [*VERIFY, str(batch), "--export", str(batch / "v.csv")]
    assert "20 examples" in subprocess.run(export, capture_output=True, text=True, check=True).stdout


def test_names_at_the_start_of_a_reason_are_not_capitalized() -> None:
    words = Language("en", HERE / "texts")
    assert _reason(Reason("reading.reason.faint", {"label": "yes"}), words).startswith("yes: it is unclear")
    assert _reason(Reason("reading.reason.sum", {"parts": "q1 + q2", "total": "t"}), words) == "q1 + q2 is not t."
    assert _reason(Reason("reading.reason.gap", {"cell": 2}), words).startswith("Place 2")
