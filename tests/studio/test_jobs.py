"""Trainings of the studio: their states in files, and real ones that are stopped and killed."""

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ziffern.config.command import quoted_value
from ziffern.errors import InputError
from ziffern.files.atomic import write_json
from ziffern.studio.jobs import MAX_TRAININGS, Job, State, jobs, resume, run_folder, start
from ziffern.studio.settings import composed
from ziffern.studio.views import Words, jobs_view
from ziffern.studio.workspace import Workspace


def job_of(own: Workspace, *overrides: list[str], name: str = "20260101-000000-aaaaaa") -> Job:
    folder = own.jobs_folder / name
    plan = [
        {"overrides": typed, "folder": str(run_folder(own, typed, name, number))}
        for number, typed in enumerate(overrides)
    ]
    write_json(folder / "job.json", {"trainings": plan})
    return Job(folder)


@contextmanager
def at_work(job: Job) -> Iterator[None]:
    with (job.folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def states(job: Job) -> list[State]:
    return [training.state for training in Job(job.folder).trainings()]


NN = ["model=nn", "data=mnist5k"]


def test_a_lock_that_is_held_means_work(own: Workspace) -> None:
    job = job_of(own, NN)
    assert not job.is_at_work
    with at_work(job):
        assert job.is_at_work
        assert job.is_at_work  # asking does not take it
    assert not job.is_at_work


def test_trainings_run_one_after_the_other(own: Workspace) -> None:
    job = job_of(own, NN, NN, NN)
    write_json(job.folder / "0.json", {"state": "done", "reason": ""})
    (job.folder / "1.log").touch()
    with at_work(job):
        assert states(job) == [State.DONE, State.RUNNING, State.WAITING]
        (job.folder / "stop").touch()
        assert states(job) == [State.DONE, State.RUNNING, State.STOPPED]
    assert states(job) == [State.DONE, State.STOPPED, State.STOPPED]


def test_work_that_nobody_does_was_interrupted(own: Workspace) -> None:
    job = job_of(own, NN, NN)
    (job.folder / "0.log").touch()
    assert states(job) == [State.INTERRUPTED, State.INTERRUPTED]
    folder = job.trainings()[0].folder
    folder.mkdir(parents=True)
    (folder / "metrics.json").touch()
    assert states(job) == [State.DONE, State.INTERRUPTED]


def test_a_training_that_goes_on_elsewhere_is_not_offered_again(own: Workspace) -> None:
    old = job_of(own, NN)
    assert [name for _, name in jobs_view(Words("en"), own)[2]] == [f"{old.folder.name}:0"]
    new = job_of(own, NN, name="20260102-000000-aaaaaa")
    write_json(new.folder / "job.json", {"trainings": old.plan})
    (new.folder / "0.log").touch()
    with at_work(new):
        assert jobs_view(Words("en"), own)[2] == []
        with pytest.raises(InputError):
            resume(own, old.trainings()[0])


def test_a_failure_keeps_its_reason(own: Workspace) -> None:
    job = job_of(own, NN)
    write_json(job.folder / "0.json", {"state": "failed", "reason": "data.batch_size=<b>: too large"})
    (training,) = job.trainings()
    assert (training.state, training.reason) == (State.FAILED, "data.batch_size=<b>: too large")
    shown, active, broken = jobs_view(Words("en"), own)
    assert "data.batch_size=&lt;b&gt;: too large" in shown
    assert (active, broken) == ([], [])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"trainings": 3}', '{"trainings": [{}]}', "\udcff"])
def test_a_damaged_plan_is_an_empty_one(own: Workspace, content: str) -> None:
    job = job_of(own, NN)
    (job.folder / "job.json").write_bytes(content.encode(errors="surrogateescape"))
    assert Job(job.folder).trainings() == []


@pytest.mark.parametrize("content", ['{"state": "odd", "reason": ""}', '{"state": "done"}', "[]", "{"])
def test_a_damaged_end_does_not_hide_the_other_trainings(own: Workspace, content: str) -> None:
    job = job_of(own, NN)
    (job.folder / "0.json").write_text(content)
    assert len(states(job)) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", "{"),
        ("metrics.json", "{}"),
        ("progress.jsonl", '{"event": "st{"event": "step", "epoch": 1}\n'),
        ("history.csv", "epoch,loss\n1,x\n"),
    ],
)
def test_a_damaged_run_does_not_hide_the_other_trainings(own: Workspace, name: str, content: str) -> None:
    job = job_of(own, NN)
    write_json(job.folder / "0.json", {"state": "done", "reason": ""})
    folder = job.trainings()[0].folder
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    job_of(own, ["model=dnn"], name="20260101-000000-bbbbbb")
    assert "dnn" in jobs_view(Words("en"), own)[0]


def test_jobs_are_listed_newest_first_and_what_is_none_is_left_out(own: Workspace) -> None:
    assert jobs(own) == []
    for name in ("20260101-000000-a", "20260102-000000-a"):
        job_of(own, NN, name=name)
    (own.jobs_folder / "20260103-000000-a").mkdir()
    assert [job.folder.name for job in jobs(own)] == ["20260102-000000-a", "20260101-000000-a"]


def test_work_is_listed_however_many_jobs_came_later(own: Workspace) -> None:
    first = job_of(own, NN, name="20250101-000000-a")
    for number in range(20):
        job_of(own, NN, name=f"20260101-000000-{number:02}")
    with at_work(first):
        assert first.folder in [job.folder for job in jobs(own)]


def test_a_stop_reaches_a_training_that_has_no_folder_yet(own: Workspace) -> None:
    job = job_of(own, NN)
    (job.folder / "0.log").touch()
    with at_work(job):
        job.stop()
    assert (job.folder / "stop").exists()
    assert (job.trainings()[0].folder / "stop").exists()


def test_no_process_is_ended_where_nobody_works(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(own, NN)
    write_json(job.folder / "worker.json", {"pid": os.getpid()})
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("ended a process that is not its own"))
    job.stop_now()
    assert states(job) == [State.STOPPED]


def test_too_many_trainings_and_none_are_refused(own: Workspace) -> None:
    with pytest.raises(InputError, match="no model is chosen"):
        start(own, [])
    with pytest.raises(InputError, match=f"at most {MAX_TRAININGS}"):
        start(own, [NN] * (MAX_TRAININGS + 1))
    assert not own.jobs_folder.exists()


def test_the_command_is_what_can_be_typed(own: Workspace) -> None:
    job = job_of(own, ["model=nn", "data.dir=/a b/c"])
    assert job.trainings()[0].command == "ziffern train model=nn 'data.dir=/a b/c'"


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize("path", ["/a/b_c-d.e", "/with space/x", "/it's/a", "/a\\b", "/a,b=c/{d}", "/größe/[1]", "/$x"])
def test_any_path_survives_hydras_grammar(path: str) -> None:
    assert str(composed(("model=nn", f"data.dir={quoted_value(Path(path))}")).data.dir) == path


# Jobs that really train


def wait(done: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def has_ended(job: Job) -> bool:
    ended = all((job.folder / f"{number}.json").exists() for number in range(len(job.plan)))
    return ended and not job.is_at_work


def epochs_of(job: Job, number: int = 0) -> int:
    path = Path(job.plan[number]["folder"]) / "progress.jsonl"
    return path.read_text().count('"event": "epoch"') if path.exists() else 0


@pytest.mark.slow
def test_a_job_that_has_only_begun_was_not_interrupted(own: Workspace) -> None:
    job = start(own, [["model=nothing"]])
    seen = set()

    def look() -> bool:
        seen.update(states(job))
        return has_ended(job)

    wait(look)
    assert seen <= {State.WAITING, State.RUNNING, State.FAILED}


@pytest.mark.slow
def test_a_training_comes_to_its_end_and_a_failure_does_not_stop_the_next(own: Workspace) -> None:
    job = start(
        own,
        [
            ["model=nothing"],
            [*NN, "data.batch_size=100000"],
            [*NN, "model.optimizer.lr=1e30", "trainer.max_epochs=1"],
            [*NN, "trainer.max_epochs=1"],
        ],
    )
    wait(lambda: has_ended(job))
    trainings = Job(job.folder).trainings()
    assert [training.state for training in trainings] == [State.FAILED, State.FAILED, State.FAILED, State.DONE]
    for training, word in zip(trainings, ("nothing", "batch_size", ""), strict=False):
        assert word in training.reason
        assert training.reason.strip()
        assert "\n" not in training.reason
    for training in trainings[:3]:
        assert training.failure("de") != training.failure("en") != ""
    done = trainings[3]
    assert done.run.metrics["epochs"] == 1
    assert done.last_event["epoch"] == 1
    assert done.folder.name in own.run_names()
    shown, active, broken = jobs_view(Words("de"), own)
    assert "<svg" in shown
    assert (active, broken) == ([], [])
    assert not job.is_at_work


@pytest.mark.slow
def test_a_stop_ends_after_the_epoch_with_the_best_model_tested(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=500"], NN])
    wait(lambda: epochs_of(job) >= 1)
    assert states(job) == [State.RUNNING, State.WAITING]
    job.stop()
    wait(lambda: (job.folder / "0.json").exists() and not job.is_at_work)
    assert states(job) == [State.STOPPED, State.STOPPED]
    metrics = job.trainings()[0].run.metrics
    assert metrics["epochs"] < 500
    assert "test/acc" in metrics
    assert not job.trainings()[1].folder.exists()


@pytest.mark.slow
def test_a_stop_at_once_leaves_what_was_learned(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=500"]])
    wait(lambda: epochs_of(job) >= 2)
    job.stop_now()
    wait(lambda: not job.is_at_work)
    assert states(job) == [State.STOPPED]
    assert (job.trainings()[0].folder / "checkpoints/last.ckpt").is_file()


@pytest.mark.slow
def test_a_shutdown_interrupts_what_runs_and_begins_nothing(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=500"], NN])
    wait(lambda: epochs_of(job) >= 2)
    os.killpg(json.loads((job.folder / "worker.json").read_text())["pid"], signal.SIGTERM)
    wait(lambda: not job.is_at_work)
    assert states(job) == [State.INTERRUPTED, State.INTERRUPTED]
    assert job.trainings()[0].reason == "SIGTERM"
    assert not (job.folder / "1.log").exists()
    assert [name for _, name in jobs_view(Words("en"), own)[2]] == [f"{job.folder.name}:0", f"{job.folder.name}:1"]


@pytest.mark.slow
def test_a_training_that_was_killed_says_by_what_and_the_next_begins(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=500"], NN])
    wait(lambda: epochs_of(job) >= 2)
    worker = json.loads((job.folder / "worker.json").read_text())["pid"]
    (training,) = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    os.kill(int(training), signal.SIGKILL)
    wait(lambda: not job.is_at_work)
    assert states(job) == [State.INTERRUPTED, State.DONE]
    assert [each.reason for each in job.trainings()] == ["SIGKILL", ""]


def test_two_who_go_on_at_once_do_not_both(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    old = job_of(own, NN)
    (old.folder / "0.log").touch()
    (training,) = old.trainings()
    assert training.state is State.INTERRUPTED
    held: list[Any] = []

    class Working:  # in place of the worker: holds the job's lock as it does
        def __init__(self, command: list[str], pass_fds: tuple[int], **_: Any) -> None:
            held.append(os.dup(pass_fds[0]))
            self.pid = 1

        def poll(self) -> None:
            return None

    monkeypatch.setattr("ziffern.studio.jobs.subprocess.Popen", Working)
    monkeypatch.setattr("ziffern.studio.jobs._workers", [])
    refused = []

    def go() -> None:
        try:
            resume(own, training)
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 1
    assert len(refused) == 7
    os.close(held[0])


@pytest.mark.slow
def test_a_killed_training_is_found_again_and_goes_on(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=12"]])
    wait(lambda: epochs_of(job) >= 2)
    os.killpg(json.loads((job.folder / "worker.json").read_text())["pid"], signal.SIGKILL)
    wait(lambda: not job.is_at_work)
    assert states(job) == [State.INTERRUPTED]
    assert [name for _, name in jobs_view(Words("en"), own)[2]] == [f"{job.folder.name}:0"]
    again = resume(own, job.trainings()[0])
    assert again.plan[0]["folder"] == job.plan[0]["folder"]
    wait(lambda: has_ended(again))
    assert states(again) == [State.DONE]
    assert states(job) == [State.DONE]
    rows = again.trainings()[0].run.history
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
