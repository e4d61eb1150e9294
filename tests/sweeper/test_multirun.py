"""A plain multirun: each job once, failed ones again, and other jobs not in the same folder."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import sweep_app

from hydra_study.errors import SweepError

Run = Callable[..., None]


@pytest.fixture
def multirun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `python sweep_app.py -m hydra/sweeper=multirun ARGS` in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def run(*arguments: str, engine: str = "inline") -> None:
        given = ["hydra/sweeper=multirun", "hydra.sweep.dir=sweep", f"hydra/sweeper/engine={engine}"]
        monkeypatch.setattr(sys, "argv", ["sweep_app.py", "-m", *given, *arguments])
        sweep_app.main()

    return run


def started() -> list[str]:
    return Path("started.log").read_text().split()


def test_a_finished_multirun_is_not_repeated(multirun: Run, capsys: pytest.CaptureFixture[str]) -> None:
    multirun("x=0,1", "db=mysql,postgres")
    out = capsys.readouterr().out
    assert "4 jobs, in " in out
    assert out.count("\njob ") == 4
    assert "x=1 db=postgres" in out
    assert "hello" not in out
    multirun("x=0,1", "db=mysql,postgres")
    assert started() == list("0123")
    assert "nothing left to run" in capsys.readouterr().out
    assert "hello from 3" in Path("sweep/logs/3.log").read_text()


def test_what_is_left_is_run_and_what_failed_again(multirun: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SweepError, match=r"2 of 4 jobs failed; the last, 2: RuntimeError: on <purpose>.*runs them aga"):
        multirun("x=range(4)", "fail=[1,2]", "hydra.sweeper.may_differ=[fail]")
    lines = Path("sweep/jobs.jsonl").read_text().splitlines()
    Path("sweep/jobs.jsonl").write_text("\n".join([line for line in lines if '"number":3' not in line]) + "\n")
    capsys.readouterr()
    multirun("x=range(4)", "fail=[]", "hydra.sweeper.may_differ=[fail]")
    assert "4 jobs, 1 of them done before" in capsys.readouterr().out
    assert started() == list("0123123")


def test_a_failure_of_before_is_no_outcome_of_the_next_attempt(multirun: Run) -> None:
    """Even if the driver was killed after it had begun the attempt and before the job did."""
    given = ("x=range(2)", "fail=[1]", "hydra.sweeper.may_differ=[fail]")
    with pytest.raises(SweepError, match="1 of 2 jobs failed"):
        multirun(*given)
    kept = Path("sweep/logs/1.json").read_text()
    assert json.loads(kept)["kind"] == "failed"
    with pytest.raises(SweepError, match="1 of 2 jobs failed"):
        multirun(*given, "hydra.sweeper.max_failures=1")
    with Path("sweep/jobs.jsonl").open("a") as file:
        file.write('{"number":1,"attempt":1}\n')
    Path("sweep/logs/1.json").unlink()
    multirun("x=range(2)", "fail=[]", "hydra.sweeper.may_differ=[fail]")
    assert started() == list("0111")


def test_other_jobs_are_refused_in_the_same_folder(multirun: Run, tmp_path: Path) -> None:
    multirun("x=0,1")
    with pytest.raises(SweepError, match=r"sweep holds a multirun of other jobs: to start over, add hydra\.sweep\.dir"):
        multirun("x=0,1,2")
    with pytest.raises(SweepError, match="other jobs"):
        multirun("x=0,1", "text=b")
    multirun("x=0,1", "text=b", "hydra.sweeper.may_differ=[text]")
    assert started() == list("01")


@pytest.mark.parametrize(
    "record",
    [
        "x\n",
        "[]\n",
        '{"plan": 3}\n',
        '{"number": 0, "attempt": 1}\n',
        '{PLAN}\n{"number": 9, "attempt": 1}\n',
        '{PLAN}\n{"number": 0, "attempt": "x"}\n',
        '{PLAN}\n{"number": 0, "kind": "stop"}\n',
        '{PLAN}\n{"number": 0, "attempt": 1, "kind": "stop", "value": 1, "error": "", "folder": "", "seconds": 1}\n',
        '{PLAN}\n{"number": 0, "attempt": 1, "kind": "failed", "value": 1, "error": 3, "folder": "", "seconds": 1}\n',
        "[" * 10**5 + "\n",
    ],
)
def test_a_damaged_record_is_one_line(multirun: Run, record: str) -> None:
    multirun("x=0,1")
    path = Path("sweep/jobs.jsonl")
    plan = path.read_text().splitlines()[0]
    path.write_text(record.replace("{PLAN}", plan))
    with pytest.raises(
        SweepError, match=r"jobs\.jsonl: not the record of a multirun .*to start over|other jobs"
    ) as error:
        multirun("x=0,1")
    assert "\n" not in str(error.value)


def test_half_a_line_is_a_job_to_run_again(multirun: Run) -> None:
    multirun("x=0,1")
    path = Path("sweep/jobs.jsonl")
    path.write_text(path.read_text()[:-20])
    Path("sweep/logs/1.json").unlink()
    multirun("x=0,1")
    assert started() == list("011")


def test_jobs_return_what_they_like(multirun: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    multirun("x=0,1", "two=true")
    entries = [json.loads(line) for line in Path("sweep/jobs.jsonl").read_text().splitlines()]
    assert [entry["value"] for entry in entries if "kind" in entry] == [[9.0, 0.0], [4.0, 1.0]]


@pytest.mark.slow
def test_as_many_workers_as_the_machine_has_cores(multirun: Run, capfd: pytest.CaptureFixture[str]) -> None:
    given = ("x=range(4)", "hydra.sweeper.threads_key=threads", "seconds=1", "hydra.sweeper.memory=0.05")
    multirun(*given, engine="local")
    cores = len(os.sched_getaffinity(0))
    workers = min(cores, 4)
    if workers > 1:
        assert f"{workers} at once, each with threads={cores // workers}" in capfd.readouterr().out
        config = Path("sweep/3/.hydra/overrides.yaml").read_text()
        assert f"threads={cores // workers}" in config
    entries = map(json.loads, Path("sweep/jobs.jsonl").read_text().splitlines())
    assert len({entry["worker"] for entry in entries if "worker" in entry}) == workers
    multirun("x=0,1", "threads=3", "hydra.sweeper.threads_key=threads", "hydra.sweep.dir=other", engine="local")
    assert "each with" not in capfd.readouterr().out
    assert "threads=3" in Path("other/1/.hydra/overrides.yaml").read_text()
