"""Several processes share a study's trials, and none is lost or run twice."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
from tests.support.sweeps import Studies, claimed

from hydra_study.conf import SAMPLERS
from hydra_study.progress import Progress
from hydra_study.queue import Claim, Owner, Queue, is_alive
from hydra_study.space import Space
from hydra_study.storage import Journal, Storage, patiently
from hydra_study.worker import Worker


@pytest.mark.parametrize(("share", "total", "most"), [(0.29, 100, 30), (0, 7, 1), (0.5, 3, 2), (1, 3, None)])
def test_the_failures_of_a_rate(studies: Studies, share: float, total: int, most: int | None) -> None:
    assert studies.queue(max_failure_rate=share, n_trials=total).max_failures == most


@pytest.mark.parametrize("storage", [None, "sqlite"])
def test_a_dead_owners_trial_is_taken_over_in_place(studies: Studies, storage: str | None, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db" if storage else None
    one, other = studies.queue(url, n_trials=2), studies.queue(url, n_trials=2)
    dying, living, waiting = (Owner(one.storage) for _ in range(3))
    first = claimed(one.claim(dying))
    second = claimed(other.claim(living))
    assert [first.trial.number, second.trial.number] == [0, 1]
    assert other.claim(waiting) is True  # all are taken, and both may still come back
    dying._lock.release()  # as the kernel does
    again = claimed(other.claim(waiting))
    assert again.trial.number == 0
    assert again.overrides == first.overrides
    other.tell(again, [0.5], TrialState.COMPLETE)
    one.tell(first, [0.7], TrialState.COMPLETE)  # it was not dead after all: what was told first stays
    assert other.trials()[0].values == [0.5]
    other.tell(second, [0.1], TrialState.COMPLETE)
    assert other.claim(living) is False
    living.close()
    waiting.close()
    assert not list(one.storage.workers.glob("*.lock"))


@pytest.mark.slow
def test_a_storage_that_fails_within_a_claim_loses_nothing(studies: Studies, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever step failed, the same process claims again, and the study is whole."""
    for step in range(1, 12):
        studies.folder = studies.folder / str(step)
        queue, owner, calls = studies.queue(n_trials=2), studies.owner(), []
        write = Journal.append_logs

        def failing(self: Journal, logs: list, step=step, calls=calls, write=write) -> None:
            calls.append(1)
            if len(calls) == step:
                raise OSError(28, "No space left on device")
            write(self, logs)

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append_logs", failing)
            for _ in range(2):
                claim = claimed(patiently(lambda queue=queue, owner=owner: queue.claim(owner), 5, print))
                patiently(lambda queue=queue, claim=claim: queue.tell(claim, [1.0], TrialState.COMPLETE), 5, print)
            assert queue.claim(owner) is False
        assert [trial.state.name for trial in queue.trials()] == ["COMPLETE"] * 2
        assert [trial.user_attrs["owner"]["attempt"] for trial in queue.trials()] == [1, 1]
        owner.close()


def test_a_grid_knows_its_points_by_themselves(studies: Studies, parse) -> None:
    """Not by counting them: a lock that was lost may let one in twice."""
    studies.space = parse("x=choice(1,2,3)")
    queue = studies.queue(sampler=SAMPLERS["grid"])
    queue.study.add_trial(
        optuna.create_trial(value=0, params={"x": 2}, distributions={"x": CategoricalDistribution((1, 2, 3))})
    )
    owner = studies.owner()
    found = []
    while isinstance(claim := queue.claim(owner), Claim):
        found += claim.overrides
        queue.tell(claim, [1.0], TrialState.COMPLETE)
    assert found == ["x=3", "x=1"]
    owner.close()


def test_a_point_that_waits_twice_is_run_once(studies: Studies, parse) -> None:
    studies.space = parse("x=choice(1,2,3)")
    queue, owner = studies.queue(sampler=SAMPLERS["grid"]), studies.owner()
    first = claimed(queue.claim(owner))
    queue.tell(first, [1.0], TrialState.COMPLETE)
    queue.study.enqueue_trial({"x": 1})  # as one would who has lost the lock
    found = []
    while isinstance(claim := queue.claim(owner), Claim):
        found += claim.overrides
        queue.tell(claim, [1.0], TrialState.COMPLETE)
    assert found == ["x=2", "x=3"]
    assert [trial.state.name for trial in queue.trials()] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert queue.trials()[1].user_attrs["error"] == "the same point as trial 0"
    assert (queue.left(queue.trials()), queue.failures(queue.trials())) == (0, [])
    owner.close()


def test_another_name_of_the_machine_and_a_moved_folder(studies: Studies, tmp_path: Path) -> None:
    queue, owner = studies.queue(n_trials=1), studies.owner()
    claimed(queue.claim(owner))
    queue._set(0, "owner", owner.plain | {"host": "formerly"})
    assert is_alive(queue.trials()[0].user_attrs["owner"], queue.storage) is True
    owner._lock.release()
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    studies.folder = moved
    queue, living = studies.queue(n_trials=1), studies.owner()
    assert claimed(queue.claim(living)).trial.number == 0
    living.close()


def test_a_trial_that_kills_its_workers_fails_in_the_end(studies: Studies) -> None:
    queue = studies.queue(n_trials=1)
    for _ in range(3):
        owner = studies.owner()
        assert claimed(queue.claim(owner)).trial.number == 0
        owner._lock.release()
    living = studies.owner()
    assert queue.claim(living) is False
    assert queue.trials()[0].state == TrialState.FAIL
    assert queue.trials()[0].user_attrs["error"] == "its process died 3 times"
    living.close()


def test_a_released_trial_comes_back_and_does_not_count_as_a_death(studies: Studies) -> None:
    queue, owner = studies.queue(n_trials=1), studies.owner()
    for _ in range(5):
        claimed(queue.claim(owner))
        queue.release(owner)
    assert queue.trials()[0].user_attrs["owner"]["attempt"] == 0
    owner.close()


@pytest.mark.parametrize("moment", ["ask", "beat", "overrides", "claimed"])
def test_an_interrupt_in_the_middle_of_a_claim_leaves_no_trial_running(
    studies: Studies, monkeypatch: pytest.MonkeyPatch, moment: str, tmp_path: Path
) -> None:
    queue = studies.queue(n_trials=1)

    def interrupted(do: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            do(*given, **named)
            raise KeyboardInterrupt

        return call

    holder, name = {
        "ask": (optuna.Study, "ask"),
        "beat": (Queue, "beat"),
        "overrides": (Space, "overrides"),
        "claimed": (Queue, "claim"),
    }[moment]
    monkeypatch.setattr(holder, name, interrupted(getattr(holder, name)))
    launcher: Any = None
    worker = Worker(queue, launcher, tmp_path, studies.settings | {"isolate": False}, Progress(queue, tmp_path), [])
    with pytest.raises(KeyboardInterrupt):
        worker.work()
    assert [trial.state for trial in queue.trials()] == [TrialState.WAITING]
    assert queue.trials()[0].user_attrs["owner"]["attempt"] == 0


@pytest.mark.slow
def test_one_who_is_ending_does_not_wait_for_ever_for_the_studys_lock(studies: Studies) -> None:
    queue, owner = studies.queue(n_trials=1), studies.owner()
    claimed(queue.claim(owner))
    with queue.storage.lock("of another"), pytest.raises(TimeoutError):
        queue.release(owner)
    queue.release(owner)
    assert queue.trials()[0].state == TrialState.WAITING
    owner.close()


@pytest.mark.slow
def test_an_owner_on_another_host_is_judged_by_its_heartbeat_alone(
    studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    queue, owner = studies.queue(url, grace_period=1, n_trials=1), studies.owner()
    other, claim = studies.owner(), claimed(queue.claim(owner))
    far = Storage("postgresql+psycopg://there/x", tmp_path, 60)
    assert is_alive({"host": "elsewhere", "lock": "/gone"}, far) is None
    monkeypatch.setattr("hydra_study.queue.is_alive", lambda owner, storage: None)
    queue.beat(0)
    assert queue.claim(other) is True
    end = time.monotonic() + 5
    while (found := queue.claim(other)) is True:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert claimed(found).overrides == claim.overrides
    owner.close()
    other.close()
