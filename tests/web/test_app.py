"""The pages beside `/predict`, keys, and problems."""

import re
from pathlib import Path

import pytest
from tests.support.web import IMAGES, client, png, served
from tests.web.test_predict import PNG, problem

from ziffern.errors import InputError
from ziffern.web.keys import read_keys

KEYS = ("first-key-of-sixteen", "0123456789abcdef")


def test_health_ready_and_metrics() -> None:
    with client() as web:
        assert web.get("/health").json() == {"status": "ok"}
        assert web.get("/ready").json() == {"status": "ready"}
        web.post("/predict", content=png(IMAGES[0]), headers=PNG)
        web.post("/predict", content=b"", headers=PNG)
        figures = web.get("/metrics")
        assert figures.headers["content-type"].startswith("text/plain; version=")
        assert 'ziffern_requests_total{status="200"} 1.0' in figures.text
        assert 'ziffern_requests_total{status="422"} 1.0' in figures.text
        assert 'ziffern_images_total{status="answered"} 1.0' in figures.text
        assert "ziffern_request_seconds_count 2.0" in figures.text


def test_unknown_pages_and_methods_are_problems() -> None:
    with client() as web:
        problem(web.get("/nowhere"), 404, "web.path")
        problem(web.post("/nowhere%0d%0aX: y"), 404, "web.path")
        problem(web.post("/predict/", headers={"Host": "elsewhere"}, follow_redirects=False), 404, "web.path")
        assert "POST" in problem_headers(web.get("/predict"))["allow"]
        problem(web.delete("/health"), 405, "web.method")


def problem_headers(response):
    problem(response, 405, "web.method")
    return response.headers


def test_a_failure_is_a_problem_without_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    with client() as web:
        monkeypatch.setattr("ziffern.web.predict.inverted_if_light", broken)
        answer = web.post("/predict", content=png(IMAGES[0]), headers=PNG)
        assert "secret" not in str(problem(answer, 500, "web.failure"))
        assert 'ziffern_requests_total{status="500"} 1.0' in web.get("/metrics").text
        monkeypatch.undo()
        assert web.post("/predict", content=png(IMAGES[0]), headers=PNG).status_code == 200


def test_the_documentation_describes_predict_and_loads_nothing_from_elsewhere() -> None:
    with client(keys=frozenset([b"x"])) as web:
        schema = web.get("/openapi.json").json()
        page = web.get("/docs")
        assert web.get("/").text == page.text
    post = schema["paths"]["/predict"]["post"]
    assert set(post["requestBody"]["content"]) == {"image/*", "multipart/form-data", "application/json"}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', str(schema).replace("'", '"')))
    assert references == set(schema["components"]["schemas"]) >= {"Images", "Answer", "ProblemDetails", "Reading"}
    assert "status" in schema["components"]["schemas"]["Answer"]["required"]
    assert set(schema["components"]["securitySchemes"]) == {"key", "bearer"}
    assert set(schema["paths"]) == {"/predict", "/read", "/health", "/ready", "/metrics"}
    assert page.status_code == 200
    assert not re.search(r"(https?:)?//\w|@import|url\(", page.text.replace('"http://www.w3.org', ""))
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert all(path in page.text for path in schema["paths"])


def test_names_of_a_run_are_escaped() -> None:
    model = served()
    object.__setattr__(model, "name", "<script>alert(1)</script>")
    object.__setattr__(model, "class_names", ("<b>", *"bcdefghij"))
    with client(model) as web:
        text = web.get("/docs").text
    assert "<script>alert" not in text
    assert "<b>" not in text


def test_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(f"\ufeff{KEYS[0]}\r\n# of the clinic\r\n  \n {KEYS[1]} ".encode())
    body = png(IMAGES[0])
    with client(keys=read_keys(file)) as web:
        for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"Authorization": f"Basic {KEYS[0]}"}):
            answer = web.post("/predict", content=body, headers=PNG | headers)
            problem(answer, 401, "web.keys.needed")
            assert answer.headers["www-authenticate"] == "Bearer"
        problem(web.get("/metrics"), 401, "web.keys.needed")
        problem(web.get("/nowhere"), 401, "web.keys.needed")
        for key in KEYS:
            for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"authorization": f"bearer {key}"}):
                assert web.post("/predict", content=body, headers=PNG | headers).status_code == 200
        for path in ("/", "/health", "/ready", "/docs", "/openapi.json"):
            assert web.get(path).status_code == 200


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "web.keys.none"), ("# none\n", "web.keys.none"), ("short\n", "web.keys.line"), ("ä" * 20, "web.keys.line")],
)
def test_files_without_good_keys(tmp_path: Path, text: str, code: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        read_keys(file)
    assert refused.value.code == code
    assert "short" not in str(refused.value)


def test_a_missing_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        read_keys(tmp_path / "nowhere")
