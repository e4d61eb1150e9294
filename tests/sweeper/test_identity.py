"""A launch continues a study only if everything that determines the search is the same; the difference is named."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig
from tests.support.digits import synthetic_digits
from tests.support.sweeps import GRID

from hydra_study.errors import SweepError
from hydra_study.identity import difference, is_excepted

SPACE = ("x=interval(0,1)", "hydra.sweeper.n_trials=2")
SEED = "hydra.sweeper.sampler.seed"


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(
    ("first", "then", "named"),
    [
        ((f"{SEED}=1",), (f"{SEED}=2",), "hydra.sweeper.sampler.seed=1, now 2"),
        ((f"{SEED}=1",), (), "hydra.sweeper.sampler.seed=1, now null"),
        ((), (f"{SEED}=1",), "hydra.sweeper.sampler.seed=null, now 1"),
        ((), ("hydra.sweeper.sampler.n_startup_trials=3",), "hydra.sweeper.sampler.n_startup_trials=10, now 3"),
        ((), ("hydra/sweeper/sampler=random",), r"hydra.sweeper.sampler._target_=.*TPESampler.*now .*RandomSampler"),
        ((), ("hydra/sweeper/pruner=median",), r"hydra.sweeper.pruner._target_=.*NopPruner.*now .*MedianPruner"),
        (
            ("hydra/sweeper/pruner=median",),
            ("hydra/sweeper/pruner=median", "hydra.sweeper.pruner.interval_steps=2"),
            "hydra.sweeper.pruner.interval_steps=1, now 2",
        ),
    ],
)
def test_another_sampler_seed_or_pruner_is_named_and_refused(
    sweep,
    begun,
    first: tuple[str, ...],
    then: tuple[str, ...],
    named: str,
) -> None:
    begun(*SPACE, *first)
    with pytest.raises(SweepError, match=f"was begun with {named}.*study_name=study-2 hydra.sweep.dir=sweep-2"):
        sweep(*SPACE, *then)
    # The advice, followed.
    sweep(*SPACE, *then, "hydra.sweeper.study_name=study-2", "hydra.sweep.dir=sweep-2")
    assert (Path("sweep-2") / "1").is_dir()


@pytest.mark.slow
def test_the_seed_that_was_drawn_may_be_named(sweep, begun) -> None:
    seed = begun(*SPACE).user_attrs["seed"]
    assert len(sweep(*SPACE, f"{SEED}={seed}", "hydra.sweeper.n_trials=3").trials) == 3


@pytest.mark.slow
def test_how_a_search_is_run_is_no_part_of_it(sweep) -> None:
    sweep(*SPACE)
    more = (
        "n_trials=3",
        "max_failures=2",
        "keep_best=1",
        "max_attempts=3",
        "n_jobs=1",
        "retry_failed=true",
        "hint=x",
    )
    assert len(sweep(*SPACE, *(f"hydra.sweeper.{item}" for item in more)).trials) == 3
    # The seed of a grid has no effect, and an option that a sampler does not have neither.
    shutil.rmtree("sweep")
    sweep(GRID, "x=range(0,2)", f"{SEED}=1")
    sweep(GRID, "x=range(0,2)", f"{SEED}=2")
    shutil.rmtree("sweep")
    sweep(*SPACE, "hydra/sweeper/sampler=random", "+hydra.sweeper.sampler.popsize=1")
    sweep(*SPACE, "hydra/sweeper/sampler=random", "+hydra.sweeper.sampler.popsize=2")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run a search of an application whose configuration is in files, `conf`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    Path("conf/model").mkdir(parents=True)
    Path("conf/app.yaml").write_text("defaults: [_self_, {model: cnn}]\nx: 0\nplace: ${oc.env:HOME}\nlog: {level: 1}\n")
    Path("conf/model/cnn.yaml").write_text("channels: [8, 16]\ndropout: 0.5\n")
    Path("conf/model/nn.yaml").write_text("hidden: 8\n")

    def run(*arguments: str) -> None:
        GlobalHydra.instance().clear()
        given = ["hydra/sweeper=optuna", "hydra.sweep.dir=study", "hydra.sweeper.study_name=study"]
        monkeypatch.setattr(sys, "argv", ["app.py", "-m", *given, "hydra.sweeper.n_trials=2", *arguments])

        def job(cfg: DictConfig) -> float:
            return float(cfg.x)

        hydra.main(version_base="1.3", config_path=str(tmp_path / "conf"), config_name="app")(job)()

    return run


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("model/cnn", "dropout: 0.5", "dropout: 0.25", "model.dropout=0.5, now 0.25"),
        ("model/cnn", "[8, 16]", "[8, 32]", r"model.channels=\[8, 16\], now \[8, 32\]"),
        ("model/cnn", "dropout: 0.5\n", "", "model.dropout=0.5, now no model.dropout"),
        ("model/cnn", "dropout: 0.5", "dropout: 0.5\nbias: true", "no model.bias, now true"),
        ("app", "oc.env:HOME", "oc.env:USER", r"place=.*HOME.*now .*USER.*"),
        ("app", "level: 1", "level: true", "log.level=1, now true"),
    ],
)
def test_an_edited_configuration_is_noticed(app, file: str, old: str, new: str, named: str) -> None:
    app("x=interval(0,1)")
    path = Path("conf") / f"{file}.yaml"
    kept = path.read_text()
    path.write_text(kept.replace(old, new))
    with pytest.raises(SweepError, match=f"study study was begun with {named}: .*hydra.sweeper.study_name=study-2"):
        app("x=interval(0,1)")
    path.write_text(kept)
    app("x=interval(0,1)")  # the former study continues


@pytest.mark.slow
def test_every_option_that_is_searched_belongs_to_the_search(app) -> None:
    app("x=interval(0,1)", "model=cnn,nn")
    Path("conf/model/nn.yaml").write_text("hidden: 16\n")
    with pytest.raises(SweepError, match=r"model\.hidden=8, now 16"):
        app("x=interval(0,1)", "model=cnn,nn")


@pytest.mark.slow
def test_what_may_differ_is_left_out(app) -> None:
    given = ("x=interval(0,1)", "hydra.sweeper.may_differ=[place,'log.*']")
    app(*given)
    text = Path("conf/app.yaml").read_text()
    Path("conf/app.yaml").write_text(text.replace("HOME", "USER").replace("level: 1", "level: 2"))
    app(*given)
    app(*given, "log.level=3")
    assert is_excepted("log.level", ["log.*"])
    assert not is_excepted("log.level", ["log", "level"])


def test_a_study_of_an_earlier_version_goes_on_and_says_what_is_not_compared(
    sweep,
    begun,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun(*SPACE)
    path = Path("sweep/study.journal")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for part in ("sampler", "pruner", "job"):
            line.get("user_attr", {}).get("plan", {}).pop(part, None)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    capsys.readouterr()
    assert len(sweep(*SPACE, f"{SEED}=5", "hydra.sweeper.n_trials=3").trials) == 3
    note = "started by an earlier version, which did not record the sampler, pruner, job configuration: not compared"
    assert note in capsys.readouterr().out


@pytest.fixture
def program(tmp_path: Path):
    """Run a search of a program of two files; return its exit code and what it wrote to stderr."""
    package = tmp_path / "digits"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "score.py").write_text("def score(x):\n    return x\n")
    main = "import hydra\nfrom digits.score import score\n\n@hydra.main(version_base=None, config_path=None)\n"
    main += "def main(cfg):\n    return score(cfg.x)\n"
    (package / "app.py").write_text(main)
    (tmp_path / "app.py").write_text(main + "\nmain()\n")
    (tmp_path / "run.py").write_text("from digits.app import main\n\nmain()\n")

    def run(script: str, *arguments: str) -> tuple[int, str]:
        given = ["hydra/sweeper=study", "hydra.sweep.dir=study", "hydra/sweeper/engine=inline", "+x=interval(0,1)"]
        line = [sys.executable, script, "-m", *given, "hydra.sweeper.n_trials=2", *arguments]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stderr

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("script", "changed"), [("app.py", "app.py"), ("run.py", "digits/score.py")])
def test_another_version_of_the_code_is_refused(program, tmp_path: Path, script: str, changed: str) -> None:
    assert program(script) == (0, "")
    with (tmp_path / changed).open("a") as file:
        file.write("\n# changed\n")
    code, err = program(script, "hydra.sweeper.n_trials=3")
    assert code == 1
    assert "was begun with other source code of its job: hydra.sweeper.ignore_code=true" in err
    assert "hydra.sweeper.study_name=" in err
    assert program(script, "hydra.sweeper.n_trials=3", "hydra.sweeper.ignore_code=true") == (0, "")
    assert (tmp_path / "study/2").is_dir()


def test_differences() -> None:
    assert difference({"a": 1}, {"a": 1}) is None
    assert difference({"a": float("nan")}, {"a": float("nan")}) is None
    assert difference({"a": 1}, {"a": True}, "s.") == ("s.a=1", "true")
    assert difference({"a": "x" * 300}, {"a": "x" * 301}) is not None


@pytest.mark.slow
def test_a_finished_search_is_no_answer_for_other_data(command_line, digits_npz: Path) -> None:
    given: tuple[Any, ...] = ("-m", "data=local", "data.dir=digits.npz", "model=nn", "trainer=cpu", "logger=none")
    given += ("trainer.max_epochs=1", "threads=1", "model.net.hidden=[8]", "seed=choice(1,2)")
    given += ("hydra/sweeper=ziffern", "hydra/sweeper/sampler=grid", "hydra.sweeper.study_name=study")
    shutil.copyfile(digits_npz, "digits.npz")
    code, _, err = command_line(*given)
    assert code == 0, err
    code, out, err = command_line(*given)
    assert code == 0, err
    assert "2 of them done before" in out
    images, labels = synthetic_digits(400, seed=9)
    np.savez("digits.npz", x_train=images[:300], y_train=labels[:300], x_test=images[300:], y_test=labels[300:])
    code, out, err = command_line(*given)
    assert code == 2
    assert "this search was started on digits" in err
    assert "best" not in out
    for changed, named in (
        ("model.net.hidden=[16]", "model.net.hidden"),
        ("objective=val/loss", "direction ['maximize'], now ['minimize']"),
        ("data.split_seed=1", "data.split_seed"),
    ):
        code, _, err = command_line(*given, changed)
        assert code == 2
        assert named in err
