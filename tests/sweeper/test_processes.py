"""What runs where: each process that executes user code, and what a job finds in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
HEADER = """
import os, sys
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

HERE = Path(__file__).parent
with (HERE / "module.txt").open("a") as file:
    print(os.getpid(), file=file)
"""
DECORATED = '@hydra.main(version_base="1.3", config_path=str(HERE))\n'
MAIN = '\nif __name__ == "__main__":\n    main()\n'
MULTIRUN = ("hydra/sweeper=multirun", "hydra.sweeper.n_jobs=2", "hydra.sweep.dir=sweep")
SEARCH = ("hydra/sweeper=study", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=2", "hydra.sweep.dir=sweep")


@pytest.fixture
def call(tmp_path: Path):
    """Run a Python program in an empty folder; return its exit code and all that it printed."""

    def run(*words: str, **variables: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return done.returncode, done.stdout

    return run


@pytest.fixture
def app(tmp_path: Path, call):
    """Run `python app.py -m ARGS` with a job of these lines."""

    def run(body: str, *arguments: str, **variables: str) -> tuple[int, str]:
        lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
        (tmp_path / "app.py").write_text(f"{HEADER}{DECORATED}def main(cfg):\n{lines}{MAIN}")
        return call("app.py", "-m", *arguments, **variables)

    return run


def pids(path: Path) -> list[str]:
    return path.read_text().split()


def test_two_sweeps_in_one_script(tmp_path: Path, call) -> None:
    script = f"""{HEADER}
import time
@hydra.main(version_base="1.3", config_path=str(HERE))
def main(cfg):
    with (HERE / "jobs.txt").open("a") as file:
        print(os.getpid(), file=file)
    time.sleep(0.5)
    return cfg.x

sys.argv[1:] = ["-m", *{MULTIRUN!r}, "+x=1,2,3,4"]
main()
sys.argv[1:] = ["-m", *{SEARCH[:-1]!r}, "hydra.sweep.dir=search", "+x=1,2,3,4"]
main()
with (HERE / "after.txt").open("a") as file:
    print(os.getpid(), file=file)
"""
    (tmp_path / "app.py").write_text(script)
    code, output = call("app.py")
    assert code == 0, output
    assert len(pids(tmp_path / "jobs.txt")) == 8
    assert len(set(pids(tmp_path / "jobs.txt"))) == 4
    driver = pids(tmp_path / "module.txt")
    assert len(driver) == 1
    assert pids(tmp_path / "after.txt") == driver
    assert driver[0] not in pids(tmp_path / "jobs.txt")


@pytest.mark.parametrize("settings", [MULTIRUN, SEARCH])
def test_under_pytest(settings: tuple[str, ...], tmp_path: Path, call) -> None:
    (tmp_path / "app.py").write_text(f"{HEADER}{DECORATED}def main(cfg):\n    return cfg.x\n{MAIN}")
    test = f"""
import app

def test_sweep(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py", "-m", *{settings!r}, "+x=1,2"])
    app.main()
    assert (tmp_path / "sweep" / "1" / ".hydra").is_dir()
"""
    (tmp_path / "test_app.py").write_text(test)
    code, output = call("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py")
    assert code == 0, output
    assert "1 passed" in output


@pytest.mark.parametrize("settings", [MULTIRUN, (*SEARCH, "hydra/sweeper/engine=inline")])
def test_jobs_that_fork(settings: tuple[str, ...], app) -> None:
    """Ten jobs fork a pool and start a program, twice each."""
    body = """
import multiprocessing, subprocess
for _ in range(2):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3]
    assert subprocess.run(["echo", "hello"], capture_output=True, text=True, check=True).stdout == "hello\\n"
return 0
"""
    code, output = app(body, *settings, "+x=range(10)")
    assert code == 0, output
    assert "10/10" in output


@pytest.mark.parametrize(("value", "shown"), [("float('inf')", "inf"), ("None", "done"), ("'a text'", "done")])
def test_what_a_job_of_a_multirun_returns(value: str, shown: str, app) -> None:
    code, output = app(f"return {value}", *MULTIRUN, "+x=1,2")
    assert code == 0, output
    assert output.count(f"  {shown} ") == 2


def test_a_search_ranks_infinity_last(app, tmp_path: Path) -> None:
    code, output = app("return float('inf') if cfg.x == 1 else -cfg.x", *SEARCH, "+x=1,2,3")
    assert code == 0, output
    assert "trial 2: -3" in output
    code, output = app("return None", *SEARCH, "hydra.sweep.dir=other", "+x=1,2,3")
    assert code == 1
    assert "every trial failed; the last: the job returned None: must be a number" in output


def test_globals_that_cannot_be_sent(tmp_path: Path, call) -> None:
    lines = "import threading\nLOCK = threading.Lock()\n"
    body = "def main(cfg):\n    with LOCK:\n        return cfg.x\n"
    (tmp_path / "app.py").write_text(HEADER + lines + DECORATED + body + MAIN)
    code, output = call("app.py", "-m", *MULTIRUN, "+x=1,2")
    assert code == 1
    assert "Traceback" not in output
    assert "cannot pickle '_thread.lock' object" in output
    code, output = call("app.py", "-m", *MULTIRUN, "+x=1,2", "hydra/sweeper/engine=inline")  # as the message advises
    assert code == 0, output
    (tmp_path / "own.py").write_text(lines)
    (tmp_path / "app.py").write_text(HEADER + "import own\n" + DECORATED + body.replace("LOCK", "own.LOCK") + MAIN)
    code, output = call("app.py", "-m", *MULTIRUN, "hydra.sweep.dir=other", "+x=1,2")  # the message's other advice
    assert code == 0, output


@pytest.mark.parametrize("chdir", ["true", "false"])
def test_what_a_job_finds(chdir: str, app, tmp_path: Path) -> None:
    body = """
(HERE / f"found.{cfg.x}").write_text("\\n".join([
    " ".join(sys.argv), os.getcwd(), os.environ["GIVEN"], hydra.utils.get_original_cwd(), str(cfg.x), __name__
]))
print("to its log")
return cfg.x
"""
    code, output = app(body, *MULTIRUN, f"hydra.job.chdir={chdir}", "+x=1,2", "++y=3", GIVEN="by the shell")
    assert code == 0, output
    assert "to its log" not in output
    assert "to its log\n" in (tmp_path / "sweep/logs/1.log").read_text()
    argv, cwd, given, original, x, name = (tmp_path / "found.2").read_text().split("\n")
    words = argv.split()
    assert words[0] == "app.py"
    assert {"+x=2", "++y=3", "hydra/sweeper=multirun"} <= set(words)
    assert "-m" not in words
    assert cwd == str(tmp_path / "sweep" / "1" if chdir == "true" else tmp_path)
    assert (given, original, x, name) == ("by the shell", str(tmp_path), "2", "__main__")


def test_a_job_in_a_package(tmp_path: Path, call) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").touch()
    (tmp_path / "pkg/jobs.py").write_text("def train(cfg):\n    return cfg.x\n")
    wrapped = f'from pkg.jobs import train\nmain = hydra.main(version_base="1.3", config_path=str(HERE))(train)\n{MAIN}'
    (tmp_path / "pkg/app.py").write_text(HEADER + wrapped)
    for settings in (MULTIRUN, (*SEARCH, "hydra.sweep.dir=search")):
        code, output = call("-m", "pkg.app", "-m", *settings, "+x=1,2")
        assert code == 0, output
        assert "2/2" in output
    assert len(pids(tmp_path / "pkg/module.txt")) == 2  # the driver of each, and no worker
