"""Tiny synthetic digits, and runs on them within the test process."""

import gc
import logging
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tests.support.digits import synthetic_digits
from tests.support.runs import compose_config, run_in

from ziffern.cli.train import train
from ziffern.report.charts import drawing
from ziffern.runs.run import Run
from ziffern.text.language import terminal_language

os.environ["LC_ALL"] = "C.UTF-8"  # an English terminal, here and in child processes
gc.disable()  # until everything is imported


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests run in two processes on two cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def english_terminal():
    """Undo what a command line with `report=de` or `--language de` leaves in this process."""
    token = terminal_language.set("en")
    yield
    terminal_language.reset(token)


@pytest.fixture(autouse=True)
def no_log_of_another_test():
    """Close the log files that Hydra opened in this process: their folders may be gone in the next test."""
    before = logging.root.handlers[:]
    yield
    for handler in set(logging.root.handlers) - set(before):
        if isinstance(handler, logging.FileHandler):
            logging.root.removeHandler(handler)
            handler.close()


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what -m does not name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases of a mostly slow test slow, but for some that are evenly spread."""
    tests = defaultdict(list)
    for item in items:
        if item.get_closest_marker("mostly_slow") and not item.get_closest_marker("slow"):
            tests[item.nodeid.partition("[")[0]].append(item)
    for cases in tests.values():
        fast = cases[0].get_closest_marker("mostly_slow").kwargs["fast"]
        kept = {place * len(cases) // fast for place in range(fast)}
        for place, case in enumerate(cases):
            if place not in kept:
                case.add_marker("slow")


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays: to look through it again and again takes a tenth of the time
    gc.enable()


@pytest.fixture(scope="session")
def digits_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Keras-like mnist.npz of 300 training and 100 test images."""
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    x_train, y_train = synthetic_digits(300, seed=1)
    x_test, y_test = synthetic_digits(100, seed=2)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


@pytest.fixture
def composed(digits_npz: Path):
    """Compose a configuration on the synthetic digits."""
    return lambda *overrides: compose_config(digits_npz, *overrides)


@pytest.fixture
def run(digits_npz: Path, tmp_path: Path):
    """Run an experiment on the synthetic digits in this process; return its folder as a Run."""

    def run_with(*overrides: str, folder: str = "run", name: str = "nn") -> Run:
        return run_in(tmp_path / folder, compose_config(digits_npz, *overrides), name)

    return run_with


@pytest.fixture(scope="session")
def trained_folder(digits_npz: Path, tmp_path_factory: pytest.TempPathFactory):
    """Train with given overrides once in this process; return the run folder, to be copied, not changed."""

    @cache
    def train_with(*overrides: str) -> Path:
        return run_in(tmp_path_factory.mktemp("trained") / "run", compose_config(digits_npz, *overrides)).folder

    return train_with


@pytest.fixture
def trained(trained_folder, tmp_path: Path):
    """Like `run`, but the run may be a copy of one that another test trained: for tests of what is made of runs."""

    def copied(*overrides: str, folder: str = "run") -> Run:
        return Run(Path(shutil.copytree(trained_folder(*overrides), tmp_path / folder)))

    return copied


@pytest.fixture(scope="session")
def imperfect_folder(trained_folder) -> Path:
    """The folder of a run that makes mistakes: to be copied, not changed."""
    return trained_folder("trainer.max_epochs=1", "model.optimizer.lr=0.0003")


@pytest.fixture
def imperfect(imperfect_folder: Path, tmp_path: Path) -> Run:
    """A run that makes mistakes, of which a test may change what it likes."""
    return Run(Path(shutil.copytree(imperfect_folder, tmp_path / "run")))


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are drawn but not laid out and written, which takes most of the time of a page."""

    def render(draw: Callable[[Axes], str], *_: object, **__: object) -> str:
        draw(Figure().add_subplot())
        return "<svg></svg>"

    monkeypatch.setattr(drawing, "render", render)


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Call `python train.py ARGS` in this process, in an empty folder; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        full_error = os.environ.get("HYDRA_FULL_ERROR")
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        try:
            train()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        assert os.environ.get("HYDRA_FULL_ERROR") == full_error  # later processes must not inherit it
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
