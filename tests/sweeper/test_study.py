"""A study's totals, grid, failures, reports and ranking, without running a job."""

import json
import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from tests.support.sweeps import FakeEngine, Studies, drive, returned

from hydra_study.conf import PRUNERS, SAMPLERS
from hydra_study.engines import Job, Outcome
from hydra_study.errors import SweepError
from hydra_study.study import Study

GRID = SAMPLERS["grid"]


def run(study: Study, *values: Any) -> None:
    """Run trials that return these values, or fail where that is a text."""

    def end(job: Job) -> Outcome:
        value = values[job.number] if job.number < len(values) else 1.0
        if isinstance(value, str):
            return Outcome(job.number, job.attempt, "failed", error=value, seconds=0.1)
        return returned(job, value)

    drive(study, FakeEngine(end))


def taken(study: Study) -> Job:
    job = study.take()
    assert job is not None
    return job


@pytest.mark.parametrize(("share", "total", "most"), [(0.29, 100, 30), (0, 7, 1), (0.5, 3, 2), (1, 3, None)])
def test_the_failures_of_a_rate(studies: Studies, share: float, total: int, most: int | None) -> None:
    assert studies.open(max_failure_rate=share, n_trials=total).max_failures == most


def test_totals_are_exact_over_launches(studies: Studies) -> None:
    for total, begun in ((3, 3), (3, 0), (5, 2), (2, 0)):
        study = studies.open(n_trials=total)
        before = study.ended
        run(study)
        assert study.ended - before == begun
        assert study.left == 0
    assert [trial.number for trial in study.trials()] == list(range(5))
    assert len({trial.params["x"] for trial in study.trials()}) == 5


def test_a_seeded_study_draws_the_same_points_whenever_it_is_interrupted(studies: Studies) -> None:
    root, points = studies.folder, []
    for launches in ((12,), (1, 5, 6, 12)):
        studies.folder = root / str(len(launches))
        for total in launches:
            study = studies.open(n_trials=total, sampler=SAMPLERS["tpe"] | {"seed": 3})
            run(study, *(k % 5 / 2 for k in range(12)))
        points.append([trial.params for trial in study.trials()])
    assert points[0] == points[1]


def test_a_grid_knows_its_points_by_themselves(studies: Studies, parse) -> None:
    """Not by counting them."""
    studies.space = parse("x=choice(1,2,3)")
    study = studies.open(sampler=GRID)
    choices = CategoricalDistribution((1, 2, 3))
    study.study.add_trial(optuna.create_trial(value=0, params={"x": 2}, distributions={"x": choices}))
    study = studies.open(sampler=GRID)
    assert study.left == 2
    run(study)
    assert [trial.params["x"] for trial in study.trials()] == [2, 1, 3]


def test_failed_trials_of_earlier_launches_are_retried_once(studies: Studies) -> None:
    run(studies.open(n_trials=4), 1.0, "a", "b", 1.0)
    study = studies.open(n_trials=4, retry_failed=True)
    assert (study.left, study.goal, study.failed) == (2, 6, [])
    run(study, *[1.0] * 4, "c")
    assert [trial.user_attrs.get("retry_of") for trial in study.trials()[4:]] == [1, 2]
    assert [trial.params for trial in study.trials()[4:]] == [trial.params for trial in study.trials()[1:3]]
    assert (study.left, study.goal, study.failed) == (0, 6, [4])
    study = studies.open(n_trials=4, retry_failed=True)
    run(study)
    assert [trial.user_attrs.get("retry_of") for trial in study.trials()[4:]] == [1, 2, 4]
    assert studies.open(n_trials=4).left == 0


def test_a_trial_that_was_drawn_by_halves_is_drawn_to_its_end(studies: Studies) -> None:
    study = studies.open(n_trials=2)
    taken(study)
    path = studies.folder / "study.journal"
    lines = path.read_text().splitlines()
    begun = next(at for at, line in enumerate(lines) if json.loads(line)["op_code"] == 4)
    for cut in range(begun + 1, len(lines)):
        path.write_text("\n".join(lines[:cut]) + "\n")
        (job,) = studies.open(n_trials=2).unfinished()
        assert (job.number, job.params.keys()) == (0, {"x", "y"})
        assert [line.partition("=")[0] for line in job.overrides] == ["x", "y"]


def test_infinite_scores_come_last_and_fronts_hold_what_nothing_dominates(studies: Studies) -> None:
    root = studies.folder
    for direction, best in (("minimize", [3, 0, 1, 2]), ("maximize", [0, 3, 2, 1])):
        studies.folder = root / direction
        study = studies.open(n_trials=5, direction=direction)
        run(study, 2.0, math.inf, -math.inf, 1.0, math.nan)
        order = study.best
        assert order[:2] == best[:2]
        assert set(order[2:]) == {1, 2}
        assert studies.open(n_trials=5, direction=direction).best == order
    studies.folder = root / "both"
    both = {"direction": ["minimize", "maximize"]}
    study = studies.open(n_trials=6, **both)
    run(study, [1.0, 1.0], [2.0, 2.0], [3.0, 1.5], [1.0, 1.0], [0.5, 0.0], [2.0, 3.0])
    assert sorted(study.best) == [0, 3, 4, 5]
    assert sorted(study.best) == sorted(trial.number for trial in study.study.best_trials)


@pytest.mark.parametrize(
    ("value", "state", "error"),
    [
        (math.nan, "PRUNED", "the score is not a number (NaN)"),
        ("None", "FAIL", "the job returned None: must be a number, or a list of them"),
        ([1.0, 2.0], "FAIL", "the job returned 2 scores for 1 directions"),
        ([[1.0]], "FAIL", "the job returned"),
        ({"a": 1}, "FAIL", "the job returned {'a': 1}: must be a number"),
    ],
)
def test_what_a_job_returns(studies: Studies, value: Any, state: str, error: str) -> None:
    study = studies.open(n_trials=1)
    drive(study, FakeEngine(lambda job: returned(job, value)))
    (trial,) = study.trials()
    assert trial.state.name == state
    assert trial.user_attrs["error"].startswith(error)


def test_reports_are_kept_and_answered_and_those_of_other_attempts_are_not(studies: Studies) -> None:
    study = studies.open(n_trials=9, pruner=PRUNERS["median"] | {"n_startup_trials": 1})

    def report(job: Job, value: float, step: int, **more: Any) -> Any:
        return study.answer({"ask": "report", "number": job.number, "attempt": 1, "value": value, "step": step} | more)

    first, second = taken(study), None
    assert [report(first, 1.0, step) for step in range(3)] == [{"prune": False}] * 3
    report(first, 7.0, 2)  # after a restart: the first report of a step stays
    assert study.trial(0).intermediate_values == {0: 1.0, 1: 1.0, 2: 1.0}
    report(first, 1.0, 3, attempt=2)
    study.end(returned(first, 1.0), "")
    report(first, 1.0, 3)
    assert 3 not in study.trial(0).intermediate_values
    second = taken(study)
    assert report(second, 0.5, 0) == {"prune": False}
    assert report(second, 1.5, 1) == {"prune": False}  # the median of one is compared with the best so far
    third = taken(study)
    assert report(third, 5.0, 0) == {"prune": True}
    study.end(Outcome(third.number, 1, "pruned", seconds=0.1), "0")
    assert (study.trial(2).state.name, study.trial(2).value) == ("PRUNED", 5.0)
    assert study.answer({"ask": "begin", "number": 1, "attempt": 1}) is True
    assert study.answer({"ask": "begin", "number": 1, "attempt": 2}) is False


def test_attributes_of_jobs_cannot_replace_the_studys_own(studies: Studies) -> None:
    study, who = studies.open(n_trials=2), {"ask": "set", "number": 0, "attempt": 1}
    taken(study)
    study.answer(who | {"of": "trial", "key": "note", "value": [1]})
    study.answer(who | {"of": "trial", "key": "late", "value": 1, "attempt": 2})
    study.answer(who | {"of": "trial", "key": "large", "value": "x" * 2**17})
    assert {"note", "late", "large"} & study.trial(0).user_attrs.keys() == {"note"}
    plan = study.study.user_attrs["plan"]
    for key in ("about", "plan", "seed"):
        study.answer(who | {"of": "study", "key": key, "value": "text"})
    assert study.answer({"ask": "study"}) == {"about": "text"}
    assert study.study.user_attrs["plan"] == plan
    study.answer({"ask": "constrain", "number": 0, "attempt": 1, "key": "size", "value": 2.0})
    assert 2.0 in [value for key, value in study.trial(0).system_attrs.items() if key.startswith("constraints")]


def test_several_objectives_take_no_reports(studies: Studies) -> None:
    study = studies.open(n_trials=1, direction=["minimize", "minimize"])
    taken(study)
    answer = study.answer({"ask": "report", "number": 0, "attempt": 1, "value": 1.0, "step": 0})
    assert "takes no scores of steps" in answer["error"]


@pytest.mark.parametrize(
    "line",
    [
        '"x"',
        "[",
        "{}",
        '{"op_code": 99, "worker_id": ""}',
        '{"op_code": 5, "worker_id": "", "trial_id": 0, "param_name": "x", "param_value_internal": 0, '
        '"distribution": "{}"}',
        '{"op_code": 6, "worker_id": "", "trial_id": 0, "state": 77, "values": [1]}',
        '{"op_code": 6, "worker_id": "", "trial_id": 0, "state": 1, "values": ["x"]}',
        '{"op_code": 6, "worker_id": "", "trial_id": 0, "state": 1, "values": null}',
        '{"op_code": 6, "worker_id": "", "trial_id": 0, "state": 1, "values": [1, 2]}',
        "[" * 10**5,
    ],
)
def test_a_damaged_journal_is_one_line(studies: Studies, line: str) -> None:
    run(studies.open(n_trials=1))
    taken(studies.open(n_trials=3))
    path = studies.folder / "study.journal"
    lines = path.read_text().splitlines()
    ends = next(at for at, text in enumerate(lines) if json.loads(text)["op_code"] == 6)
    path.write_text("\n".join([*lines[:ends], line, *lines[ends:]]) + "\n")
    with pytest.raises(SweepError, match=r"study\.journal|study study|its record") as error:
        run(studies.open(n_trials=3))
    assert "\n" not in str(error.value)


def test_entries_of_other_studies_are_ignored(studies: Studies) -> None:
    run(studies.open(n_trials=1))
    with (studies.folder / "study.journal").open("a") as file:
        file.write('{"op_code": 6, "worker_id": "", "trial_id": "x", "state": 1, "values": [1]}\n')
        file.write('{"op_code": 4, "worker_id": "", "study_id": 9}\n')
    run(study := studies.open(n_trials=2))
    assert [trial.number for trial in study.trials()] == [0, 1]


@pytest.mark.parametrize(
    ("attribute", "value"), [("attempts", "x"), ("attempts", None), ("overrides", 3), ("seconds", "x"), ("folder", [1])]
)
def test_a_damaged_attribute_of_a_trial_ends_nothing(studies: Studies, attribute: str, value: Any) -> None:
    study = studies.open(n_trials=2)
    taken(study)
    study._set(0, attribute, value)
    run(again := studies.open(n_trials=2))
    assert [trial.state.name for trial in again.trials()] == ["COMPLETE"] * 2


def test_a_journal_that_is_no_file_or_a_link(studies: Studies, tmp_path: Path) -> None:
    path = studies.folder / "study.journal"
    path.mkdir(parents=True)
    with pytest.raises(SweepError, match=r"study\.journal: not a file: remove it"):
        studies.open(n_trials=1)
    path.rmdir()
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"study\.journal"):
        studies.open(n_trials=1)
    assert not (tmp_path / "victim").exists()
