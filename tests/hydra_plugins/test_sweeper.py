"""The sweeper on a small application, in this process."""

import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from tests.support import sweep_app
from tests.support.sweeps import GRID, Studies, claimed, states, study

from hydra_plugins.hydra_optuna_queue import current_trial, is_trial
from hydra_plugins.hydra_optuna_queue._errors import SweepError
from hydra_plugins.hydra_optuna_queue._objects import make_pruner, make_sampler
from hydra_plugins.hydra_optuna_queue._progress import Progress
from hydra_plugins.hydra_optuna_queue._queue import Claim, Owner, Queue, is_alive
from hydra_plugins.hydra_optuna_queue._space import Space
from hydra_plugins.hydra_optuna_queue._storage import Journal, Storage, patiently
from hydra_plugins.hydra_optuna_queue._worker import Worker
from hydra_plugins.hydra_optuna_queue.sweeper import PRUNERS, SAMPLERS


# What Hydra's own plugin makes of the same overrides.
@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("key=choice(1,2)", CategoricalDistribution((1, 2))),
        ("key=1,2", CategoricalDistribution((1, 2))),
        ("key=choice(true, false)", CategoricalDistribution((True, False))),
        ("key=choice('hello', 'world')", CategoricalDistribution(("hello", "world"))),
        ("key=a,null,0.5", CategoricalDistribution(("a", "null", 0.5))),
        ("key=shuffle(range(1,3))", IntDistribution(1, 2)),
        ("key=shuffle(choice(b,a))", CategoricalDistribution(("b", "a"))),
        ("key=sort(3,1,2)", CategoricalDistribution((1, 2, 3))),
        ("key=range(1,3)", IntDistribution(1, 2)),
        ("key=range(4)", IntDistribution(0, 3)),
        ("key=range(0,10,3)", IntDistribution(0, 9, step=3)),
        ("key=range(3,0,-1)", IntDistribution(1, 3)),
        ("key=range(0.5, 5.5, step=1)", FloatDistribution(0.5, 4.5, step=1)),
        ("key=range(0.1,0.4,0.1)", FloatDistribution(0.1, 0.3, step=0.1)),
        ("key=interval(1, 5)", FloatDistribution(1, 5)),
        ("key=int(interval(1, 5))", IntDistribution(1, 5)),
        ("key=tag(log, interval(1, 5))", FloatDistribution(1, 5, log=True)),
        ("key=tag(log, int(interval(1, 5)))", IntDistribution(1, 5, log=True)),
        ("key=tag(log, range(1, 6))", IntDistribution(1, 5, log=True)),
        ("key=tag(log, range(5, 0, -1))", IntDistribution(1, 5, log=True)),
        ("+key=interval(0,1)", FloatDistribution(0, 1)),
        ("++key=interval(0,1)", FloatDistribution(0, 1)),
        ("group/key@package=a,b", CategoricalDistribution(("a", "b"))),
    ],
)
def test_grammar(parse, override: str, expected: Any) -> None:
    (parameter,) = parse(override).parameters()
    assert parameter.distribution == expected
    assert parameter.name == override.partition("=")[0].lstrip("+")


@pytest.mark.parametrize(
    "override",
    ["key=interval(5,1)", "key=tag(log,interval(0,1))", "key=range(3,3)", "key=range(0,3,0)", "key=range(0,1e9)"],
)
def test_a_range_without_values_is_named(parse, override: str) -> None:
    with pytest.raises(SweepError, match=f"{override.split('=', maxsplit=1)[0]}=.*not a range to search") as error:
        parse(override)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("key=tag(log, range(0, 5))", "whole numbers from 1 in steps of 1.*interval"),
        ("key=tag(log, range(1, 9, 2))", "whole numbers from 1"),
        ("key=tag(log, range(0.1, 0.5, 0.1))", "whole numbers from 1"),
        ("key=tag(fast, range(1, 5))", "unknown tag fast; known here: log"),
        ("key=tag(fast, interval(1, 5))", "unknown tag fast"),
        ("key=tag(log, choice(1, 5))", "unknown tag log; choices take none"),
    ],
)
def test_a_tag_that_would_have_no_effect_is_refused(parse, override: str, named: str) -> None:
    with pytest.raises(SweepError, match=named):
        parse(override)


def test_stepped_floats_are_spelt_as_written(parse) -> None:
    points = parse("key=range(0.1,0.8,0.1)").grid()
    assert [point["key"] for point in points] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    space = parse("key=range(0.1,0.8,0.1)")
    drawn = {space.overrides(lambda p: p.suggest(optuna.create_study().ask()))[0].partition("=")[2] for _ in range(40)}
    assert drawn <= {f"0.{digit}" for digit in range(1, 8)}
    assert len(drawn) > 3


def test_values_go_back_to_the_spelling_of_overrides(parse) -> None:
    space = parse("a=null,1", "b=choice(true,false)", "c=choice('x, y','k=v',\"it's\")", "d=5", "~e")
    lines = [space.overrides(lambda parameter, k=k: parameter.values[k % len(parameter.values)]) for k in range(3)]
    assert sorted(lines[0]) == sorted(["a=null", "b=true", r"c=x\,\ y", "d=5", "~e"])
    parser = OverridesParser.create()
    meant = [parser.parse_override(next(line for line in found if line.startswith("c="))).value() for found in lines]
    assert [getattr(value, "text", value) for value in meant] == ["x, y", "k=v", "it's"]
    # Python takes these for equal; they are four.
    points = parse("x=choice(0,false,1,true)").grid()
    assert [point["x"] for point in points] == ["0", "false", "1", "true"]


def test_the_command_line_wins_over_params(parse) -> None:
    space = parse(
        "x=5", "y=choice(1,2)", params={"x": "interval(0,1)", "y": "range(0,9)", "z": "choice(a,b)", "w": True}
    )
    assert [parameter.name for parameter in space.parameters()] == ["z", "y"]
    assert set(space.always.fixed.values()) == {"x=5", "w=true"}


def test_conditions(parse) -> None:
    when = {"model=b,c": {"layers": "choice(1,2)"}, "layers=2": {"width": "choice(8,16)", "tied": False}}
    space = parse("model=a,b", when=when)
    assert space.grid() == [
        {"model": "a"},
        {"model": "b", "layers": 1},
        {"model": "b", "layers": 2, "width": 8},
        {"model": "b", "layers": 2, "width": 16},
    ]
    fixed = space.overrides(lambda parameter: parameter.values[-1])
    assert fixed == ["model=b", "layers=2", "tied=false", "width=16"]
    # The condition also sees what the configuration says, and what the command line fixes.
    assert len(parse("z=1,2", when=when, configured={"model": "c"}).grid()) == 2 * 3
    assert len(parse("z=1,2", "model=c", when=when).grid()) == 2 * 3
    assert len(parse("z=1,2", "model=a", when=when).grid()) == 2
    # Values are compared, not their spelling.
    assert len(parse("p=choice(0.10,0.20)", when={"p=0.1": {"q": "choice(1,2,3)"}}).grid()) == 4
    assert len(parse("p=choice(1,true)", when={"p=true": {"q": "choice(1,2,3)"}}).grid()) == 4
    for wrong, named in (
        ("model", "SETTING=VALUE"),
        ("modl=b", "modl: no such setting"),
        ("z=3", "z never has this value: it is searched among .1, 2."),
    ):
        with pytest.raises(SweepError, match=named):
            parse("z=1,2", when={wrong: {"q": "choice(1,2)"}}, configured={"model": "a"})


def test_nothing_to_search(parse) -> None:
    with pytest.raises(SweepError, match="nothing to search"):
        parse("x=1")
    with pytest.raises(SweepError, match="can be counted"):
        parse("x=interval(0,1)").grid()
    with pytest.raises(SweepError, match="more than"):
        parse("x=range(0,1000)", "y=range(0,1000)").grid()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "tpe")) for name in SAMPLERS if name != "grid"]
)
def test_every_sampler_draws_and_every_pruner_is_made(name: str, sweep) -> None:
    names = ["x=interval(0,1)", "y=interval(0,1)"]
    found = sweep(f"hydra/sweeper/sampler={name}", "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler.seed=3", *names)
    assert states(found) == ["COMPLETE"] * 4
    assert len({trial.params["x"] for trial in found.trials}) == 4
    first = [trial.params for trial in found.trials]
    shutil.rmtree("sweep")
    again = sweep(f"hydra/sweeper/sampler={name}", "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler.seed=3", *names)
    assert [trial.params for trial in again.trials] == first
    for pruner in PRUNERS.values():
        assert isinstance(make_pruner(pruner), optuna.pruners.BasePruner)


def test_only_optunas_own_classes_are_made() -> None:
    with pytest.raises(SweepError, match="must be one of Optuna's own"):
        make_sampler({"_target_": "os.system", "command": "true"}, 0, 0)
    with pytest.raises(SweepError, match="must be one of Optuna's own"):
        make_pruner({"_target_": "optuna.pruners.os"})
    with pytest.raises(SweepError, match=r"MedianPruner.*-1"):
        make_pruner({"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": -1})


def test_a_grid_runs_exactly_its_points(sweep, capsys: pytest.CaptureFixture[str]) -> None:
    found = sweep(GRID, "x=range(0,3)", "y=choice(0.5,1.5)", "db=mysql,postgres", "hydra.sweeper.n_trials=2")
    points = [(t.params["x"], t.params["y"], t.params["db"]) for t in found.trials]
    assert points == [(x, y, db) for x in range(3) for y in (0.5, 1.5) for db in ("mysql", "postgres")]
    assert [trial.value for trial in found.trials] == [(x - 3) ** 2 + y for x, y, _ in points]
    assert sorted(Path("ended.log").read_text().split(), key=int) == [str(number) for number in range(12)]
    config = OmegaConf.load("sweep/5/.hydra/config.yaml")
    assert (config.x, config.y, config.db.name) == (1, 0.5, "postgres")
    assert "hello from 5" in Path("sweep/logs/5.log").read_text()
    told = capsys.readouterr().out
    assert "hello" not in told
    assert told.count("\ntrial ") == 12 + 1  # a line each, and the best
    assert "12/12" in told
    assert "trial 8: 1.5  x=2 y=0.5 db=mysql" in told
    best = OmegaConf.load("sweep/experiment/best.yaml")
    assert (best.x, best.y, best.defaults) == (2, 0.5, ["_self_", {"override /db": "mysql"}])
    result = OmegaConf.load("sweep/optimization_results.yaml")
    assert (result.name, result.best_value, result.best_params.x) == ("optuna", 1.5, 2)
    # The same command again has nothing left to do.
    assert len(sweep(GRID, "x=range(0,3)", "y=choice(0.5,1.5)", "db=mysql,postgres").trials) == 12
    assert len(Path("ended.log").read_text().split()) == 12


def test_n_trials_is_a_total(sweep) -> None:
    assert len(sweep("x=interval(0,1)", "hydra.sweeper.n_trials=3").trials) == 3
    assert len(sweep("x=interval(0,1)", "hydra.sweeper.n_trials=5").trials) == 5
    assert Path("ended.log").read_text().split() == list("01234")


def test_a_failure_is_kept_and_retried_on_demand(sweep, capsys: pytest.CaptureFixture[str]) -> None:
    found = sweep(GRID, "x=range(0,4)", "fail=[1,2]")
    assert states(found) == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert found.trials[1].user_attrs["error"] == "RuntimeError: on <purpose>"
    assert 'raise RuntimeError("on <purpose>")' in Path("sweep/logs/1.log").read_text()
    assert "RuntimeError: on <purpose>: logs/1.log" in capsys.readouterr().out
    found = sweep(GRID, "x=range(0,4)", "fail=[1,2]", "hydra.sweeper.retry_failed=true")
    assert states(found)[4:] == ["COMPLETE", "COMPLETE"]
    assert [trial.params["x"] for trial in found.trials] == [0, 1, 2, 3, 1, 2]


def test_too_many_failures_stop_the_sweep(sweep) -> None:
    given = ("x=interval(0,1)", "fail=[0,2,3]", "hydra.sweeper.max_failures=2", "hydra.sweeper.n_trials=9")
    with pytest.raises(SweepError, match=r"2 trials failed \(max_failures=2\); the last, 2: .*purpose.*retry_failed"):
        sweep(*given)
    assert states(study()) == ["FAIL", "COMPLETE", "FAIL"]
    with pytest.raises(SweepError, match="2 trials failed"):
        sweep(*given)
    assert len(study().trials) == 3


def test_the_official_plugins_rate_of_failures(sweep) -> None:
    given = ("x=interval(0,1)", "fail=[0,1]", "hydra.sweeper.n_trials=3")
    with pytest.raises(SweepError, match="1 trial failed"):
        sweep(*given, "hydra.sweeper.max_failure_rate=0.0")
    shutil.rmtree("sweep")
    assert states(sweep(*given, "hydra.sweeper.max_failure_rate=1")) == ["FAIL", "FAIL", "COMPLETE"]


def test_a_rate_of_failures_is_one_of_a_grids_points(sweep) -> None:
    """Of 4 points, half may fail; n_trials, which a grid ignores, would let 10 of its 20."""
    given = (GRID, "x=range(0,4)", "fail=[0,1,2,3]", "hydra.sweeper.max_failure_rate=0.5")
    with pytest.raises(SweepError, match=r"3 trials failed \(max_failure_rate=0.5\)"):
        sweep(*given)
    with pytest.raises(SweepError, match=r"max_failures=2 beside max_failure_rate=0.5: use one of the two"):
        sweep(*given, "hydra.sweeper.max_failures=2")


@pytest.mark.parametrize(("share", "total", "most"), [(0.29, 100, 30), (0, 7, 1), (0.5, 3, 2), (1, 3, None)])
def test_the_failures_of_a_rate(studies: Studies, share: float, total: int, most: int | None) -> None:
    assert studies.queue(max_failure_rate=share, n_trials=total).max_failures == most


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("score", ["inf", "-inf"])
def test_an_infinite_score_ends_no_sweep_and_is_not_the_best(
    sweep, direction: str, score: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sweep(GRID, "x=range(0,3)", f"scores=[9,{score},1]", f"hydra.sweeper.direction={direction}")
    assert states(found) == ["COMPLETE"] * 3
    assert found.trials[1].value == float(score)
    best = 2 if direction == "minimize" else 0
    assert OmegaConf.load("sweep/experiment/best.yaml").x == best
    assert f"trial   1  {score} " in capsys.readouterr().out


def test_infinite_scores_alone_can_be_exported(sweep) -> None:
    sweep(GRID, "x=range(0,2)", "scores=[inf,inf]")
    assert math.isinf(OmegaConf.load("sweep/optimization_results.yaml").best_value)


def test_the_gp_sampler_takes_infinite_scores_without_a_warning(sweep) -> None:
    scores = "scores=[inf,1,2,3,1,2,3,1,2,3,1,2]"
    given = ("x=interval(0,1)", "hydra/sweeper/sampler=gp", "hydra.sweeper.n_trials=12", scores)
    assert states(sweep(*given)) == ["COMPLETE"] * 12


def test_a_score_that_is_no_number(sweep) -> None:
    found = sweep(GRID, "x=range(0,3)", "nan=[1]", "two=false")
    assert states(found) == ["COMPLETE", "PRUNED", "COMPLETE"]
    shutil.rmtree("sweep")
    with pytest.raises(SweepError, match="every trial failed; the last: the job returned 2 scores for 1 directions"):
        sweep(GRID, "x=range(0,3)", "two=true")
    assert states(study()) == ["FAIL"] * 3


def test_pruning_from_inside_the_job(sweep) -> None:
    pruner = ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=1"]
    found = sweep(GRID, *pruner, "x=range(0,4)", "prune=true")
    assert states(found) == ["COMPLETE", "PRUNED", "PRUNED", "PRUNED"]  # less is better
    assert found.trials[3].intermediate_values == {0: 3}
    assert current_trial() is None
    assert not is_trial()


def test_several_objectives(sweep) -> None:
    both = ["hydra.sweeper.direction=[minimize,minimize]", "hydra.sweeper.metric_names=[loss,size]", "two=true"]
    found = sweep(GRID, "x=range(0,6)", *both)
    assert found.metric_names == ["loss", "size"]
    assert {trial.number for trial in found.best_trials} == {0, 1, 2, 3}
    assert sorted(path.name for path in Path("sweep/experiment").iterdir()) == [f"best_{n}.yaml" for n in range(4)]
    assert len(OmegaConf.load("sweep/optimization_results.yaml").solutions) == 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["x=range(0,4)"], "was begun with x: IntDistribution .*'high': 2.*, now x: IntDistribution .*'high': 3"),
        (["x=range(0,3)", "y=choice(1,2)"], "was begun with no y, now y: Categorical"),
        (["x=range(0,3)", "text=b"], "was begun with no text, now text=b"),
        (["x=range(0,3)", "hydra.sweeper.direction=maximize"], "direction"),
        (["x=range(0,3)", "hydra/sweeper/sampler=tpe"], "was begun with a grid, now a search"),
    ],
)
def test_another_search_under_the_same_name_is_refused(sweep, change: list[str], named: str) -> None:
    sweep(GRID, "x=range(0,3)")
    with pytest.raises(SweepError, match=f"study study .*{named}.*study_name=study-2"):
        sweep(GRID, *change)
    assert len(study().trials) == 3


def test_what_may_differ_may(sweep) -> None:
    sweep(GRID, "x=range(0,2)", "hydra.sweeper.may_differ=[text]", "text=a")
    assert len(sweep(GRID, "x=range(0,2)", "hydra.sweeper.may_differ=[text]", "text=b").trials) == 2


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("n_trials=0", "n_trials=0: must be a whole number of at least 1"),
        ("n_jobs=0", "n_jobs=0"),
        ("max_failures=0", "at least 1, or null"),
        ("direction=up", "direction=up: must be minimize or maximize"),
        ("discard=../..", "without .."),
        ("export=best", "GROUP/NAME"),
        ("n_trails=3", "n_trails: no such setting: did you mean n_trials"),
        ("direction=[]", "direction=nothing"),
        ("metric_names=[a,b]", "must be as many as the directions, 1"),
        ("sampler.multivariate=no", "hydra.sweeper.sampler.multivariate=no: must be true or false"),
        ("sampler.n_startup_trials=true", "sampler.n_startup_trials=True: must be a value, or null"),
        ("sampler.seed=true", "sampler.seed=True: must be a value, or null"),
        ("sampler.seed=-1", "seed=-1: must be a whole number"),
        ("storage=sqlite:/x.db", "three slashes"),
        ("storage=/dev/full", "not a file"),
        ("storage=postgresql://there:port/x", "not an address"),
        ("storage=redis://there", "must be a journal file, sqlite, postgresql or mysql"),
        ("storage='sqlite:///:memory:'", "outlives the process"),
        ("storage=postgresql+nothing://there", "driver that is not installed"),
        ("sampler._target_=os.system", "must be one of Optuna's own"),
    ],
)
def test_a_wrong_setting_is_one_line_and_begins_nothing(sweep, setting: str, named: str) -> None:
    with pytest.raises(SweepError, match=named) as error:
        sweep("x=range(0,3)", f"{'+' * setting.startswith('n_trails')}hydra.sweeper.{setting}")
    assert "\n" not in str(error.value)
    assert not Path("sweep").exists()


def test_what_cannot_be_composed_begins_nothing(sweep) -> None:
    with pytest.raises(Exception, match="oracle"):
        sweep("db=mysql,oracle")
    assert not Path("sweep").exists()


def test_only_the_best_keep_what_is_large(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("x=range(0,5)", "hydra.sweeper.keep_best=2", "hydra.sweeper.discard=weights", "fail=[1]")
    sweep(GRID, *given, "hydra.sweep.subdir='run_${hydra.job.num}'")
    kept = [number for number in range(5) if Path(f"sweep/run_{number}/weights").exists()]
    assert kept == [2, 3]  # 3 is the best, 2 and 4 are alike, and the first of them counts
    assert Path("sweep/run_0").is_dir()


def test_without_a_stable_folder_the_study_gives_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for n_trials in (1, 2):
        given = ["hydra/sweeper=optuna", f"hydra.sweeper.n_trials={n_trials}", "x=interval(0,1)"]
        monkeypatch.setattr(sys, "argv", ["sweep_app.py", "-m", *given])
        sweep_app.main()
    (folder,) = Path("multirun").iterdir()
    assert folder.name.startswith("sweep_app-")
    assert (folder / "1").is_dir()


def test_two_studies_do_not_share_a_folder(sweep) -> None:
    sweep(GRID, "x=range(0,2)")
    for other, named in (
        ("study_name=other", "study_name=study, now it is other"),
        ("storage=x.journal", "storage=null"),
    ):
        with pytest.raises(SweepError, match=f"sweep belongs to the study with hydra.sweeper.{named}"):
            sweep(GRID, "x=range(0,2)", f"hydra.sweeper.{other}")
    Path("sweep/study.journal").unlink()
    with pytest.raises(SweepError, match="the trials of a study that is gone"):
        sweep(GRID, "x=range(0,2)")
    Path("sweep/multirun.yaml").write_text("hydra: [")
    with pytest.raises(SweepError, match=r"multirun.yaml: not readable"):
        sweep(GRID, "x=range(0,2)")


def test_a_study_of_another_program_is_left_alone(sweep) -> None:
    other = optuna.create_study(study_name="study", storage="sqlite:///other.db")
    other.add_trial(optuna.create_trial(value=0.1))
    with pytest.raises(SweepError, match="study study belongs to another program"):
        sweep(GRID, "x=range(0,2)", storage="sqlite:///other.db")


def test_a_folder_named_by_time_and_by_an_interpolation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", str(tmp_path / "place"))
    given = ["hydra/sweeper=optuna", "x=interval(0,1)", "hydra.sweeper.n_trials=1"]
    monkeypatch.setattr(sys, "argv", ["sweep_app.py", "-m", *given, "hydra.sweep.dir=${oc.env:PLACE}/${now:%Y}/x"])
    sweep_app.main()
    (folder,) = (tmp_path / "place").iterdir()
    assert {"0", "study.journal", "logs", "experiment"} <= {path.name for path in folder.iterdir()}


def test_the_best_as_a_config_is_the_configuration_of_the_trial(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["+more@foo=postgres", "foo.port=choice(7)", "+added=[1,{a:b}]", "text='5'", "db=postgres,mysql"]
    sweep(GRID, *given, "x=range(0,2)")
    config = OmegaConf.load("sweep/1/.hydra/config.yaml")  # x=1 and postgres
    program = ["sweep_app.py", "--config-dir", "sweep", "+experiment=best", "hydra.run.dir=again"]
    monkeypatch.setattr(sys, "argv", program)
    sweep_app.main()
    assert OmegaConf.load("again/.hydra/config.yaml") == config
    assert (config.foo.port, config.text, config.db.name) == (7, "5", "postgres")


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


def test_one_who_is_ending_does_not_wait_for_ever_for_the_studys_lock(studies: Studies) -> None:
    queue, owner = studies.queue(n_trials=1), studies.owner()
    claimed(queue.claim(owner))
    with queue.storage.lock("of another"), pytest.raises(TimeoutError):
        queue.release(owner)
    queue.release(owner)
    assert queue.trials()[0].state == TrialState.WAITING
    owner.close()


def test_a_lock_that_was_taken_and_not_counted_is_given_back(studies: Studies, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, acquire = Storage(None, studies.folder, 60), FileLock.acquire

    def interrupted(self: FileLock, *given: Any, **named: Any) -> None:
        acquire(self, *given, **named)
        self._context.lock_counter = 0  # as in the moment before it is counted
        raise KeyboardInterrupt

    monkeypatch.setattr(FileLock, "acquire", interrupted)
    held = []  # whoever handles the error has its frames, and so the lock
    try:
        with storage.lock("study"):
            pass
    except KeyboardInterrupt as error:
        held.append(error)
    monkeypatch.undo()
    with storage.lock("study", 0):
        pass


def test_an_owner_on_another_host_is_judged_by_its_heartbeat_alone(
    studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    queue, owner = studies.queue(url, grace_period=1, n_trials=1), studies.owner()
    other, claim = studies.owner(), claimed(queue.claim(owner))
    far = Storage("postgresql+psycopg://there/x", tmp_path, 60)
    assert is_alive({"host": "elsewhere", "lock": "/gone"}, far) is None
    monkeypatch.setattr("hydra_plugins.hydra_optuna_queue._queue.is_alive", lambda owner, storage: None)
    queue.beat(0)
    assert queue.claim(other) is True
    end = time.monotonic() + 5
    while (found := queue.claim(other)) is True:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert claimed(found).overrides == claim.overrides
    owner.close()
    other.close()


def test_a_journal_survives_half_a_line_and_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.journal"
    made = optuna.create_study(study_name="study", storage=JournalStorage(Journal(path)))
    made.set_user_attr("a", 1)
    with path.open("ab") as file:
        file.write(b'{"op_code": 2, "half')
    again = optuna.load_study(study_name="study", storage=JournalStorage(Journal(path)))
    again.set_user_attr("b", 2)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    size = path.stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            again.set_user_attr("c", 3)
    assert path.stat().st_size == size
    again.set_user_attr("d", 4)
    last = optuna.load_study(study_name="study", storage=JournalStorage(JournalFileBackend(str(path))))
    assert {"a": 1, "b": 2, "d": 4}.items() <= last.user_attrs.items()
    assert "c" not in last.user_attrs


def test_a_storage_out_of_reach_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    calls: list[int] = []

    def do() -> int:
        calls.append(1)
        if len(calls) < 8:
            raise OSError(28, "No space left on device")
        return 5

    said: list[str] = []
    assert patiently(do, 60, said.append) == 5
    assert said[0] == "waiting for the study's storage ([Errno 28] No space left on device)"
    calls.clear()
    with pytest.raises(SweepError, match=r"No space left.*the same command goes on"):
        patiently(do, -math.inf, said.append)


def test_a_job_that_is_no_trial_learns_so_without_optuna() -> None:
    code = "import sys, hydra_plugins.hydra_optuna_queue as q\n"
    code += "print(q.is_trial(), q.current_trial(), 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "None", "False"]


def test_the_plugin_is_found_and_knows_nothing_of_this_project() -> None:
    assert "OptunaQueueSweeper" in [plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)]
    folder = Path(__file__).parents[2] / "src/hydra_plugins"
    for path in folder.rglob("*.py"):
        assert "ziffern" not in path.read_text()
    assert not (folder / "__init__.py").exists()  # a namespace that other plugins share
