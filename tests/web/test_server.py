"""The server as a process: options, stopping, workers."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.support.web import IMAGES, png

from ziffern.cli import main as cli
from ziffern.deploy import extra
from ziffern.errors import InputError
from ziffern.runs.run import Run
from ziffern.web.limits import Limits
from ziffern.web.server import serve
from ziffern.web.sockets import address_of, free_socket

RUN = Path(__file__).parents[1] / "fixtures/runs_0_1_0/finished_cnn"
BODY = png(IMAGES[0])
PROGRAM = "from ziffern.cli.main import main\nif __name__ == '__main__':\n    main()\n"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"port": 65536}, "web.server.port"),
        ({"workers": 0}, "web.server.workers"),
        ({"workers": 10**6}, "web.server.workers"),
        ({"limits": Limits(max_body=0)}, "web.server.limit"),
        ({"host": "192.0.2.1"}, "web.sockets.no_free_port"),
        ({"host": "no such name"}, "web.sockets.no_free_port"),
        ({"keys_file": Path("nowhere")}, "files.unreadable.failed"),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError) as refused:
        serve(Run(RUN), **{"host": "127.0.0.1", "port": 8000} | options)
    assert refused.value.code == code


def test_a_port_in_use_is_refused_before_the_model_is_loaded() -> None:
    with free_socket("127.0.0.1", 0, tries=1) as taken, pytest.raises(InputError) as refused:
        serve(Run(Path("nowhere")), "127.0.0.1", taken.getsockname()[1])
    assert refused.value.code == "web.sockets.no_free_port"
    assert str(refused.value).count("127.0.0.1") == 1


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_the_address_can_be_opened_on_this_machine(host: str, shown: str) -> None:
    with free_socket(host, 0, tries=1) as listening:
        assert address_of(listening) == f"http://{shown}:{listening.getsockname()[1]}/"


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, capsys) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "uvicorn" else True)
    monkeypatch.setattr(sys, "argv", ["ziffern", "serve", str(RUN)])
    with pytest.raises(SystemExit):
        cli.main()
    message = capsys.readouterr().err
    assert "pip install 'ziffern[serve]'" in message
    assert message.count("\n") == 1


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """Start the command in a process; yield it and its port, and kill what is left of it."""
    script = tmp_path / "ziffern_serve.py"
    script.write_text(PROGRAM)
    command = [sys.executable, "-W", "error::UserWarning:ziffern", str(script), "serve", str(RUN), "--port", "0"]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            lines = []
            while not lines or not lines[-1].startswith("ziffern serve: finished_cnn at http://127.0.0.1:"):
                lines.append(process.stdout.readline())
                assert lines[-1], lines
            port = int(lines[-1].split("http://127.0.0.1:")[1].split("/")[0])
            process.notes = "".join(lines)  # type: ignore[attr-defined]
            wait_until_ready(port)
            yield process, port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_ready(port: int) -> None:
    for _ in range(600):
        try:
            if ask(port, "GET", "/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail("the server did not start")


def ask(port: int, method: str = "POST", path: str = "/predict", body: bytes = BODY) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body if method == "POST" else None, {"Content-Type": "image/png"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.slow
def test_workers_share_figures_and_are_replaced_and_stopped(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2", "--host", "0.0.0.0") as (process, port):
        assert "without --keys" in process.notes  # type: ignore[attr-defined]
        for _ in range(20):
            assert ask(port)[0] == 200
        assert b'ziffern_requests_total{status="200"} 20.0' in ask(port, "GET", "/metrics")[1]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        for _ in range(5):
            assert ask(port)[0] == 200
            time.sleep(0.2)
        stop_during_requests(process, port)


def test_a_worker_does_not_outlive_a_killed_server() -> None:
    child = "import sys, time; from ziffern.web.server import worker; worker(print, int(sys.argv[1])); time.sleep(60)"
    code = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid())], start_new_session=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout
        assert server.stdout.read(1) == b"\n"  # by the worker
        server.kill()
        start = time.monotonic()
        server.stdout.read()  # until the worker has closed it, too
        assert time.monotonic() - start < 30


def stop_during_requests(process: subprocess.Popen, port: int) -> None:
    """Send many requests, and SIGTERM while six are arriving; check that all are answered."""
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(ask(port)[0])) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 32
    started = []
    for _ in range(6):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Type", "image/png")
        connection.putheader("Content-Length", str(len(BODY)))
        connection.endheaders(BODY[:50])
        started.append(connection)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    for connection in started:
        connection.send(BODY[50:])
    answers = [connection.getresponse() for connection in started]
    assert [answer.status for answer in answers] == [200] * 6
    assert all(b'"label"' in answer.read() for answer in answers)
    for connection in started:
        connection.close()
    assert process.wait(30) == 0
    assert process.stdout
    assert "Traceback" not in process.stdout.read()
    with pytest.raises(OSError, match="refused"):
        ask(port)
