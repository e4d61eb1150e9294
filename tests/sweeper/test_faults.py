"""Sweeps in processes of their own, which are killed, stopped, and interrupted."""

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
from tests.support.sweeps import study

import sweep_faults

pytestmark = pytest.mark.slow
APP = Path(__file__).parents[1] / "support/sweep_app.py"
GRID = "hydra/sweeper/sampler=grid"


def command(*arguments: str) -> list[str]:
    given = ["hydra/sweeper=optuna", "hydra.sweep.dir=sweep", "hydra.sweeper.study_name=study"]
    return [sys.executable, str(APP), "-m", *given, "hydra/sweeper/engine=local", *arguments]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a sweep; at the end of the test its processes must be gone."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        with (tmp_path / "output.log").open("a") as log:
            sweep = subprocess.Popen(command(*arguments), cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
        started.append(sweep)
        return sweep

    yield run
    for sweep in started:
        if sweep.poll() is None:
            sweep.kill()
            sweep.wait()
    wait_for(lambda: not sweep_faults.processes(tmp_path), 5)


def workers(sweep: "subprocess.Popen[str]") -> list[int]:
    """Return the workers of a driver, which lead a process group."""
    below = sweep_faults.descendants(sweep.pid)[1:]
    return [process for process in below if os.getpgid(process) == process]


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return study(folder).trials


def started(folder: Path) -> list[str]:
    path = folder / "started.log"
    return path.read_text().split() if path.exists() else []


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("sampler", "n_jobs"), [("grid", 2), ("tpe", 1)])
def test_killed_at_random_moments(tmp_path: Path, sampler: str, n_jobs: int, seed: int) -> None:
    result = sweep_faults.run_study(tmp_path, "local", sampler, n_jobs, random.Random(seed))
    assert result["right"], result


def test_workers_share_the_cores_and_a_killed_one_repeats_its_trial_alone(start, tmp_path: Path) -> None:
    sweep = start(GRID, "x=range(0,8)", "seconds=0.7", "hydra.sweeper.n_jobs=2")
    wait_for(lambda: len(started(tmp_path)) >= 2)
    found = workers(sweep)
    assert len(found) == 2
    limit = max(1, len(os.sched_getaffinity(0)) // 2)
    assert f"OMP_NUM_THREADS={limit}".encode() in Path(f"/proc/{found[0]}/environ").read_bytes()
    os.kill(found[0], signal.SIGKILL)
    assert sweep.wait(60) == 0
    assert [trial.params["x"] for trial in trials(tmp_path)] == list(range(8))
    assert all(trial.state == TrialState.COMPLETE for trial in trials(tmp_path))
    assert sorted(trial.user_attrs["attempts"] for trial in trials(tmp_path)) == [1] * 7 + [2]
    assert len((tmp_path / "ended.log").read_text().split()) == 8


@pytest.mark.parametrize(
    ("n_jobs", "spoil", "tell", "number"),
    [  # A terminal tells all processes, another program the first one alone.
        (1, False, os.killpg, signal.SIGINT),
        (2, False, os.kill, signal.SIGINT),
        (2, True, os.killpg, signal.SIGINT),
        (1, False, os.kill, signal.SIGTERM),
        (2, True, os.killpg, signal.SIGTERM),
    ],
)
def test_an_interrupt_gives_the_trials_back_at_once(
    start, tmp_path: Path, n_jobs: int, spoil: bool, tell: Callable[[int, int], None], number: int
) -> None:
    given = [GRID, "x=range(0,4)", "seconds=1", f"hydra.sweeper.n_jobs={n_jobs}", f"spoil={spoil}"]
    sweep = start(*given)
    wait_for(lambda: len(started(tmp_path)) >= n_jobs)
    tell(sweep.pid, number)
    assert sweep.wait(20) == 128 + number
    wait_for(lambda: not sweep_faults.processes(tmp_path), 5)
    out = (tmp_path / "output.log").read_text()
    assert "stopped: the same command continues from here" in out
    assert "Traceback" not in out
    found = trials(tmp_path)
    assert {trial.state for trial in found} <= {TrialState.WAITING, TrialState.COMPLETE}
    assert [trial.user_attrs["attempts"] for trial in found if trial.state == TrialState.WAITING] == [0] * n_jobs
    assert start(*given).wait(60) == 0
    assert [trial.params["x"] for trial in trials(tmp_path)] == list(range(4))
    assert len((tmp_path / "ended.log").read_text().split()) == 4


def test_an_interrupt_while_the_workers_start(start, tmp_path: Path) -> None:
    sweep = start(GRID, "x=range(0,2)", "hydra.sweeper.n_jobs=2")
    wait_for((tmp_path / "sweep/study.journal").exists)
    time.sleep(0.3)
    os.killpg(sweep.pid, signal.SIGINT)
    assert sweep.wait(20) in (0, 130)
    assert start(GRID, "x=range(0,2)", "hydra.sweeper.n_jobs=2").wait(60) == 0
    assert len((tmp_path / "ended.log").read_text().split()) == 2


def test_a_job_that_ends_its_process_is_no_end_of_the_sweep(start, tmp_path: Path) -> None:
    sweep = start(GRID, "x=range(0,6)", "exit=[2,3]", "hydra.sweeper.n_jobs=2")
    assert sweep.wait(60) == 0
    assert [trial.state for trial in trials(tmp_path)] == [TrialState.COMPLETE] * 6


def test_a_fresh_process_for_each_trial(start, tmp_path: Path) -> None:
    assert start(GRID, "x=range(0,3)", "hydra.sweeper.engine.isolate=true").wait(60) == 0
    logs = [(tmp_path / f"sweep/logs/{number}.log").read_text().split() for number in range(3)]
    assert len({log[log.index("process") + 1] for log in logs}) == 3


def test_a_second_driver_is_refused_and_the_first_goes_on(start, tmp_path: Path) -> None:
    first = start(GRID, "x=range(0,2)", "seconds=3", "hydra.sweeper.n_jobs=1")
    wait_for(lambda: started(tmp_path))
    assert start(GRID, "x=range(0,2)", "seconds=3").wait(60) == 1
    out = (tmp_path / "output.log").read_text()
    assert f"sweep: this sweep is running already, in process {first.pid} on " in out
    assert "Traceback" not in out
    assert first.wait(60) == 0
    assert len(started(tmp_path)) == 2


def test_a_trial_that_lasts_too_long_fails_alone(start, tmp_path: Path) -> None:
    sweep = start(GRID, "x=range(0,3)", "slow=[1]", "hydra.sweeper.trial_timeout=4", "hydra.sweeper.n_jobs=2")
    assert sweep.wait(90) == 0
    found = trials(tmp_path)
    assert [trial.state.name for trial in found] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert found[1].user_attrs["error"] == "ran for more than 4 seconds (trial_timeout)"


def test_a_trial_that_kills_its_workers_fails_in_the_end_and_delays_no_other(start, tmp_path: Path) -> None:
    sweep = start(GRID, "x=range(0,6)", "poison=[1]", "hydra.sweeper.max_attempts=3", "hydra.sweeper.n_jobs=1")
    assert sweep.wait(90) == 0
    found = trials(tmp_path)
    assert [trial.state.name for trial in found] == ["COMPLETE", "FAIL"] + ["COMPLETE"] * 4
    assert found[1].user_attrs["error"] == "its process died 3 times"
    assert started(tmp_path) == list("01234511")


def test_a_stopped_worker_goes_on_and_a_stopped_driver_too(start, tmp_path: Path) -> None:
    sweep = start(GRID, "x=range(0,4)", "seconds=1", "hydra.sweeper.n_jobs=2")
    wait_for(lambda: len(started(tmp_path)) >= 2)
    worker = workers(sweep)[0]
    os.kill(worker, signal.SIGSTOP)
    time.sleep(2)
    os.kill(sweep.pid, signal.SIGSTOP)
    os.kill(worker, signal.SIGCONT)
    time.sleep(2)
    os.kill(sweep.pid, signal.SIGCONT)
    assert sweep.wait(60) == 0
    assert len(started(tmp_path)) == 4


def test_a_worker_that_is_stopped_for_good_is_ended_by_the_time_limit(start, tmp_path: Path) -> None:
    sweep = start(GRID, "x=range(0,3)", "seconds=0.5", "hydra.sweeper.n_jobs=1", "hydra.sweeper.trial_timeout=5")
    wait_for(lambda: started(tmp_path))
    os.kill(workers(sweep)[0], signal.SIGSTOP)
    assert sweep.wait(60) == 0
    assert [trial.state.name for trial in trials(tmp_path)] == ["FAIL", "COMPLETE", "COMPLETE"]


def test_the_workers_of_a_killed_driver_end_with_all_that_they_started(start, tmp_path: Path) -> None:
    sweep = start(GRID, "x=range(0,4)", "seconds=30", "children=true", "hydra.sweeper.n_jobs=2")
    wait_for(lambda: len(list(tmp_path.glob("child.*"))) == 2)
    alive = [int(path.suffix[1:]) for path in tmp_path.glob("child.*")] + workers(sweep)
    assert len(alive) == 4
    assert set(alive) <= set(sweep_faults.processes(tmp_path))
    sweep.kill()
    wait_for(lambda: not set(alive) & set(sweep_faults.processes(tmp_path)), 2)


def test_a_mistake_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        command("x=range(0,3)", "hydra.sweeper.storage=sqlite:///study.db"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    line, _, hydras_own = done.stderr.strip().partition("\n\n")
    assert line.startswith("hydra.sweeper.storage=sqlite:///study.db: must be null")
    assert "\n" not in line
    assert hydras_own.startswith("Set the environment variable HYDRA_FULL_ERROR=1")
