"""Sweeps in processes of their own, which are killed, interrupted, or run on several machines."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import postgres
import sweep_faults

pytestmark = pytest.mark.slow
APP = Path(__file__).parents[1] / "support/sweep_app.py"
# Another machine, as far as the sweeper can tell.
ELSEWHERE = "import runpy, socket, sys; socket.gethostname = lambda: {host!r}; sys.argv = sys.argv[1:]; "
ELSEWHERE += "runpy.run_path(sys.argv[0], run_name='__main__')"


def command(*arguments: str, host: str | None = None) -> list[str]:
    program = [sys.executable, "-c", ELSEWHERE.format(host=host)] if host else [sys.executable]
    given = ["-m", "hydra/sweeper=optuna", "hydra.sweep.dir=sweep", "hydra.sweeper.study_name=study"]
    return [*program, str(APP), *given, *arguments]


def start(folder: Path, *arguments: str, host: str | None = None) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    line = command(*arguments, host=host)
    with (folder / "output.log").open("a") as log:
        return subprocess.Popen(line, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return sweep_faults.read_trials(f"journal:{folder / 'sweep/study.journal'}")


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        yield url


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("storage", "sampler", "n_jobs"), [("", "grid", 2), ("sqlite:///study.db", "tpe", 2)])
def test_killed_at_random_moments(tmp_path: Path, storage: str, sampler: str, n_jobs: int, seed: int) -> None:
    result = sweep_faults.run_study(tmp_path, sampler, n_jobs, storage, random.Random(seed))
    assert result["right"], result


@pytest.mark.postgres
def test_killed_at_random_moments_on_postgres(tmp_path: Path, database: str) -> None:
    result = sweep_faults.run_study(tmp_path, "grid", 2, database, random.Random(3))
    assert result["right"], result


@pytest.mark.postgres
def test_another_machine_finishes_the_trial_of_a_dead_one(tmp_path: Path, database: str) -> None:
    # The password comes from the environment, and no file has it.
    os.environ["STUDY"] = database.replace("ziffern@", "ziffern:secret-word@")
    given = ["hydra.sweeper.storage='${oc.env:STUDY}'", "hydra.sweeper.grace_period=4", "hydra.sweeper.study_name=two"]
    given += ["x=interval(0,6)", "seconds=1", "hydra.sweeper.n_trials=6"]
    folders = tmp_path / "a", tmp_path / "b"
    one = start(folders[0], *given, host="a")
    other = start(folders[1], *given, host="b")

    def study() -> list[optuna.trial.FrozenTrial]:
        return sweep_faults.read_trials(database, "two")

    wait_for(lambda: (folders[0] / "started.log").exists() and (folders[1] / "started.log").exists())
    one.kill()
    one.wait()
    lost = [t.number for t in study() if t.state == TrialState.RUNNING and t.user_attrs["owner"]["host"] == "a"]
    assert other.wait(60) == 0
    found = study()
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * 6
    assert len({trial.params["x"] for trial in found}) == 6
    assert [found[number].user_attrs["owner"]["attempt"] for number in lost] == [2] * len(lost) != []
    text = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    assert "oc.env:STUDY" in text
    assert "secret-word" not in text


def test_workers_share_the_cores_and_replace_one_that_was_killed(tmp_path: Path) -> None:
    sweep = start(tmp_path, "hydra/sweeper/sampler=grid", "x=range(0,8)", "seconds=0.5", "hydra.sweeper.n_jobs=2")
    wait_for((tmp_path / "started.log").exists)
    found = subprocess.run(["pgrep", "-P", str(sweep.pid)], capture_output=True, text=True, check=True).stdout.split()
    assert len(found) == 2
    environment = Path(f"/proc/{found[0]}/environ")
    if environment.exists():
        limit = max(1, len(os.sched_getaffinity(0)) // 2)
        assert f"OMP_NUM_THREADS={limit}".encode() in environment.read_bytes()
    os.kill(int(found[0]), signal.SIGKILL)
    assert sweep.wait(60) == 0
    assert [trial.params["x"] for trial in trials(tmp_path)] == list(range(8))
    assert all(trial.state == TrialState.COMPLETE for trial in trials(tmp_path))


@pytest.mark.parametrize(
    ("n_jobs", "spoil", "tell", "number"),
    [  # A terminal tells all processes, another program the first one alone.
        (1, False, os.killpg, signal.SIGINT),
        (2, False, os.killpg, signal.SIGINT),
        (2, False, os.kill, signal.SIGINT),
        (1, True, os.killpg, signal.SIGINT),
        (2, True, os.killpg, signal.SIGINT),
        (1, False, os.kill, signal.SIGTERM),
        (2, False, os.kill, signal.SIGTERM),
        (2, True, os.killpg, signal.SIGTERM),
    ],
)
def test_an_interrupt_gives_the_trial_back_at_once(
    tmp_path: Path, n_jobs: int, spoil: bool, tell: Callable[[int, int], None], number: int
) -> None:
    given = ["hydra/sweeper/sampler=grid", "x=range(0,4)", "seconds=1", f"hydra.sweeper.n_jobs={n_jobs}"]
    given += [f"spoil={spoil}"]
    sweep = start(tmp_path, *given)
    wait_for((tmp_path / "started.log").exists)
    tell(sweep.pid, number)
    assert sweep.wait(20) == 128 + number
    assert "stopped: the same command continues from here" in (tmp_path / "output.log").read_text()
    assert not [trial for trial in trials(tmp_path) if trial.state in (TrialState.RUNNING, TrialState.FAIL)]
    assert start(tmp_path, *given).wait(60) == 0
    assert [trial.params["x"] for trial in trials(tmp_path)] == list(range(4))


def test_a_job_that_ends_its_process_is_no_end_of_the_sweep(tmp_path: Path) -> None:
    sweep = start(tmp_path, "hydra/sweeper/sampler=grid", "x=range(0,6)", "exit=[2,3]", "hydra.sweeper.n_jobs=2")
    assert sweep.wait(60) == 0
    assert [trial.state for trial in trials(tmp_path)] == [TrialState.COMPLETE] * 6


def test_a_fresh_process_for_each_trial(tmp_path: Path) -> None:
    sweep = start(tmp_path, "hydra/sweeper/sampler=grid", "x=range(0,3)", "hydra.sweeper.isolate=true")
    assert sweep.wait(60) == 0
    owners = {trial.user_attrs["owner"]["lock"] for trial in trials(tmp_path)}
    assert len(owners) == 3


def test_a_mistake_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        command("x=range(0,3)", "hydra.sweeper.storage=postgresql+psycopg://nobody@127.0.0.1:9/none"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    line, _, hydras_own = done.stderr.strip().partition("\n\n")
    assert line.startswith("the study's storage: connection failed")
    assert "\n" not in line
    assert hydras_own.startswith("Set the environment variable HYDRA_FULL_ERROR=1")
