"""Compare `ziffern serve` with a plain endpoint of FastAPI and torch: `python scripts/benchmark_serve.py RUN`.

Needs the program wrk. Each server answers single images of one run, by 64 connections on this machine. CPU time per
request is that of the server's processes, which other work on the machine hardly changes.
"""

import argparse
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CONNECTIONS, PORT, TICKS = 64, 8917, os.sysconf("SC_CLK_TCK")
LUA = """
local file = io.open("{path}", "rb")
wrk.method, wrk.body, wrk.headers["Content-Type"] = "POST", file:read("*a"), "{kind}"
"""


def plain() -> Any:
    """Return what is usually written first: an endpoint that decodes one picture and runs the model on it."""
    import torch
    from fastapi import FastAPI, Request

    from ziffern.runs.run import Run

    torch.set_num_threads(1)
    model = Run(Path(os.environ["BENCHMARK_RUN"])).load_model().eval()
    app = FastAPI()

    @app.get("/ready")
    def ready() -> str:
        return "ok"

    async def predict(request: Request) -> dict[str, float]:
        pixels = np.array(Image.open(io.BytesIO(await request.body())).convert("L"))
        with torch.inference_mode():
            probability = torch.softmax(model(torch.from_numpy(pixels)[None, None]), 1)[0]
        return {"label": int(probability.argmax()), "probability": float(probability.max())}

    app.post("/predict", response_model=None)(predict)
    predict.__annotations__["request"] = Request
    return app


def command_of(server: str, run: Path, workers: int) -> list[str]:
    """Return the command that starts a server."""
    common = ["--port", str(PORT), "--workers", str(workers)]
    if server == "ziffern serve":
        return [str(Path(sys.executable).with_name("ziffern")), "serve", str(run), *common]
    app = ["--app-dir", str(Path(__file__).parent), "--factory", "benchmark_serve:plain"]
    return [sys.executable, "-m", "uvicorn", *app, *common, "--no-access-log", "--log-level", "warning"]


@contextmanager
def running(command: list[str], run: Path) -> Iterator[int]:
    """Run a server; yield its process id when it is ready."""
    with subprocess.Popen(command, env={**os.environ, "BENCHMARK_RUN": str(run)}, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(1200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process and its children so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(cpu_seconds(int(child)) for child in children)


def milliseconds(text: str, percentile: int) -> float:
    """Return a percentile of the latency in wrk's output."""
    value, unit = re.search(rf"\b{percentile}%\s+([\d.]+)(us|ms|s)\b", text).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def main() -> None:
    """Measure each server and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "PNG")
    bodies = {"image/png": picture.getvalue(), "application/json": json.dumps({"images": [pixels.tolist()]}).encode()}
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"{model[1] if model else platform.processor()}, {os.cpu_count()} cores, Python {platform.python_version()};")
    print(f"wrk, {CONNECTIONS} connections, {options.seconds} s each\n")
    print(
        "| server | workers | body | requests/s | median ms | p99 ms | CPU ms/request |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for server in ("FastAPI + torch", "ziffern serve"):
            for workers in options.workers:
                with running(command_of(server, options.run, workers), options.run) as process:
                    for kind, body in bodies.items() if server == "ziffern serve" else [*bodies.items()][:1]:
                        path, script = Path(folder, "body"), Path(folder, "post.lua")
                        path.write_bytes(body)
                        script.write_text(LUA.format(path=path, kind=kind))
                        wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", "--latency", "-s", str(script)]
                        address = f"http://127.0.0.1:{PORT}/predict"
                        subprocess.run([*wrk, "-d2s", address], capture_output=True, check=True)  # warm up
                        before = cpu_seconds(process)
                        text = subprocess.check_output([*wrk, f"-d{options.seconds}s", address], text=True)
                        assert "Non-2xx" not in text, text
                        count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
                        cpu = (cpu_seconds(process) - before) / count * 1000
                        median, p99 = milliseconds(text, 50), milliseconds(text, 99)
                        row = f"{count / options.seconds:,.0f} | {median:.1f} | {p99:.1f} | {cpu:.2f}"
                        print(f"| {server} | {workers} | {kind} | {row} |", flush=True)


if __name__ == "__main__":
    main()
