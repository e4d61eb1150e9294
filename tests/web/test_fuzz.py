"""Whatever is sent, the service answers, and never with 500."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from starlette.testclient import TestClient
from tests.support.web import IMAGES, client, png

GOOD = [png(IMAGES[0]), png(IMAGES[0], "JPEG"), png(IMAGES[0], "GIF"), png(IMAGES[0], "TIFF"), png(IMAGES[0], "WEBP")]
FORM = b'--b\r\nContent-Disposition: form-data; name="a"; filename="b"\r\nContent-Type: image/png\r\n\r\n'
TYPES = ["image/png", "image/x", "application/json", "application/octet-stream", "", "a/b", "multipart/form-data"]
ODD = ["multipart/form-data; boundary=b", 'multipart/form-data; boundary="', "APPLICATION/JSON; charset=utf-16"]
LATIN = some.characters(max_codepoint=255, exclude_categories=["Cc"])
KINDS = some.sampled_from([*TYPES, *ODD]) | some.text(LATIN, max_size=30)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=5), inner, max_size=2),
    max_leaves=20,
)


@some.composite
def damaged(draw: some.DrawFn) -> bytes:
    """Draw a picture with some bytes changed, removed or repeated."""
    raw = bytearray(draw(some.sampled_from(GOOD)))
    for place in draw(some.lists(some.integers(0, len(raw) - 1), max_size=8)):
        raw[place : place + draw(some.integers(0, 2))] = draw(some.binary(max_size=3))
        raw = raw or bytearray(b"x")
    return bytes(raw[: draw(some.integers(0, len(raw)))] if draw(some.booleans()) else raw)


BODIES = (
    some.binary(max_size=300)
    | damaged()
    | VALUES.map(lambda value: json.dumps(value).encode())
    | some.lists(VALUES, max_size=4).map(lambda values: json.dumps({"images": values}).encode())
    | some.lists(damaged(), max_size=3).map(
        lambda files: b"".join(FORM + raw + b"\r\n" for raw in files) + b"--b--\r\n"
    )
    | some.binary(max_size=100).map(lambda raw: FORM[: len(raw)] + raw)
)


@pytest.fixture(scope="module")
def web() -> Iterator[TestClient]:
    with client() as running:
        yield running


@pytest.mark.parametrize("count", [80, pytest.param(400, marks=pytest.mark.slow)])
def test_no_body_makes_the_server_fail(web: TestClient, count: int) -> None:
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(BODIES, KINDS, some.text(max_size=10))
    def check(body: bytes, kind: str, query: str) -> None:
        headers = {"Content-Type": kind.encode("latin-1")}
        answer = web.post("/predict", content=body, headers=headers, params=query)
        assert answer.status_code in (200, 413, 415, 422)
        assert ("code" in answer.json()) == (answer.status_code != 200)

    check()
