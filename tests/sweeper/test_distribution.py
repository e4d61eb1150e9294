"""The sweeper's own distribution: built, installed alone, and every command of its README run there."""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.support.documents import ROOT

SWEEPER = ROOT / "sweeper"
README = (SWEEPER / "README.md").read_text(encoding="utf-8")
LINES = "\n".join(re.findall(r"^```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)).split("\n")
CLUSTER = re.compile(
    r"engine=(ray|slurm)|^(ray start|export RAY|  hydra\.sweeper\.engine)|pip install 'hydra-study-sweeper\["
)
COMMANDS = [line for line in LINES if line.startswith("python ") and not CLUSTER.search(line)]  # test_ray, test_slurm
HEAVY = (
    "optuna",
    "loky",
    "cloudpickle",
    "multiprocessing",
    "numpy",
    "sqlalchemy",
    "filelock",
    "asyncio",
    "torch",
    "cmaes",
)
OFFICIAL = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
OWN = "hydra_plugins.hydra_study.sweeper.StudySweeper"
FOREIGN = ("ziffern", "torch", "hydra-optuna-sweeper", "ray", "submitit")


def run(*words: object, cwd: Path | None = None) -> str:
    done = subprocess.run(list(map(str, words)), cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel and the source distribution, both built from a copy."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(SWEEPER, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "source")
    return folder / "dist"


@pytest.fixture(scope="session")
def alone(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a clean environment with nothing but the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("alone")
    run(sys.executable, "-m", "venv", folder)
    python, (wheel,) = folder / "bin/python", dist.glob("*.whl")
    options = ("--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt")
    run(python, "-m", "pip", "install", *options, wheel)
    return python


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples, which the commands of the README run in, in order."""
    return Path(shutil.copytree(SWEEPER / "examples", tmp_path_factory.mktemp("examples") / "examples"))


@pytest.mark.slow
def test_it_brings_nothing_foreign(alone: Path, dist: Path) -> None:
    installed = run(alone, "-m", "pip", "list", "--format=freeze").lower()
    assert "hydra-study-sweeper==" in installed
    assert not [name for name in FOREIGN if f"\n{name}==" in installed]
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "examples/quadratic.py", "src/hydra_study/py.typed"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme(command: str, alone: Path, examples: Path) -> None:
    output = run("bash", "-c", f'PATH="{alone.parent}:$PATH"; {command}', cwd=examples)
    if "multirun x=" in command:
        assert "6/6" in output
    elif "n_trials=15" in command:
        assert "10 of them done before" in output
    elif " -m" in command and "--cfg" not in command:
        assert re.search(r"^study \S+: \d+ complete", output, re.MULTILINE)
        assert output.rstrip().endswith("+experiment=best")
        if "hydra.sweeper.n_trials=10" in command:  # the README's next command is the one that was printed
            assert output.splitlines()[-1].strip() in COMMANDS


@pytest.mark.slow
def test_the_same_multirun_repeats_nothing(alone: Path, examples: Path) -> None:
    words = (alone, "quadratic.py", "-m", "hydra/sweeper=multirun", "x=1,2", "hydra.sweep.dir=again")
    assert "2/2" in run(*words, cwd=examples)
    assert "nothing left to run" in run(*words, cwd=examples)


@pytest.mark.slow
def test_beside_the_official_plugin(alone: Path, examples: Path, tmp_path: Path, monkeypatch) -> None:
    """Version 1.3 needs an older Optuna than 5, so that it is registered here but cannot run."""
    run(alone, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path, "hydra-optuna-sweeper==1.3.0")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    show = (alone, "quadratic.py", "--cfg", "hydra", "--package", "hydra.sweeper")
    assert OFFICIAL in run(*show, "hydra/sweeper=optuna", cwd=examples)
    assert OWN in run(*show, "hydra/sweeper=study", cwd=examples)
    words = ("-m", "hydra/sweeper=study", "x=choice(1,2)", "hydra.sweeper.n_trials=2", "hydra.sweep.dir=beside")
    assert "2 complete" in run(alone, "quadratic.py", *words, cwd=examples)


@pytest.mark.slow
def test_on_the_pre_release_of_hydra_1_4(dist: Path, tmp_path: Path) -> None:
    """Here the official plugin runs as well, under its own name."""
    examples = shutil.copytree(SWEEPER / "examples", tmp_path / "examples")
    run(sys.executable, "-m", "venv", tmp_path / "env")
    python, (wheel,) = tmp_path / "env/bin/python", dist.glob("*.whl")
    wanted = (wheel, "hydra-core==1.4.0rc3", "hydra-optuna-sweeper==1.4.0rc3")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted)
    official = run(
        python, "quadratic.py", "-m", "hydra/sweeper=optuna", "x=1,2", "hydra.sweeper.n_trials=2", cwd=examples
    )
    assert "Best value" in official
    search = ("hydra/sweeper=study", "x=choice(1,2)", "hydra/sweeper/sampler=grid", "hydra.sweep.dir=search")
    assert "2 complete" in run(python, "quadratic.py", "-m", *search, cwd=examples)
    assert "nothing left to run" in run(python, "quadratic.py", "-m", *search, cwd=examples)
    assert "2/2" in run(python, "quadratic.py", "-m", "hydra/sweeper=multirun", "x=1,2", cwd=examples)
    assert "3 complete" in run(python, "logistic.py", "-m", "hydra.sweeper.n_trials=3", cwd=examples)


def test_what_the_readme_shows_exists() -> None:
    assert COMMANDS
    others = [line for line in LINES if line and line not in COMMANDS and not CLUSTER.search(line)]
    assert others == ["pip install hydra-study-sweeper"]
    from hydra_study import conf

    for text, options in ((r"sampler=`: (.*)\.", conf.SAMPLERS), (r"pruner=`: (.*)\.", conf.PRUNERS)):
        (named,) = re.findall(text, README)
        assert set(re.findall(r"`(\w+)`", named)) == set(options)


def test_an_application_that_does_not_use_it_imports_nothing_heavy() -> None:
    """Hydra imports the plugin at every start of every application."""
    code = (
        "import sys, hydra; from hydra.core.plugins import Plugins; before = set(sys.modules);"
        "import hydra_plugins.hydra_study.sweeper;"
        f"new = {{name.partition('.')[0] for name in set(sys.modules) - before}}; print(sorted(new & {set(HEAVY)!r}))"
    )
    assert run(sys.executable, "-c", code).strip() == "[]"
