"""Hydra's own suites for launchers and sweepers, which hydra-core ships, and what its plugin for Optuna is tested for.

The suites run unchanged but for the adaptations below, each with its reason.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from hydra.test_utils.test_utils import SweepTaskFunction
from omegaconf import DictConfig, OmegaConf

pytestmark = pytest.mark.slow
MULTIRUN = ["hydra/sweeper=multirun", "hydra.sweeper.n_jobs=2"]
# A search without this draws 20 trials; Hydra's suites expect each combination once.
GRID = ["hydra/sweeper=study", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=2"]


@pytest.fixture(autouse=True)
def no_group_of_our_own_application() -> Iterator[None]:
    """Take away what other tests registered under a name of Hydra's test application."""
    group = ConfigStore.instance().repo.pop("db", None)
    yield
    if group is not None:
        ConfigStore.instance().repo["db"] = group


def launched(*given: list[str]) -> pytest.MarkDecorator:
    """The launcher stays Hydra's own, which the sweepers replace."""
    return pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", list(some)) for some in given])


@launched(MULTIRUN)
class TestMultirunLauncher(LauncherTestSuite):
    """Nothing is adapted."""


@launched(GRID)
class TestSearchLauncher(LauncherTestSuite):
    """A search needs a score, and the suite's job with a resolver returns a text: this one compares it."""

    def test_sweep_with_custom_resolver(self, hydra_sweep_runner, launcher_name, overrides, tmpdir) -> None:
        sweep = hydra_sweep_runner(
            calling_file=None,
            calling_module="hydra.test_utils.a_module",
            task_function=lambda config: config.x == "foo",
            config_path="configs",
            config_name="custom_resolver",
            overrides=[f"hydra/launcher={launcher_name}", *overrides],
            temp_dir=tmpdir,
        )
        OmegaConf.register_new_resolver("my_custom_resolver", lambda: "foo")
        with sweep:
            assert [done.return_value for done in sweep.returns[0]] == [1.0]


@launched(MULTIRUN, GRID)
class TestBatches(BatchedSweeperTestSuite):
    """No batch waits for its slowest job, so all jobs are one batch: it is cut into the suite's batches of two."""

    @pytest.fixture(autouse=True)
    def batches_of_two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        enter = SweepTaskFunction.__enter__

        def cut(sweep: SweepTaskFunction) -> SweepTaskFunction:
            enter(sweep)
            (jobs,) = sweep.returns
            sweep.returns = [list(batch) for batch in BasicSweeper.split_overrides_to_chunks(jobs, 2)]
            return sweep

        monkeypatch.setattr(SweepTaskFunction, "__enter__", cut)


class Fresh(IntegrationTestSuite):
    """A test that changes its script wants the jobs to run again: a finished sweep would not repeat them."""

    def generate_custom_cmd(self) -> Callable[..., list[str]]:
        def fresh(command: list[str], filename: str) -> list[str]:
            shutil.rmtree("cli_dir", ignore_errors=True)
            return command

        return fresh


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", *MULTIRUN])])
class TestMultirunApps(Fresh):
    """Nothing else is adapted."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", *GRID])])
class TestSearchApps(Fresh):
    """A search needs a score, which the suite's jobs do not return."""

    def generate_custom_cmd(self) -> Callable[..., list[str]]:
        fresh = super().generate_custom_cmd()

        def scored(command: list[str], filename: str) -> list[str]:
            script = Path(filename)
            script.write_text(script.read_text().replace("\nif __name__", "    return 0\n\nif __name__"))
            return fresh(command, filename)

        return scored


@pytest.mark.parametrize("name", ["MultirunSweeper", "StudySweeper"])
def test_hydra_discovers_the_sweepers(name: str) -> None:
    assert name in [plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)]


# What the official plugin for Optuna is tested for, on an application of ours.

SPHERE = """
import hydra
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(cfg: DictConfig):
    if cfg.error:
        raise RuntimeError("cfg.error is True")
    if cfg.two:
        return [4 * cfg.x**2 + 4 * cfg.y**2, (cfg.x - 5) ** 2 + (cfg.y - 5) ** 2]
    return cfg.x**2 + cfg.y**2

if __name__ == "__main__":
    main()
"""
CONFIG = """
defaults: [{override hydra/sweeper: optuna}, _self_]
x: 1
y: 1
error: false
two: false
hydra: {sweeper: {n_jobs: 1, study_name: sphere, sampler: {seed: 123}}}
"""
SPACE = ("x=interval(-5.5,5.5)", "y=choice(-5,0,5)")


@pytest.fixture
def sphere(tmp_path: Path):
    """Run the application; return its exit code, its output, and its optimization_results.yaml."""
    (tmp_path / "sphere.py").write_text(SPHERE)
    (tmp_path / "config.yaml").write_text(CONFIG)

    def run(*arguments: str) -> tuple[int, str, DictConfig]:
        words = [sys.executable, "sphere.py", "--multirun", "hydra.sweep.dir=sweep", *arguments]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        results = tmp_path / "sweep/optimization_results.yaml"
        found = OmegaConf.load(results) if results.exists() else OmegaConf.create()
        return done.returncode, done.stdout + done.stderr, found

    return run


@pytest.mark.parametrize(("space", "names"), [(SPACE, {"x", "y"}), (("x=choice(0,1,2)", "y=0"), {"x"})])
def test_a_search_finds_the_minimum(space: tuple[str, ...], names: set[str], sphere) -> None:
    code, output, results = sphere("hydra.sweeper.n_trials=20", *space)
    assert code == 0, output
    assert results.name == "optuna"
    assert set(results.best_params) == names
    assert results.best_value <= 2.27  # the official test's limit for 20 trials of TPE


@pytest.mark.parametrize("n_trials", [10, 1])
def test_a_grid_ignores_n_trials(n_trials: int, sphere) -> None:
    space = ("x=choice(-1,1)", "y=range(-1,2)", "hydra/sweeper/sampler=grid")
    code, output, results = sphere(f"hydra.sweeper.n_trials={n_trials}", *space)
    assert code == 0, output
    assert "6 complete" in output
    assert (results.best_value, results.best_params.y) == (1, 0)


def test_two_objectives_give_a_front(sphere) -> None:
    directions = ("two=true", "hydra.sweeper.direction=[minimize,minimize]", "hydra/sweeper/sampler=random")
    code, output, results = sphere("x=range(0,5)", "y=range(0,3)", "hydra.sweeper.n_trials=20", *directions)
    assert code == 0, output
    front = [tuple(solution["values"]) for solution in results.solutions]
    assert front
    assert not [(a, b) for a in front for b in front if a != b and a[0] <= b[0] and a[1] <= b[1]]


@pytest.mark.parametrize(("rate", "count"), [(0.5, 11), (1.0, 20)])
def test_the_failure_rate_stops_a_search(rate: float, count: int, sphere) -> None:
    code, output, _ = sphere(
        *SPACE, "error=true", f"hydra.sweeper.max_failure_rate={rate}", "hydra.sweeper.n_trials=20"
    )
    assert code == 1
    assert "RuntimeError: cfg.error is True" in output
    assert f"{count} fail" in output


def test_trials_without_a_searched_setting(sphere) -> None:
    code, output, _ = sphere("hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=3", "hydra/launcher=basic")
    assert code == 0, output
    assert "8 complete" in output
