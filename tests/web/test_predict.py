"""What `/predict` accepts and answers."""

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.support.digits import synthetic_digits
from tests.support.web import IMAGES, LABELS, client, onnx_model, png, served

from ziffern.deploy.onnx_file import OnnxClassifier
from ziffern.web.app import make_app
from ziffern.web.limits import Limits

FIRST = np.asarray(IMAGES[0])
FORM = "multipart/form-data; boundary=b"
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def web() -> Iterator[TestClient]:
    with client() as running:
        yield running


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that a response is a problem of RFC 9457, and return it."""
    content = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == content["status"] == status
    assert content["code"] == code
    assert content["title"]
    assert content["detail"]
    assert content["type"] == "about:blank"
    return content


def posted(web: TestClient, *images: Any, query: str = "") -> Any:
    return web.post(f"/predict{query}", json={"images": list(images)})


def test_answers_are_those_of_the_model(web: TestClient) -> None:
    expected = OnnxClassifier(onnx_model(), 1).probabilities(np.asarray(IMAGES)[:, None])
    answers = posted(web, *(np.asarray(image).tolist() for image in IMAGES)).json()
    assert len(answers) == len(IMAGES)
    for answer, row in zip(answers, expected, strict=True):
        order = np.argsort(-row)
        assert answer["label"] == "abcdefghij"[order[0]]
        assert answer["second"] == "abcdefghij"[order[1]]
        assert answer["probability"] == pytest.approx(row[order[0]], abs=1e-6)
        assert answer["second_probability"] == pytest.approx(row[order[1]], abs=1e-6)
        assert answer["status"] == "answered"
    assert (
        np.mean([answer["label"] == "abcdefghij"[label] for answer, label in zip(answers, LABELS, strict=True)]) > 0.9
    )


def test_every_kind_of_body_has_the_same_answer(web: TestClient) -> None:
    raw = png(FIRST)
    text = base64.b64encode(raw).decode()
    answers = [
        web.post("/predict", content=raw, headers=PNG),
        web.post("/predict", content=raw, headers={"Content-Type": "application/octet-stream"}),
        web.post("/predict", files={"any name": ("a.png", raw)}),
        web.post("/predict", content=png(FIRST, "BMP"), headers={"Content-Type": "image/bmp"}),
        posted(web, FIRST.tolist()),
        posted(web, [FIRST.tolist()]),
        posted(web, FIRST.astype(float).tolist()),
        posted(web, text),
        posted(web, f"data:image/png;base64,{text}"),
        posted(web, (255 - FIRST).tolist()),
        web.post("/predict", content=png(255 - FIRST), headers=PNG),
    ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert all(answer.headers["content-type"] == "application/json" for answer in answers)


def test_images_of_other_sizes_are_prepared() -> None:
    whole, bar = np.kron(255 - FIRST, np.ones((9, 9), np.uint8)), np.full((252, 252), 255, np.uint8)
    bar[60:190, 30:60] = 0
    answers = []
    for prepare, large in (("resize", whole), ("digit", bar)):
        color = np.stack([large] * 3, -1)
        with client(served(prepare)) as web:
            answers += [
                posted(web, FIRST.tolist()),
                web.post("/predict", content=png(large), headers=PNG),
                web.post("/predict", content=png(color), headers=PNG),
                posted(web, large.tolist()),
                posted(web, color.transpose(2, 0, 1).tolist()),
            ]
    labels = [answer.json()[0]["label"] for answer in answers]
    assert labels == [*"aaaaa", "a", *"iiii"]  # `digit` moves the bar to the center


def test_a_model_of_color_images() -> None:
    shape = (3, 12, 10)
    pixels = np.random.RandomState(0).randint(0, 256, shape, np.uint8)
    expected = OnnxClassifier(onnx_model(shape), 1).probabilities(pixels[None])[0].argmax()
    with client(served("resize", False, shape)) as web:
        answers = [
            posted(web, pixels.tolist()),
            web.post("/predict", content=png(pixels.transpose(1, 2, 0)), headers=PNG),
        ]
        gray = posted(web, pixels[0].tolist())
    assert [answer.json()[0]["label"] for answer in answers] == ["abcdefghij"[expected]] * 2
    assert gray.status_code == 200


def test_an_unreadable_image_does_not_spoil_the_others(web: TestClient) -> None:
    blank = np.zeros((50, 50), int).tolist()
    answers = posted(web, FIRST.tolist(), "bm90IGEgcGljdHVyZQ==", [[1, 2], [3]], blank, "?", FIRST.tolist()).json()
    assert [answer["status"] for answer in answers] == ["answered", *["unreadable"] * 4, "answered"]
    assert all(set(answer) == {"status", "detail"} for answer in answers[1:-1])
    assert answers[0] == answers[-1]


def test_no_part_of_a_form_is_ignored(web: TestClient) -> None:
    raw = png(FIRST)
    parts = {"a": ("a.png", raw), "b": (None, base64.b64encode(raw)), "max_error": (None, b"0.01")}
    statuses = [answer["status"] for answer in web.post("/predict", files=parts).json()]
    assert statuses == ["answered", "answered", "unreadable"]


@pytest.mark.parametrize(
    "image",
    [
        [],
        [[]],
        [[[]]],
        [1, 2],
        [["a"]],
        [[None]],
        [[-1, 0]],
        [[256]],
        [[0.5]],
        [[1e300]],
        [[{}]],
        [[1], [2, 3]],
        [[[[1]]]],
        [[[1]], [[2]]],
    ],
)
def test_arrays_that_are_no_images(web: TestClient, image: Any) -> None:
    assert problem(posted(web, image), 422, "web.images.wrong")


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"", "image/png", 422, "data.picture.none"),
        (b"x", "image/png", 422, "data.picture.none"),
        (png(FIRST)[:60], "image/png", 422, "data.picture.damaged"),
        (b"{", "application/json", 422, "web.body.json"),
        (b"[]", "application/json", 422, "web.body.json"),
        (b'{"images": [1]}', "application/json", 422, "web.body.json"),
        (b'{"images": [], "more": 1}', "application/json", 422, "web.body.json"),
        (b'{"images": ' + b"[" * 60000, "application/json", 422, "web.body.json"),
        (b'{"images": ["\xff"]}', "application/json", 422, "web.body.json"),
        (b'{"images": []}', "application/json", 422, "web.images.none"),
        (b"x", "multipart/form-data", 422, "web.body.cut"),
        (b"x", FORM, 422, "web.body.cut"),
        (b"--b--\r\n", FORM, 422, "web.images.none"),
        (b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b--\r\n", FORM, 422, "web.images.wrong"),
        (b"--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nx\r\n--b", FORM, 422, "web.body.cut"),
        (b"--b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 422, "web.body.form"),
        (b"x", "text/plain", 415, "web.body.kind"),
        (b"x", "", 415, "web.body.kind"),
    ],
)
def test_bodies_that_cannot_be_used(web: TestClient, body: bytes, kind: str, status: int, code: str) -> None:
    problem(web.post("/predict", content=body, headers={"Content-Type": kind}), status, code)


@pytest.mark.parametrize(
    "query", ["?max_error=2", "?max_error=0", "?max_error=x", "?max_eror=0.1", "?a=1&max_error=0.1"]
)
def test_parameters_that_are_wrong(web: TestClient, query: str) -> None:
    problem(posted(web, FIRST.tolist(), query=query), 422, "web.query")


def bomb(side: int) -> bytes:
    """Return a PNG that claims to have `side` x `side` pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_limits_of_size() -> None:
    with client(max_body=5000, max_images=3, max_pixels=2000) as web:
        problem(web.post("/predict", content=bytes(5001), headers=PNG), 413, "web.body.too_large")
        chunks = web.post("/predict", content=(bytes(1000) for _ in range(9)), headers=PNG)
        problem(chunks, 413, "web.body.too_large")
        problem(posted(web, *[[[1]]] * 4), 413, "web.images.too_many")
        files = [("file", ("a.png", png(FIRST))) for _ in range(4)]
        problem(web.post("/predict", files=files), 413, "web.images.too_many")
        problem(web.post("/predict", content=png(np.zeros((50, 50))), headers=PNG), 413, "data.picture.pixels")
        problem(web.post("/predict", content=bomb(10000), headers=PNG), 413, "data.picture.pixels")
        assert web.post("/predict", content=png(FIRST), headers=PNG).status_code == 200


async def never() -> dict[str, Any]:
    return await asyncio.Event().wait()  # type: ignore[return-value]


async def asked(app: Any, receive: Any, client: str = "1.2.3.4") -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send a request whose body arrives by `receive`; return status, headers and content."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "client": (client, 1)}
    await app({**scope, "headers": [(b"content-type", b"image/png")]}, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, json.loads(sent[1]["body"])


def test_a_full_server_and_a_greedy_client_are_refused_at_once() -> None:
    async def check() -> None:
        app = make_app(served(), Limits(max_requests=3, max_client=2))
        async with app.router.lifespan_context(app):
            waiting = [asyncio.ensure_future(asked(app, never, name)) for name in ("a", "a", "b")]
            await asyncio.sleep(0)
            for name, status, code in (("c", 503, "web.busy"), ("a", 503, "web.busy")):
                got, headers, content = await asked(app, never, name)
                assert (got, content["code"], headers["retry-after"]) == (status, code, "1")
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web:
                assert (await web.get("/health")).status_code == 200
                assert (await web.get("/ready")).status_code == 503
            waiting.pop().cancel()
            await asyncio.sleep(0)
            got, headers, content = await asked(app, never, "a")
            assert (got, content["code"], headers["retry-after"]) == (429, "web.many", "1")
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web:
                assert (await web.get("/ready")).status_code == 200
                assert (await web.post("/predict", content=png(FIRST), headers=PNG)).status_code == 200

    asyncio.run(check())


def test_a_body_that_does_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def parts() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(1000), "more_body": True}

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def check() -> None:
        app = make_app(served(), Limits())
        async with app.router.lifespan_context(app):
            assert (await asked(app, never))[2]["code"] == "web.body.slow"
            assert (await asked(app, parts))[2]["code"] == "web.busy"
            with pytest.raises(IndexError):  # nothing is sent
                await asked(app, gone)

    monkeypatch.setattr("ziffern.web.endpoint.MAX_SECONDS", 0.2)
    monkeypatch.setattr("ziffern.web.endpoint.MAX_MEMORY", 5000)
    asyncio.run(check())


def test_a_request_with_many_photos_does_not_keep_others_waiting() -> None:
    photo = png(np.kron(FIRST, np.ones((20, 20), np.uint8)))
    done: list[str] = []

    async def check() -> None:
        app = make_app(served(), Limits())
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web,
        ):

            async def post(name: str, count: int) -> None:
                await web.post("/predict", files=[("file", ("a.png", photo))] * count)
                done.append(name)

            many = [asyncio.create_task(post("many", 50)) for _ in range(2)]
            await asyncio.sleep(0.05)
            await asyncio.gather(post("one", 1), *many)

    asyncio.run(check())
    assert done == ["one", "many", "many"]


def test_concurrent_requests_share_batches() -> None:
    images, _ = synthetic_digits(60, seed=5)

    async def check() -> None:
        app = make_app(served(), Limits())
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web,
        ):

            async def one(image: Any) -> Any:
                return (await web.post("/predict", content=png(np.asarray(image)), headers=PNG)).json()[0]

            alone = [await one(image) for image in images]
            together = await asyncio.gather(*(one(image) for image in images))
            figures = (await web.get("/metrics")).text
        assert [answer["label"] for answer in alone] == [answer["label"] for answer in together]
        assert [answer["probability"] for answer in alone] == pytest.approx([each["probability"] for each in together])
        batches = next(line for line in figures.splitlines() if line.startswith("ziffern_batch_images_count"))
        assert float(batches.split()[1]) < 90

    asyncio.run(check())
