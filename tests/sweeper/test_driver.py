"""The driver's loop, with an engine in memory: every job ends once, whatever fails in between."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from tests.support.sweeps import FakeEngine, Studies, drive, lost, returned

from hydra_study import driver
from hydra_study.driver import only_driver
from hydra_study.engines import Job, Outcome
from hydra_study.errors import SweepError
from hydra_study.job import outcome_file
from hydra_study.lines import Lines
from hydra_study.multirun import Multirun
from hydra_study.signals import interruptible


def states(study: Any) -> list[str]:
    return [trial.state.name for trial in study.trials()]


def attempts(study: Any) -> list[int]:
    return [trial.user_attrs["attempts"] for trial in study.trials()]


def leave_outcome(folder: Path, outcome: Outcome) -> None:
    file = outcome_file(folder, outcome.number)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(asdict(outcome)))


def test_a_lost_job_is_run_again_after_all_others_and_given_up_in_the_end(studies: Studies) -> None:
    engine = FakeEngine(lambda job: lost(job) if job.number == 1 else returned(job))
    study = studies.open(n_trials=4)
    drive(study, engine)
    assert engine.submitted == [(0, 1), (1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert study.error(1) == "its process died 3 times"
    assert engine.is_closed


def test_the_trials_of_a_killed_driver_come_first_and_those_that_kill_last(studies: Studies) -> None:
    study = studies.open(n_trials=5)
    jobs = [job for _ in range(3) if (job := study.take())]
    study.begin(Job(jobs[1].number, 2, jobs[1].overrides, jobs[1].params))
    engine = FakeEngine(returned)
    again = studies.open(n_trials=5)
    drive(again, engine)
    assert engine.submitted == [(0, 2), (2, 2), (3, 1), (4, 1), (1, 3)]
    assert [tuple(trial.user_attrs["overrides"]) for trial in again.trials()[:3]] == [job.overrides for job in jobs]


def test_what_a_job_left_is_told_instead_of_running_it_again(studies: Studies) -> None:
    study = studies.open(n_trials=3)
    for job in [job for _ in range(3) if (job := study.take())]:
        leave_outcome(studies.folder, returned(Job(job.number, 2 if job.number == 1 else 1, (), {}), 0.25))
    engine = FakeEngine(returned)
    again = studies.open(n_trials=3)
    drive(again, engine)
    assert engine.submitted == [(1, 2)]  # what it left is of another attempt
    assert [trial.value for trial in again.trials()] == [0.25, 1.0, 0.25]


def test_what_a_job_left_before_its_worker_died_is_told(studies: Studies) -> None:
    def end(job: Job) -> BaseException:
        leave_outcome(studies.folder, returned(job, 0.5))
        return lost(job)

    study, engine = studies.open(n_trials=2), FakeEngine(end)
    drive(study, engine)
    assert [trial.value for trial in study.trials()] == [0.5, 0.5]
    assert engine.submitted == [(0, 1), (1, 1)]


@pytest.mark.parametrize(
    "plain",
    [
        "x" * 2**20 + "x",
        "[" * 10**5,
        "[]",
        '{"number": 0}',
        '{"number": 0, "attempt": 1, "kind": "stop"}',
        '{"number": 0, "attempt": 1, "kind": "returned", "value": 1.0, "seconds": Infinity}',
        '{"number": 0, "attempt": 1, "kind": "returned", "value": 1.0, "seconds": 1.0, "folder": 3}',
        '{"number": 0, "attempt": 1, "kind": "returned", "value": 1.0, "seconds": 1.0, "more": 3}',
        '{"number": 1, "attempt": 1, "kind": "returned", "value": 1.0, "seconds": 1.0}',
        "link",
        "pipe",
    ],
)
def test_a_wrong_outcome_is_none(studies: Studies, plain: str) -> None:
    studies.open(n_trials=1).take()
    file = outcome_file(studies.folder, 0)
    leave_outcome(studies.folder, returned(Job(7, 1, (), {})))
    if plain == "link":
        target = file.with_name("target")
        leave_outcome(studies.folder, returned(Job(0, 1, (), {}), 5.0))
        file.rename(target)
        file.symlink_to(target)
    elif plain == "pipe":
        os.mkfifo(file)
    else:
        file.write_text(plain)
    study, engine = studies.open(n_trials=1), FakeEngine(returned)
    drive(study, engine)
    assert engine.submitted == [(0, 2)]
    assert study.trials()[0].value == 1.0


def test_a_job_that_an_engine_kept_is_attached(studies: Studies) -> None:
    studies.open(n_trials=1).take()
    engine, study = FakeEngine(lambda job: None), studies.open(n_trials=1)
    future = engine.submit(Job(0, 1, (), {}))
    future.set_result(returned(Job(0, 1, (), {}), 0.5))
    engine.attached[0] = future
    drive(study, engine)
    assert engine.submitted == [(0, 1)]
    assert study.trials()[0].value == 0.5


def test_a_job_that_stops_the_sweep(studies: Studies) -> None:
    def end(job: Job) -> Outcome:
        return Outcome(job.number, job.attempt, "stop", error="the data changed") if job.number else returned(job)

    engine, study = FakeEngine(end), studies.open(n_trials=3)
    with pytest.raises(SweepError, match="the data changed"):
        drive(study, engine)
    assert states(study) == ["COMPLETE", "WAITING"]
    assert attempts(study) == [1, 0]
    drive(again := studies.open(n_trials=3), other := FakeEngine(returned))
    assert other.submitted == [(1, 1), (2, 1)]
    assert states(again) == ["COMPLETE"] * 3


def test_an_interrupt_keeps_what_has_ended_and_counts_no_attempt(
    studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(job: Job) -> Outcome | None:
        if job.number == 2:
            signal.raise_signal(signal.SIGTERM)
        return returned(job) if job.number == 1 else None

    for number in range(12):  # more often than a job may be lost
        study, engine = studies.open(n_trials=4), FakeEngine(end if number == 0 else lambda job: None, slots=3)
        if number:
            engine = FakeEngine(lambda job: Outcome(job.number, job.attempt, "interrupted"), slots=3)
        monkeypatch.setattr(driver, "received", [signal.SIGTERM] * bool(number))
        with pytest.raises(KeyboardInterrupt), interruptible():
            drive(study, engine)
        assert engine.is_closed
        assert "RUNNING" not in states(study)
    assert states(study) == ["WAITING", "COMPLETE", "WAITING", "WAITING"]
    monkeypatch.undo()
    drive(again := studies.open(n_trials=4), other := FakeEngine(returned))
    assert [attempt for _, attempt in other.submitted] == [1, 1, 1]
    assert states(again) == ["COMPLETE"] * 4


def test_too_many_failures_start_no_more_jobs(studies: Studies) -> None:
    def end(job: Job) -> Outcome:
        return Outcome(job.number, job.attempt, "failed", error="on purpose", seconds=0.1)

    study, engine = studies.open(n_trials=9, max_failures=2), FakeEngine(end)
    drive(study, engine)
    assert engine.submitted == [(0, 1), (1, 1)]
    assert "2 trials failed (max_failures=2); the last, 1: on purpose" in study.stopped()


def test_the_time_limit_fails_a_trial_alone(studies: Studies) -> None:
    study = studies.open(n_trials=3)
    engine = FakeEngine(lambda job: None if job.number == 0 else returned(job), slots=2)
    drive(study, engine, seconds=0.2)
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert study.error(0) == "ran for more than 0.2 seconds (trial_timeout)"
    assert engine.submitted[0] == (0, 1)
    assert len(engine.cancelled) == 1


def test_no_more_jobs_at_once_than_are_allowed(studies: Studies) -> None:
    most: list[int] = []

    class Counted(FakeEngine):
        def submit(self, job: Job) -> Any:
            running.add(job.number)
            most.append(len(running))
            return super().submit(job)

    running: set[int] = set()
    study = studies.open(n_trials=6)
    study.on_end = running.discard
    drive(study, Counted(returned, slots=5), jobs=2)
    assert max(most) == 2


def multirun(studies: Studies) -> Multirun:
    settings = {"max_failures": None, "may_differ": []}
    work = Multirun(studies.folder, [("x=0",), ("x=1",), ("x=2",)], settings, {"job": {}})
    work.open()
    return work


def search(studies: Studies) -> Any:
    return studies.open(n_trials=3)


@pytest.mark.parametrize("begin", [search, multirun])
@pytest.mark.parametrize("is_for_long", [False, True])
def test_a_full_disk_at_any_write_loses_nothing(
    studies: Studies, monkeypatch: pytest.MonkeyPatch, begin: Callable[[Studies], Any], is_for_long: bool
) -> None:
    root, append, failed = studies.folder, Lines.append, 0
    for step in range(1, 60):
        studies.folder, calls, ended = root / f"{step}", [0], Counter[int]()
        studies.folder.mkdir()

        def full(
            self: Lines, entries: list[Any], to_disk: bool = True, calls: list[int] = calls, step: int = step
        ) -> list[str]:
            calls[0] += 1
            if calls[0] == step or (is_for_long and calls[0] > step):
                raise OSError(28, "No space left on device")
            return append(self, entries)

        def end(job: Job, ended: Counter[int] = ended) -> Outcome:
            ended[job.number] += 1
            leave_outcome(studies.folder, returned(job))
            return returned(job)

        with monkeypatch.context() as patch:
            patch.setattr(Lines, "append", full)
            try:
                drive(begin(studies), FakeEngine(end, slots=2))
                break
            except OSError:
                failed += 1
        work = begin(studies)
        drive(work, FakeEngine(end, slots=2))
        assert work.left == 0
        assert ended == {0: 1, 1: 1, 2: 1}, step
    assert failed > 5


def test_a_second_driver_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with (
        only_driver(tmp_path),
        pytest.raises(SweepError, match=rf"running already, in process {os.getpid()} on .*: stop that first"),
        only_driver(tmp_path),
    ):
        pass
    with only_driver(tmp_path):
        (tmp_path / ".driver").write_text("\x1b[2J" + "x" * 10**6)
        with pytest.raises(SweepError) as error, only_driver(tmp_path):
            pass
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 2000


def test_a_trial_is_ranked_and_shown_while_others_run(studies: Studies) -> None:
    told: list[tuple[int, float]] = []
    study = studies.open(n_trials=3)
    study.on_end = lambda number: told.append((number, study.trial(study.best[0]).value))
    drive(study, FakeEngine(lambda job: returned(job, 2.0 - job.number)))
    assert told == [(0, 2.0), (1, 1.0), (2, 0.0)]
    assert study.counts() == {TrialState.COMPLETE: 3}
