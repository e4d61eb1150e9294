"""Sweeps over the small application, in this process."""

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra import initialize
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from tests.support import sweep_app
from tests.support.sweeps import Studies, study

from hydra_study.space import Space, parse_space


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run `python sweep_app.py -m hydra/sweeper=optuna ARGS` in this process; return the study."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def run(*arguments: str, engine: str = "inline") -> optuna.Study:
        given = ["hydra/sweeper=optuna", "hydra.sweep.dir=sweep", "hydra.sweeper.study_name=study"]
        monkeypatch.setattr(sys, "argv", ["sweep_app.py", "-m", *given, f"hydra/sweeper/engine={engine}", *arguments])
        sweep_app.main()
        return study()

    return run


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def begun(sweep, kept: Path, tmp_path: Path):
    """Like `sweep`, but with a copy of what a sweep of the same arguments left before, if there was one."""

    def copied(*arguments: str) -> optuna.Study:
        left = kept / hashlib.sha256(repr(arguments).encode()).hexdigest()
        if left.exists():
            shutil.copytree(left, tmp_path, dirs_exist_ok=True)
        else:
            sweep(*arguments)
            shutil.copytree(tmp_path, left)
        return study()

    return copied


@pytest.fixture(scope="module")
def loader() -> ConfigLoader:
    """Hydra's, of the application."""
    GlobalHydra.instance().clear()
    with initialize(version_base="1.3", config_path=None):
        return GlobalHydra.instance().config_loader()


@pytest.fixture
def parse(loader: ConfigLoader):
    """Parse overrides into a Space, as the application would."""

    def run(*overrides: str, configured: dict[str, Any] | None = None, **more: Any) -> Space:
        given = {"params": {}, "when": {}} | more
        settings = configured or {}
        return parse_space(given["params"], given["when"], list(overrides), loader, settings.get)

    return run


@pytest.fixture
def studies(parse, tmp_path: Path) -> Studies:
    return Studies(tmp_path, parse("x=interval(0,1)", "y=choice(1,2)"))
