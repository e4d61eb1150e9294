"""Searches by SLURM jobs: on submitit's local executor, and on a real SLURM of one node."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import slurm, sweep_app
from tests.support.sweeps import states, study

from hydra_study.engines import Outcome
from hydra_study.engines.slurm import Slurm
from hydra_study.errors import SweepError
from hydra_study.multirun import Multirun

ENGINE = [
    "hydra/sweeper=study",
    "hydra/sweeper/engine=slurm",
    "hydra.sweep.dir=sweep",
    "hydra.sweeper.study_name=study",
]
QUICK = ["hydra.sweeper.engine.cluster=local", "hydra.sweeper.engine.max_jobs=3"]
PRUNE = ["prune=true", "hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=2"]
MAX_WAIT = 120.0  # seconds


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a driver; at the end kill those that are left."""
    drivers = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        shutil.copy(sweep_app.__file__, tmp_path)
        command = [sys.executable, "sweep_app.py", "-m", *ENGINE, *arguments]
        with Path("output.log").open("w") as output:  # no pipe: jobs inherit it
            drivers.append(subprocess.Popen(command, stdout=output, stderr=output))
        return drivers[-1]

    yield begin
    for driver in drivers:
        end(driver, signal.SIGKILL)


def end(driver: subprocess.Popen[bytes], number: int) -> int:
    driver.send_signal(number)
    return driver.wait(MAX_WAIT)


def finish(driver: subprocess.Popen[bytes]) -> None:
    assert driver.wait(MAX_WAIT) == 0, Path("output.log").read_text()


def started() -> list[int]:
    file = Path("started.log")
    return sorted(map(int, file.read_text().split())) if file.exists() else []


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + MAX_WAIT
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.2)


def running() -> list[str]:
    """Return the processes of local jobs."""
    lines = subprocess.run(
        ["ps", "-ww", "-eo", "args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in lines if str(Path("cache").absolute()) in line]


@pytest.mark.slow
def test_a_driver_that_is_killed_finds_its_jobs_again(start):
    arguments = [*QUICK, *PRUNE, "hydra.sweeper.n_trials=7", "seconds=4", "x=interval(0,5)"]
    for jobs in (2, 5):
        driver = start(*arguments)
        until(lambda jobs=jobs: len(started()) >= jobs)
        end(driver, signal.SIGKILL)
        assert running()
    finish(start(*arguments))
    assert started() == list(range(7))
    assert set(states(study())) <= {"COMPLETE", "PRUNED"}
    assert {trial.user_attrs["attempts"] for trial in study().trials} == {1}
    assert any(trial.intermediate_values for trial in study().trials)


@pytest.mark.slow
def test_a_job_that_dies_is_run_again_and_a_late_one_is_ended(start):
    grid = ["hydra/sweeper/sampler=grid", "hydra.sweeper.trial_timeout=12", "hydra.sweeper.max_failures=null"]
    finish(start(*QUICK, *grid, "x=1", "seconds=choice(0,600)", "exit=[0]"))
    trials = study().trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL"]
    assert [trial.user_attrs["attempts"] for trial in trials] == [2, 1]
    assert "trial_timeout" in trials[1].user_attrs["error"]
    assert "ended without a result" in Path("sweep/logs/0.log").read_text()
    until(lambda: not running())


@pytest.mark.slow
def test_an_interrupt_ends_all_jobs_and_the_command_continues(start):
    driver = start(*QUICK, "hydra.sweeper.n_trials=2", "seconds=6", "x=interval(0,5)")
    until(lambda: len(started()) == 2)
    assert end(driver, signal.SIGINT) == 128 + signal.SIGINT
    until(lambda: not running())
    finish(start(*QUICK, "hydra.sweeper.n_trials=2", "seconds=6", "x=interval(0,5)"))
    assert started() == [0, 0, 1, 1]
    assert {trial.user_attrs["attempts"] for trial in study().trials} == {1}


@pytest.mark.slow
def test_an_outcome_that_lies_in_the_folder_before_is_not_that_of_a_job(start):
    Path("sweep/logs").mkdir(parents=True)
    planted = {
        "number": 0,
        "attempt": 1,
        "kind": "returned",
        "value": -99.0,
        "error": "",
        "folder": "0",
        "seconds": 0.0,
    }
    Path("sweep/logs/0.json").write_text(json.dumps(planted))
    finish(start(*QUICK, "hydra.sweeper.n_trials=1", "x=interval(0,5)"))
    assert study().best_value >= 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cluster": "moon"}, "cluster=moon: must be slurm, local or null"),
        ({"max_jobs": 0}, "max_jobs=0: must be a whole number of at least 1"),
        ({"parameters": {"color": "red"}}, "Unknown argument 'color'"),
        ({"parameters": {"dependency": "afterok:1"}}, "parameters.dependency: the engine sets this"),
        ({"timeout_min": "long"}, '"timeout_min" expected type'),
        ({"cluster": None}, "this machine has no sbatch"),
    ],
)
def test_a_wrong_setting_is_refused_by_one_line(settings, message, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SweepError, match=message) as caught:
        Slurm(b"", tmp_path / "sweep", **{"cluster": "local"} | settings)
    assert "\n" not in str(caught.value)


def test_a_folder_that_others_can_open_is_refused(tmp_path):
    (tmp_path / "cache/hydra-study").mkdir(parents=True)
    (tmp_path / "cache/hydra-study").chmod(0o755)
    with pytest.raises(SweepError, match="must be a folder that only you can open"):
        Slurm(b"", tmp_path / "sweep", cluster="local")
    (tmp_path / "cache/hydra-study").rmdir()
    (tmp_path / "cache/hydra-study").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(SweepError, match="must be a folder that only you can open"):
        Slurm(b"", tmp_path / "sweep", cluster="local")


def test_only_the_attempt_that_the_record_names_may_begin(tmp_path):
    """A job may be left over from a driver that was killed, or that SLURM did not answer."""
    multirun = Multirun(tmp_path, [["x=1"]], {"max_failures": None, "may_differ": []}, {})
    multirun.open()
    job = multirun.take()
    assert job is not None
    ask = {"ask": "begin", "number": 0}
    assert multirun.answer(ask | {"attempt": 1})
    multirun.begin(replace(job, attempt=2))
    assert [multirun.answer(ask | {"attempt": attempt}) for attempt in (1, 2)] == [False, True]
    multirun.end(Outcome(0, 2, "returned"), "")
    assert not multirun.answer(ask | {"attempt": 2})


@pytest.fixture
def _cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if reason := slurm.missing():
        pytest.skip(reason)
    (tmp_path / "slurm").mkdir()
    with slurm.cluster(tmp_path / "slurm") as conf:
        monkeypatch.setenv("SLURM_CONF", str(conf))
        yield


def ids() -> dict[int, str]:
    """Return the ids of the running SLURM jobs by the number of the trial."""
    lines = subprocess.run(
        ["squeue", "-h", "-t", "R", "-o", "%i %j"], capture_output=True, text=True, check=True
    ).stdout
    return {int(line.rpartition("-")[2]): line.split()[0] for line in lines.splitlines()}


@pytest.mark.slow
@pytest.mark.slurm
@pytest.mark.usefixtures("_cluster")
def test_a_job_that_waits_in_the_queue_is_not_late_and_a_refused_one_was_no_attempt(start):
    arguments = ["hydra.sweeper.n_trials=1", "hydra.sweeper.trial_timeout=15", "x=interval(0,5)"]
    assert start(*arguments, "hydra.sweeper.engine.partition=moon").wait(MAX_WAIT) == 1
    assert "invalid partition specified: moon" in Path("output.log").read_text()
    full = subprocess.run(["sbatch", "--exclusive", "--wrap=sleep 30"], check=True, capture_output=True, text=True)
    assert "Submitted" in full.stdout
    finish(start(*arguments))
    assert [trial.user_attrs["attempts"] for trial in study().trials] == [1]


@pytest.mark.slow
@pytest.mark.slurm
@pytest.mark.usefixtures("_cluster")
def test_a_search_on_slurm_survives_kills_preemption_requeues_and_cancels(start):
    arguments = ["hydra.sweeper.engine.max_jobs=4", "hydra.sweeper.n_trials=5", "seconds=20", "x=interval(0,5)"]
    driver = start(*arguments)
    until(lambda: started() == [0, 1, 2, 3])
    end(driver, signal.SIGKILL)
    jobs = ids()
    subprocess.run(["scontrol", "requeue", jobs[1]], check=True)
    driver = start(*arguments)
    until(lambda: f"process {driver.pid} " in Path("sweep/.driver").read_text())
    subprocess.run(["scancel", "--signal=USR2", jobs[2]], check=True)  # as before a preemption or the time limit
    subprocess.run(["scancel", jobs[3]], check=True)
    finish(driver)
    assert states(study()) == ["COMPLETE"] * 5
    assert started() == [0, 1, 1, 2, 2, 3, 3, 4]
    assert [trial.user_attrs["attempts"] for trial in study().trials] == [1, 1, 1, 2, 1]
    assert [study().trials[k].user_attrs["worker"] for k in (0, 1, 2)] == [jobs[k] for k in (0, 1, 2)]
