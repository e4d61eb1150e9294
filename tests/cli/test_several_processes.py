"""DDP as its users start it, with two processes on the CPU: started in all ways, killed, and searched."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.digits import synthetic_digits

from ziffern.experiment.evaluation import evaluate
from ziffern.runs.run import Run
from ziffern.search.study import open_study

ROOT = Path(__file__).parents[2]
PYTHON = (str(ROOT / "train.py"),)
ZIFFERN = ("-c", "import sys; sys.argv[0] = 'ziffern'; from ziffern.cli.main import main; main()", "train")
TORCHRUN = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", str(ROOT / "train.py"))
SMALL = ("model=nn", "model.net.hidden=[8]", "threads=1", "logger=none", "report=null")
LONG = ("data=mnist5k", *SMALL, "trainer=ddp_sim", "trainer.max_epochs=12")  # 0.3 s per epoch
MAX_WAIT = 240.0  # seconds for a start on a busy machine
MAX_END = 30.0  # seconds, after one process was killed
pytestmark = pytest.mark.slow
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command in a process group of its own; nothing of it is left after the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, script: tuple[str, ...] = PYTHON) -> "subprocess.Popen[str]":
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, *script, *arguments]
        started.append(subprocess.Popen(command, cwd=tmp_path, text=True, start_new_session=True, **output))
        return started[-1]

    yield begin
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        process.wait()


@pytest.fixture(scope="module")
def odd_digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Images to train, validate and test that two processes cannot share out evenly; the settings that name them."""
    path = tmp_path_factory.mktemp("data") / "odd.npz"
    (x_train, y_train), (x_test, y_test) = synthetic_digits(307, seed=1), synthetic_digits(101, seed=2)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return "data=local", f"data.dir={path}"


def done(process: "subprocess.Popen[str]", code: int = 0) -> str:
    """Wait for a process and return its output."""
    output, errors = process.communicate(timeout=MAX_WAIT)
    assert process.returncode == code, errors
    return output + errors


def until(condition: Callable[[], object], seconds: float = MAX_WAIT) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def rows(folder: Path) -> list[str]:
    """The lines of a run's epochs."""
    path = folder / "history.csv"
    return path.read_text().splitlines()[1:] if path.is_file() else []


def state(pid: int) -> list[str]:
    """State, parent, process group and so on of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def everyone() -> dict[int, list[str]]:
    states = {int(path.name): state(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    return {pid: known for pid, known in states.items() if known and known[0] != "Z"}


def other_process(session: int, folder: str) -> int:
    """The process that DDP has started for a run folder; 0 if there is none."""
    for pid, known in everyone().items():
        if known[3] == str(session):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            if "hydra.job.name=train_ddp_process_1" in command and folder in command:
                return pid
    return 0


def processes(session: int) -> list[int]:
    return [pid for pid, known in everyone().items() if known[3] == str(session)]


def error_lines(text: str) -> list[str]:
    assert "Traceback" not in text
    return [line for line in text.splitlines() if line.startswith("error: ")]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def same_weights(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    return all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def one_process(odd_digits: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one process that takes as many images per step as two do."""
    folder = tmp_path_factory.mktemp("one")
    settings = (*odd_digits, *SMALL, "trainer=cpu", "trainer.max_epochs=2", "data.batch_size=32")
    subprocess.run([sys.executable, *PYTHON, *settings, "hydra.run.dir=r"], cwd=folder, check=True, capture_output=True)
    return Run(folder / "r")


TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=2", "data.batch_size=16")
NODES = ("-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1")


@pytest.mark.parametrize("way", ["python", "ziffern", "torchrun", "static", "c10d"])
def test_two_processes_train_like_one(
    start: Start, one_process: Run, odd_digits: tuple[str, ...], tmp_path: Path, way: str
) -> None:
    """Every image takes part once per epoch and score, however the processes are started."""
    settings, scripts = (*odd_digits, *SMALL, *TWO), {"python": PYTHON, "ziffern": ZIFFERN, "torchrun": TORCHRUN}
    if way in scripts:
        output = done(start(*settings, script=scripts[way]))
    else:  # two "machines"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        place = {"static": ("--master-addr=127.0.0.1", f"--master-port={port}")}.get(
            way, ("--rdzv-id=test", f"--rdzv-endpoint=127.0.0.1:{port}")
        )
        nodes = [
            start(
                *settings,
                *("+trainer.num_nodes=2", "trainer.devices=1"),
                script=(*NODES, f"--rdzv-backend={way}", f"--node-rank={number}", *place, *PYTHON),
            )
            for number in (0, 1)
        ]
        output = "".join(done(node) for node in nodes)
    (folder,) = (tmp_path / "outputs/runs").iterdir()
    run = Run(folder)
    assert output.count("Test accuracy") == 1, "only the first process prints"
    assert json.loads((folder / "environment.json").read_text())["devices"] == 2
    assert run.metrics["data/val"] % 2 == run.metrics["data/test"] % 2 == 1, "not shared out evenly"
    for row, expected in zip(run.history, one_process.history, strict=True):
        for name in ("epoch", "step", "train/acc", "val/acc", "train/loss", "val/loss"):
            assert math.isclose(row[name], expected[name], rel_tol=1e-3), name
    assert run.metrics["test/total"] == run.metrics["data/test"], "none twice"
    assert math.isclose(run.metrics["test/loss"], one_process.metrics["test/loss"], rel_tol=1e-3)
    if way == "python":  # one process scores the same weights
        best = max(run.history, key=lambda row: row["val/acc"])
        for part, scores in {"val": best, "test": run.metrics}.items():
            scored = Run(evaluate(run, part=part, output=tmp_path / part)).metrics
            assert math.isclose(scored["test/loss"], scores[f"{part}/loss"], abs_tol=2e-7)
            assert math.isclose(scored["test/acc"], scores[f"{part}/acc"], abs_tol=2e-7)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    subprocess.run([sys.executable, *PYTHON, *LONG, "hydra.run.dir=r"], cwd=folder, check=True, capture_output=True)
    return folder / "r"


def test_a_killed_process_ends_the_run_which_the_same_command_continues(
    start: Start, tmp_path: Path, uninterrupted: Path
) -> None:
    run, lines = tmp_path / "r", []
    for end, code in (("other", 128 + signal.SIGKILL), ("first", -signal.SIGKILL), ("all", 128 + signal.SIGTERM)):
        before, process = len(rows(run)), start(*LONG, "hydra.run.dir=r")
        until(lambda: len(rows(run)) > before or process.poll() is not None)  # noqa: B023
        if end == "all":  # as torchrun, or a system that shuts down
            os.killpg(process.pid, signal.SIGTERM)
        else:
            os.kill(process.pid if end == "first" else other_process(process.pid, "r"), signal.SIGKILL)
        until(lambda: not processes(process.pid), MAX_END)  # noqa: B023
        lines += error_lines(done(process, code))
    assert not (run / "metrics.json").exists()
    hint = "continue with the same command and ckpt_path=r/checkpoints/last.ckpt"
    assert lines == [
        "error: process 1 of this training was killed (SIGKILL), perhaps because memory ran out, so the others were "
        f"ended: {hint}",
        f"error: the first process of this training has ended, so the others were ended: {hint}",
    ]
    assert "continuing after epoch" in done(start(*LONG, "hydra.run.dir=r"))
    assert same_weights(run, uninterrupted)


@pytest.mark.parametrize("kills_first", [False, True])
def test_a_process_killed_at_the_start_keeps_no_other_waiting(start: Start, kills_first: bool) -> None:
    process = start(*LONG, "hydra.run.dir=r")
    until(lambda: other_process(process.pid, "r"))
    os.kill(process.pid if kills_first else other_process(process.pid, "r"), signal.SIGKILL)
    until(lambda: not processes(process.pid), MAX_END)
    output = done(process, -signal.SIGKILL if kills_first else 128 + signal.SIGKILL)
    assert len(error_lines(output)) == 1
    assert "run the same command again" in output


def test_a_search_prunes_and_survives_killed_processes(
    start: Start, odd_digits: tuple[str, ...], tmp_path: Path
) -> None:
    grid = ("hydra/sweeper=ziffern", "hydra/sweeper/sampler=grid", "hydra/sweeper/pruner=median")
    lr = ("hydra.sweeper.pruner.n_startup_trials=1", "model.optimizer.lr=choice(0.000001,0.0000001,0.01)")
    search = start(
        "-m", *odd_digits, *SMALL, "trainer=ddp_sim", "trainer.max_epochs=4", *grid, *lr, "hydra.sweep.dir=s"
    )
    for number, kills_first in ((0, False), (1, True)):
        until(lambda: other_process(search.pid, f"s/{number}"))  # noqa: B023
        other = other_process(search.pid, f"s/{number}")
        os.kill(int(state(other)[1]) if kills_first else other, signal.SIGKILL)
        until(lambda: not state(other) or state(other)[0] == "Z", MAX_END)  # noqa: B023
    done(search)
    until(lambda: not processes(search.pid), MAX_END)
    trials = open_study(tmp_path / "s").trials
    assert [trial.state.name for trial in trials] == ["PRUNED", "PRUNED", "COMPLETE"], "retried after the last"
    assert [len(rows(tmp_path / f"s/{number}")) for number in range(3)] == [1, 1, 4]
    assert "process 1 of this training was killed" in (tmp_path / "s/logs/0.log").read_text()
    assert not (tmp_path / "outputs").exists()


def test_a_multirun_of_two_processes_each(start: Start, odd_digits: tuple[str, ...], tmp_path: Path) -> None:
    """Each job has processes of its own, also where the jobs share the first one."""
    ddp = ("trainer=ddp_sim", "trainer.max_epochs=1", "hydra.sweep.dir=m", "hydra/sweeper/engine=inline")
    output = done(start("-m", *odd_digits, *SMALL, *ddp, "model.optimizer.lr=0.005,0.01", script=ZIFFERN))
    assert "m/comparison.html" in output
    for number, rate in enumerate(("0.005", "0.01")):
        run = tmp_path / f"m/{number}"
        assert json.loads((run / "environment.json").read_text())["devices"] == 2
        assert f"model.optimizer.lr={rate}" in (run / ".hydra/overrides.yaml").read_text()


def test_processes_that_do_not_train_together_are_refused(start: Start, odd_digits: tuple[str, ...]) -> None:
    output = done(start(*odd_digits, *SMALL, "trainer=cpu", script=TORCHRUN), 1)
    assert output.count("error: 2 processes were started, but the trainer uses 1: use trainer=ddp") == 1


def test_a_mistake_is_one_line(start: Start, odd_digits: tuple[str, ...]) -> None:
    output = done(start(*odd_digits, *SMALL, "trainer=ddp_sim", "+trainer.limit_val_batches=0.1"), 2)
    (line,) = error_lines(output)
    assert line.startswith("error: trainer.limit_val_batches=0.1")
