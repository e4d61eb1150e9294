"""Sweeps on Ray: started by the sweep itself, and a cluster that loses and gains a node."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import optuna
import pytest
from tests.support.sweeps import study

from hydra_study.engines import make_engine
from hydra_study.errors import SweepError

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.ray]
APP = Path(__file__).parents[1] / "support/sweep_app.py"
ALONE = {**os.environ, "RAY_ADDRESS": ""}
OWN_LINES = (
    "study study",
    "  in sweep",
    "trial ",
    f"  {sys.executable} ",
    "  python ",
)  # the last in an active environment
TWO_CORES = "+hydra.sweeper.engine.init.num_cpus=2"


def command(*arguments: str, sweeper: str = "study") -> list[str]:
    given = ["-m", f"hydra/sweeper={sweeper}", "hydra/sweeper/engine=ray", "hydra.sweep.dir=sweep"]
    search = ["hydra/sweeper/sampler=grid", "hydra.sweeper.study_name=study"] if sweeper == "study" else []
    return [sys.executable, str(APP), *given, *search, *arguments]


def start(folder: Path, *arguments: str, sweeper: str = "study", mark: str = "") -> subprocess.Popen[bytes]:
    with (folder / "output.log").open("a") as log:
        return subprocess.Popen(
            command(*arguments, sweeper=sweeper),
            cwd=folder,
            env=ALONE | {"MARK_OF_TEST": f"{folder}{mark}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def numbers(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text().split() if path.exists() else []


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


def left_over(mark: str) -> list[str]:
    """Return the commands of the processes that a sweep has started and that still run."""
    found, variable = [], f"MARK_OF_TEST={mark}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (process / "environ").read_bytes() + b"\0":
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def attempts(found: optuna.Study) -> list[int]:
    return [trial.user_attrs["attempts"] for trial in found.trials]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_cpus": -1}, "engine.num_cpus=-1: must be a number"),
        ({"resources": {"accelerator": "many"}}, "engine.resources.accelerator=many: must be a number"),
        ({"init": {"local_mode": True}}, "engine.init.local_mode: must be one of runtime_env, namespace"),
        ({"address": "ray://cluster:10001"}, "engine.address=ray://cluster:10001: must be HOST:PORT"),
        ({"address": "127.0.0.1:9"}, "Ray at address=127.0.0.1:9: ConnectionRefusedError"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError, match=message):
        make_engine({"kind": "ray", **settings}, Mock(), tmp_path, [])


def test_a_killed_process_loses_its_trial_alone_while_others_are_pruned(tmp_path: Path) -> None:
    pruner = ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=1"]
    given = ["x=range(0,8)", "prune=true", "exit=[3]", *pruner, TWO_CORES, "hydra.sweeper.n_jobs=2"]
    assert start(tmp_path, *given).wait(90) == 0, (tmp_path / "output.log").read_text()
    found = study(tmp_path)
    assert [trial.params["x"] for trial in found.trials] == list(range(8))
    assert attempts(found) == [1, 1, 1, 2, 1, 1, 1, 1]
    assert Counter(numbers(tmp_path, "started.log")) == Counter([*"01234567", "3"])
    assert {trial.state.name for trial in found.trials} == {"COMPLETE", "PRUNED"}
    assert all(trial.user_attrs["worker"] for trial in found.trials)
    assert "hello from 5" in (tmp_path / "sweep/logs/5.log").read_text()
    lines = (tmp_path / "output.log").read_text().splitlines()
    foreign = [line for line in lines if line and not line.startswith(OWN_LINES)]
    assert not foreign  # neither Ray's information nor what it says of a dead worker


def test_a_cluster_loses_a_node_and_gains_one(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        lost = cluster.add_node(num_cpus=1, node_name="lost")
        sweep = start(tmp_path, f"hydra.sweeper.engine.address={cluster.address}", "x=range(0,10)", "seconds=1")
        wait_for(lambda: len(numbers(tmp_path, "started.log")) == 2)
        cluster.remove_node(lost, allow_graceful=False)
        cluster.add_node(num_cpus=1, node_name="added")
        assert sweep.wait(60) == 0, (tmp_path / "output.log").read_text()
    finally:
        cluster.shutdown()
    found = study(tmp_path)
    assert [trial.params["x"] for trial in found.trials] == list(range(10))
    assert {trial.state.name for trial in found.trials} == {"COMPLETE"}
    assert sorted(numbers(tmp_path, "ended.log")) == list("0123456789")
    assert sorted(attempts(found)) == [1] * 9 + [2]
    assert "added" in {trial.user_attrs["worker"] for trial in found.trials}


def test_a_killed_driver_and_an_interrupted_one_are_continued(tmp_path: Path) -> None:
    given = ["x=range(0,6)", "seconds=1.5", TWO_CORES]
    killed = start(tmp_path, *given)
    wait_for(lambda: len(numbers(tmp_path, "ended.log")) == 2 and len(numbers(tmp_path, "started.log")) == 4)
    killed.kill()
    killed.wait()
    before = len(numbers(tmp_path, "started.log"))
    interrupted = start(tmp_path, *given, mark="/interrupted")
    wait_for(lambda: len(numbers(tmp_path, "started.log")) > before)
    assert left_over(f"{tmp_path}/interrupted")
    os.killpg(interrupted.pid, signal.SIGINT)
    assert interrupted.wait(20) == 130
    assert "stopped: the same command continues from here" in (tmp_path / "output.log").read_text()
    wait_for(lambda: not left_over(f"{tmp_path}/interrupted"), 20)
    assert not [trial for trial in study(tmp_path).trials if trial.state.name in ("RUNNING", "FAIL")]
    assert start(tmp_path, *given).wait(60) == 0
    assert [trial.params["x"] for trial in study(tmp_path).trials] == list(range(6))
    assert sorted(numbers(tmp_path, "ended.log")) == list("012345")


def test_a_time_limit_ends_a_job_of_a_multirun(tmp_path: Path) -> None:
    given = [TWO_CORES, "hydra.sweeper.trial_timeout=4", "hydra.sweeper.engine.num_cpus=0.5"]
    sweep = start(tmp_path, *given, "seconds=0,60", sweeper="multirun")
    assert sweep.wait(60) == 1
    message = "1 of 2 jobs failed; the last, 1: ran for more than 4 seconds (trial_timeout)"
    assert message in (tmp_path / "output.log").read_text()
    assert numbers(tmp_path, "ended.log") == ["0"]


def test_a_job_too_large_for_this_machine_is_refused(tmp_path: Path) -> None:
    assert start(tmp_path, TWO_CORES, "hydra.sweeper.engine.num_cpus=3", "x=1,2").wait(60) == 1
    message = "hydra.sweeper.engine: a job takes CPU 3, and this machine has CPU 2"
    assert message in (tmp_path / "output.log").read_text()


def test_ray_is_imported_only_when_it_is_used() -> None:
    code = "import sys, hydra_study.sweep, hydra_plugins.hydra_study.sweeper; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_first_command_of_the_readme(tmp_path: Path) -> None:
    sweeper = Path(__file__).parents[2] / "sweeper"
    given = "quadratic.py -m hydra/sweeper=study hydra/sweeper/engine=ray 'x=interval(0,6)'"
    assert f"python {given}\n" in (sweeper / "README.md").read_text()
    shutil.copytree(sweeper / "examples", tmp_path / "examples")
    words = [sys.executable, *shlex.split(given), "hydra.sweeper.n_trials=2"]
    done = subprocess.run(words, cwd=tmp_path / "examples", env=ALONE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 complete" in done.stdout
