"""The sweeper on a small application, in this process."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tests.support import sweep_app
from tests.support.sweeps import GRID, states, study

from hydra_study import current_trial, is_trial
from hydra_study.conf import PRUNERS, SAMPLERS
from hydra_study.errors import SweepError
from hydra_study.objects import make_pruner


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_too_many_failures_stop_the_sweep(sweep) -> None:
    given = ("x=interval(0,1)", "fail=[0,2,3]", "hydra.sweeper.max_failures=2", "hydra.sweeper.n_trials=9")
    with pytest.raises(SweepError, match=r"2 trials failed \(max_failures=2\); the last, 2: .*purpose.*retry_failed"):
        sweep(*given)
    assert states(study()) == ["FAIL", "COMPLETE", "FAIL"]
    with pytest.raises(SweepError, match="2 trials failed"):
        sweep(*given)
    assert len(study().trials) == 3


@pytest.mark.slow
def test_the_official_plugins_rate_of_failures(sweep) -> None:
    given = ("x=interval(0,1)", "fail=[0,1]", "hydra.sweeper.n_trials=3")
    with pytest.raises(SweepError, match="1 trial failed"):
        sweep(*given, "hydra.sweeper.max_failure_rate=0.0")
    shutil.rmtree("sweep")
    assert states(sweep(*given, "hydra.sweeper.max_failure_rate=1")) == ["FAIL", "FAIL", "COMPLETE"]


@pytest.mark.slow
def test_a_rate_of_failures_is_one_of_a_grids_points(sweep) -> None:
    """Of 4 points, half may fail; n_trials, which a grid ignores, would let 10 of its 20."""
    given = (GRID, "x=range(0,4)", "fail=[0,1,2,3]", "hydra.sweeper.max_failure_rate=0.5")
    with pytest.raises(SweepError, match=r"3 trials failed \(max_failure_rate=0.5\)"):
        sweep(*given)
    with pytest.raises(SweepError, match=r"max_failures=2 beside max_failure_rate=0.5: use one of the two"):
        sweep(*given, "hydra.sweeper.max_failures=2")


@pytest.mark.mostly_slow(fast=1)
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


@pytest.mark.slow
def test_infinite_scores_alone_can_be_exported(sweep) -> None:
    sweep(GRID, "x=range(0,2)", "scores=[inf,inf]")
    assert math.isinf(OmegaConf.load("sweep/optimization_results.yaml").best_value)


@pytest.mark.slow
def test_the_gp_sampler_takes_infinite_scores_without_a_warning(sweep) -> None:
    scores = "scores=[inf,1,2,3,1,2,3,1,2,3,1,2]"
    given = ("x=interval(0,1)", "hydra/sweeper/sampler=gp", "hydra.sweeper.n_trials=12", scores)
    assert states(sweep(*given)) == ["COMPLETE"] * 12


@pytest.mark.slow
def test_a_score_that_is_no_number(sweep) -> None:
    found = sweep(GRID, "x=range(0,3)", "nan=[1]", "two=false")
    assert states(found) == ["COMPLETE", "PRUNED", "COMPLETE"]
    shutil.rmtree("sweep")
    with pytest.raises(SweepError, match="every trial failed; the last: the job returned 2 scores for 1 directions"):
        sweep(GRID, "x=range(0,3)", "two=true")
    assert states(study()) == ["FAIL"] * 3


@pytest.mark.slow
def test_pruning_from_inside_the_job(sweep) -> None:
    pruner = ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=1"]
    found = sweep(GRID, *pruner, "x=range(0,4)", "prune=true")
    assert states(found) == ["COMPLETE", "PRUNED", "PRUNED", "PRUNED"]  # less is better
    assert found.trials[3].intermediate_values == {0: 3}
    assert current_trial() is None
    assert not is_trial()


@pytest.mark.slow
def test_several_objectives(sweep) -> None:
    both = ["hydra.sweeper.direction=[minimize,minimize]", "hydra.sweeper.metric_names=[loss,size]", "two=true"]
    found = sweep(GRID, "x=range(0,6)", *both)
    assert found.metric_names == ["loss", "size"]
    assert {trial.number for trial in found.best_trials} == {0, 1, 2, 3}
    assert sorted(path.name for path in Path("sweep/experiment").iterdir()) == [f"best_{n}.yaml" for n in range(4)]
    assert len(OmegaConf.load("sweep/optimization_results.yaml").solutions) == 4


@pytest.mark.mostly_slow(fast=3)
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
def test_another_search_under_the_same_name_is_refused(sweep, begun, change: list[str], named: str) -> None:
    begun(GRID, "x=range(0,3)")
    with pytest.raises(SweepError, match=f"study study .*{named}.*study_name=study-2"):
        sweep(GRID, *change)
    assert len(study().trials) == 3


@pytest.mark.slow
def test_what_may_differ_may(sweep) -> None:
    sweep(GRID, "x=range(0,2)", "hydra.sweeper.may_differ=[text]", "text=a")
    assert len(sweep(GRID, "x=range(0,2)", "hydra.sweeper.may_differ=[text]", "text=b").trials) == 2


@pytest.mark.mostly_slow(fast=5)
@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("n_trials=0", "n_trials=0: must be a whole number of at least 1"),
        ("n_jobs=0", "n_jobs=0"),
        ("max_failures=0", "at least 1, or auto, or null"),
        ("trial_timeout=0", "must be a number of at least 0.001, or null"),
        ("engine.kind=dask", "must be one of local, inline, ray, slurm"),
        ("direction=up", "direction=up: must be minimize or maximize"),
        ("discard=../..", "without .."),
        ("export=best", "GROUP/NAME"),
        ("n_trails=3", "n_trails: no such setting: did you mean n_trials"),
        ("engine.isolate=true", "engine.isolate: no such setting of inline"),
        ("direction=[]", "direction=nothing"),
        ("metric_names=[a,b]", "must be as many as the directions, 1"),
        ("sampler.multivariate=no", "hydra.sweeper.sampler.multivariate=no: must be true or false"),
        ("sampler.n_startup_trials=true", "sampler.n_startup_trials=True: must be a whole number"),
        ("sampler.seed=true", "sampler.seed=True: must be a whole number, 0 or more, or null"),
        ("sampler.seed=-1", "seed=-1: must be a whole number"),
        ("storage=sqlite:///x.db", "storage=sqlite:///x.db: must be null: the study is the file study.journal"),
        ("sampler._target_=os.system", "must be one of Optuna's own"),
        ("sampler.n_startup_trails=3", "no such option: did you mean n_startup_trials"),
    ],
)
def test_a_wrong_setting_is_one_line_and_begins_nothing(sweep, setting: str, named: str) -> None:
    with pytest.raises(SweepError, match=named) as error:
        sweep("x=range(0,3)", f"{'+' * ('trails' in setting or 'isolate' in setting)}hydra.sweeper.{setting}")
    assert "\n" not in str(error.value)
    assert not Path("sweep").exists()


def test_what_cannot_be_composed_begins_nothing(sweep) -> None:
    with pytest.raises(Exception, match="oracle"):
        sweep("db=mysql,oracle")
    assert not Path("sweep").exists()


@pytest.mark.slow
def test_only_the_best_keep_what_is_large(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("x=range(0,5)", "hydra.sweeper.keep_best=2", "hydra.sweeper.discard=weights", "fail=[1]")
    sweep(GRID, *given, "hydra.sweep.subdir='run_${hydra.job.num}'")
    kept = [number for number in range(5) if Path(f"sweep/run_{number}/weights").exists()]
    assert kept == [2, 3]  # 3 is the best, 2 and 4 are alike, and the first of them counts
    assert Path("sweep/run_0").is_dir()


@pytest.mark.slow
def test_without_a_stable_folder_the_study_gives_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for n_trials in (1, 2):
        given = ["hydra/sweeper=optuna", f"hydra.sweeper.n_trials={n_trials}", "x=interval(0,1)"]
        monkeypatch.setattr(sys, "argv", ["sweep_app.py", "-m", *given])
        sweep_app.main()
    (folder,) = Path("multirun").iterdir()
    assert folder.name.startswith("sweep_app-")
    assert (folder / "1").is_dir()


@pytest.mark.slow
def test_two_studies_do_not_share_a_folder(sweep, begun) -> None:
    begun(GRID, "x=range(0,2)")
    with pytest.raises(SweepError, match=r"sweep belongs to the study with hydra.sweeper.study_name=study, now it is "):
        sweep(GRID, "x=range(0,2)", "hydra.sweeper.study_name=other")
    Path("sweep/study.journal").unlink()
    with pytest.raises(SweepError, match="the trials of a study that no longer exists"):
        sweep(GRID, "x=range(0,2)")
    Path("sweep/multirun.yaml").write_text("hydra: [")
    with pytest.raises(SweepError, match=r"multirun.yaml: cannot be read"):
        sweep(GRID, "x=range(0,2)")


def test_a_study_of_another_program_is_left_alone(sweep) -> None:
    Path("sweep").mkdir()
    storage = JournalStorage(JournalFileBackend("sweep/study.journal"))
    optuna.create_study(study_name="study", storage=storage).add_trial(optuna.create_trial(value=0.1))
    with pytest.raises(SweepError, match="study study belongs to another program"):
        sweep(GRID, "x=range(0,2)")


@pytest.mark.slow
def test_a_folder_named_by_time_and_by_an_interpolation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", str(tmp_path / "place"))
    given = ["hydra/sweeper=optuna", "x=interval(0,1)", "hydra.sweeper.n_trials=1"]
    monkeypatch.setattr(sys, "argv", ["sweep_app.py", "-m", *given, "hydra.sweep.dir=${oc.env:PLACE}/${now:%Y}/x"])
    sweep_app.main()
    (folder,) = (tmp_path / "place").iterdir()
    assert {"0", "study.journal", "logs", "experiment"} <= {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_the_best_as_a_config_is_the_configuration_of_the_trial(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["+more@foo=postgres", "foo.port=choice(7)", "+added=[1,{a:b}]", "text='5'", "db=postgres,mysql"]
    sweep(GRID, *given, "x=range(0,2)")
    config = OmegaConf.load("sweep/1/.hydra/config.yaml")  # x=1 and postgres
    program = ["sweep_app.py", "--config-dir", "sweep", "+experiment=best", "hydra.run.dir=again"]
    monkeypatch.setattr(sys, "argv", program)
    sweep_app.main()
    assert OmegaConf.load("again/.hydra/config.yaml") == config
    assert (config.foo.port, config.text, config.db.name) == (7, "5", "postgres")


def test_a_job_that_is_no_trial_learns_so_without_optuna() -> None:
    code = "import sys, hydra_study as q\n"
    code += "print(q.is_trial(), q.current_trial(), 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "None", "False"]


def test_the_plugin_is_found_and_knows_nothing_of_this_project() -> None:
    assert "StudySweeper" in [plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)]
    folder = Path(__file__).parents[2] / "src/hydra_plugins"
    for path in folder.rglob("*.py"):
        assert "ziffern" not in path.read_text()
    assert not (folder / "__init__.py").exists()  # a namespace that other plugins share


def test_options_of_another_sampler_are_named(sweep, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(
        "hydra/sweeper/sampler=random",
        "+hydra.sweeper.sampler.popsize=4",
        "x=interval(0,1)",
        "hydra.sweeper.n_trials=1",
    )
    assert "  options of another sampler, without effect: popsize\n" in capsys.readouterr().out
