"""Samplers and pruners are Optuna's own, with settings that fit; functions are the application's own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from tests.support import sweep_app

from hydra_study.conf import SAMPLERS
from hydra_study.errors import SweepError
from hydra_study.objects import (
    application,
    ignored_options,
    is_grid,
    make_pruner,
    make_sampler,
    options,
    resolve_callable,
)

HERE = "tests"
OFFICIAL = {  # the nodes of hydra-optuna-sweeper 1.3.0 and 1.4.0rc3 for which Optuna 5 has classes
    "tpe 1.3": "TPESampler seed consider_prior=True prior_weight=1.0 consider_magic_clip=True consider_endpoints=False "
    "n_startup_trials=10 n_ei_candidates=24 multivariate=False warn_independent_sampling=True",
    "tpe 1.4": "TPESampler seed consider_prior prior_weight consider_magic_clip consider_endpoints n_startup_trials=10 "
    "n_ei_candidates=24 multivariate=False group=False warn_independent_sampling constant_liar=False constraints_func",
    "random": "RandomSampler seed",
    "cmaes 1.3": "CmaEsSampler seed x0 sigma0 independent_sampler warn_independent_sampling=True "
    "consider_pruned_trials=False restart_strategy inc_popsize=2 use_separable_cma=False source_trials",
    "cmaes 1.4": "CmaEsSampler seed x0 sigma0 n_startup_trials=1 independent_sampler warn_independent_sampling=True "
    "consider_pruned_trials=False restart_strategy popsize inc_popsize=-1 use_separable_cma=False with_margin=False "
    "lr_adapt=False source_trials",
    "nsgaii 1.3": "NSGAIISampler seed population_size=50 mutation_prob crossover_prob=0.9 swapping_prob=0.5 "
    "constraints_func",
    "nsgaii 1.4": "create_nsgaii_sampler seed population_size=50 mutation_prob mutation crossover crossover_prob=0.9 "
    "swapping_prob=0.5 constraints_func",
    "nsgaiii": "create_nsgaiii_sampler seed population_size=50 mutation_prob mutation crossover crossover_prob=0.9 "
    "swapping_prob=0.5 constraints_func reference_points dividing_parameter=3",
    "gp": "GPSampler seed independent_sampler n_startup_trials=10 deterministic_objective=False constraints_func "
    "warn_independent_sampling=True",
    "qmc": "QMCSampler seed qmc_type='sobol' scramble=False independent_sampler warn_asynchronous_seeding=True "
    "warn_independent_sampling=True",
    "grid": "GridSampler _partial_=True seed",
}


def official(text: str) -> dict[str, Any]:
    name, *items = text.split()
    module = "hydra_plugins.hydra_optuna_sweeper._impl" if "_" in name else "optuna.samplers"
    pairs = [item.partition("=") for item in items]
    return {"_target_": f"{module}.{name}"} | {key: eval(value) if value else None for key, _, value in pairs}


def node(name: str, **more: Any) -> dict[str, Any]:
    return {"_target_": f"optuna.samplers.{name}", **more}


def margins(trial: optuna.trial.FrozenTrial, limit: float = 0.5) -> list[float]:
    return [trial.params["x"] - limit]


def test_only_optunas_own_classes_are_made() -> None:
    with pytest.raises(SweepError, match="must be one of Optuna's own"):
        make_sampler({"_target_": "os.system", "command": "true"}, 0, 0)
    with pytest.raises(SweepError, match="must be one of Optuna's own"):
        make_pruner({"_target_": "optuna.pruners.os"})
    with pytest.raises(SweepError, match=r"MedianPruner.*-1"):
        make_pruner({"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": -1})
    wrapped = {"_target_": "optuna.pruners.PatientPruner", "patience": 1}
    make_pruner(wrapped | {"wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"}})
    with pytest.raises(SweepError, match=r"wrapped_pruner: os.system: must be one of Optuna's own.* MedianPruner"):
        make_pruner(wrapped | {"wrapped_pruner": {"_target_": "os.system"}})
    for module in ("optuna.samplers.MOTPESampler", "hydra_plugins.hydra_optuna_sweeper.config.raise_motpe_removed"):
        with pytest.raises(SweepError, match=r"MOTPESampler|raise_motpe_removed.*must be one of.*TPESampler"):
            make_sampler({"_target_": module}, 0, 0)


@pytest.mark.parametrize("text", OFFICIAL.values(), ids=OFFICIAL)
def test_the_official_plugins_nodes_draw(text: str) -> None:
    config = official(text)
    study = optuna.create_study()
    for number in range(13):
        study.sampler = make_sampler(config, 5, number)
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1))
    assert len({trial.params["x"] for trial in study.trials}) > 9
    assert not ignored_options(config, "samplers")
    assert is_grid(config) == ("Grid" in text)


def test_options_that_are_absent_have_our_defaults_and_those_that_are_given_take_effect() -> None:
    assert options(node("TPESampler"), "samplers") == {k: v for k, v in SAMPLERS["tpe"].items() if k != "seed"}
    tpe: Any = make_sampler(official(OFFICIAL["tpe 1.3"]) | {"consider_endpoints": True, "prior_weight": 2.0}, 0, 0)
    assert (tpe._group, tpe._multivariate, tpe._constant_liar) == (False, False, True)
    assert tpe._parzen_estimator_parameters.consider_endpoints
    assert tpe._parzen_estimator_parameters.prior_weight == 2
    cmaes: Any = make_sampler(node("CmaEsSampler", use_separable_cma=True, x0={"x": 0.5}), 0, 0)
    assert (cmaes._use_separable_cma, cmaes._with_margin, cmaes._x0) == (True, False, {"x": 0.5})
    gp: Any = make_sampler(node("GPSampler", independent_sampler=node("TPESampler", n_startup_trials=3)), 0, 0)
    assert gp._independent_sampler._n_startup_trials == 3
    mutation = node("nsgaii.PolynomialMutation", eta=3)
    points = [[0.0, 1.0], [1.0, 0.0]]
    nsga: Any = make_sampler(node("NSGAIIISampler", mutation=mutation, reference_points=points), 0, 0)
    assert nsga._child_generation_strategy._mutation._eta == 3
    np.testing.assert_array_equal(nsga._elite_population_selection_strategy._reference_points, points)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (
            node("TPESampler", consider_prior=False),
            r"sampler.consider_prior=False: not possible with Optuna 5.*: remove",
        ),
        (node("CmaEsSampler", restart_strategy="ipop"), "sampler.restart_strategy=ipop: not possible"),
        (node("CmaEsSampler", source_trials=[1]), "source_trials=.1.: not possible"),
        (
            node("TPESampler", multivaraite=True),
            "sampler.multivaraite: .*TPESampler has no such option: did you mean mul",
        ),
        (node("GridSampler", search_space={"x": [1]}), "sampler.search_space: .*GridSampler has no such option"),
        (node("TPESampler", n_startup_trials=2.5), "n_startup_trials=2.5: must be a whole number"),
        (node("NSGAIISampler", crossover_prob="x"), "crossover_prob=x: must be a number"),
        (node("NSGAIISampler", crossover=node("nsgaii.PolynomialMutation")), "crossover: .*Optuna's own.*SBXCrossover"),
        (node("GPSampler", independent_sampler="tpe"), "independent_sampler: tpe: must be one of Optuna's own"),
        (node("NSGAIIISampler", reference_points=["x"]), "NSGAIIISampler: could not convert string to float"),
        (node("TPESampler", gamma={"_partial_": True}), "None: no function defined"),
        (node("GPSampler", constraints_func="my_app.f"), "constraints_func=my_app.f: must be {_target_: .*_partial_"),
        (node("TPESampler", gamma={"_target_": "os.getpid", "_partial_": True}), "os.getpid: no function defined in"),
    ],
)
def test_an_option_without_effect_is_refused(config: dict[str, Any], named: str) -> None:
    with pytest.raises(SweepError, match=named):
        make_sampler(config, 0, 0, (HERE,))


def test_options_that_a_recipe_sets_for_another_sampler_are_named() -> None:
    config = node("RandomSampler", n_startup_trials=5)
    make_sampler(config, 0, 0)
    assert ignored_options(config, "samplers") == ["n_startup_trials"]
    assert options(config, "samplers") == {"_target_": "optuna.samplers.RandomSampler"}


@pytest.mark.parametrize("name", ["tpe", "nsgaii", "nsgaiii", "gp"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_constraints_of_the_application(name: str) -> None:
    func = {"_target_": f"{__name__}.margins", "_partial_": True, "limit": 0.25}
    config = SAMPLERS[name] | {"constraints_func": func} | ({"population_size": 4} if "nsga" in name else {})
    study = optuna.create_study(direction="maximize")
    for number in range(16):
        study.sampler = make_sampler(config, 1, number, application(sweep_app.job))
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1))
    assert [trial.constraints["0"] for trial in study.trials] == [trial.params["x"] - 0.25 for trial in study.trials]
    assert study.best_trial.params["x"] <= 0.25


def test_a_config_names_functions_of_the_application_alone() -> None:
    assert application(sweep_app.job) == (HERE,)
    assert resolve_callable("tests.support.sweep_app.job", (HERE,)) is sweep_app.job
    for path, named in (
        ("os.system", "os.system: no function defined in tests: a sweep calls functions of the application alone"),
        ("testsuite.run", "no function defined in tests"),
        ("tests.support.sweep_app.Path", "no function defined"),  # imported there
        ("tests.support.sweep_app.os.system", "'tests.support.sweep_app' is not a package"),
        ("tests.support.sweep_app.CONFIG", "no function defined"),
        ("tests.support.sweep_app.nothing", "no function defined"),
        ("tests.support.nothing.f", "No module named"),
        ("__main__.f", "no function defined"),
        ("tests", "no function defined"),
        ("", "no function defined"),
    ):
        with pytest.raises(SweepError, match=named):
            resolve_callable(path, (HERE,))


@pytest.mark.parametrize("start", [["my-app.py"], ["-m", "package.train"]])
def test_a_script_goes_by_the_name_of_its_file(start: list[str], tmp_path: Path) -> None:
    code = """
import sys
from os import getpid
from hydra_study.errors import SweepError
from hydra_study.objects import application, resolve_callable
def job(cfg): ...
def configure(cfg, trial): ...
allowed = application(job)
print(allowed)
for path in sys.argv[1:]:
    try:
        print(resolve_callable(path, allowed) is configure)
    except SweepError:
        print("refused")
"""
    (tmp_path / "package").mkdir()
    (tmp_path / "my-app.py").write_text(code)
    (tmp_path / "package/train.py").write_text(code)
    (tmp_path / "package/other.py").write_text("def configure(cfg, trial): ...")
    module = start[-1].removesuffix(".py")
    paths = [f"{module}.configure", f".{module}.configure", f"{module}.getpid", "os.getpid", "package.other.configure"]
    command = [sys.executable, *start, *paths]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    allowed, *found = done.stdout.splitlines()
    of_script = ["('__main__',)", "True", "True", "refused", "refused", "refused"]
    assert [allowed, *found] == (
        of_script if module == "my-app" else ["('__main__', 'package')", *of_script[1:-1], "False"]
    )


def test_the_name_of_the_official_plugins_class_starts_this_sweeper(sweep) -> None:
    target = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    assert len(sweep(f"hydra.sweeper._target_={target}", "x=range(0,1e9)", "hydra.sweeper.n_trials=2").trials) == 2
