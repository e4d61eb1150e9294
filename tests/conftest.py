"""Tiny synthetic digits, and runs on them within the test process."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from ziffern.config import conf_folder
from ziffern.entry import register_resolvers, train
from ziffern.experiment import run_experiment
from ziffern.runs import Run

torch.set_num_threads(1)  # tests run in two processes on two cores

FAST = ["trainer=cpu", "logger=none", "trainer.max_epochs=2"]
SMALL = ["model=nn", "model.net.hidden=[16]"]  # unless a test chooses


def synthetic_digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright bar whose row tells the class: learnable within seconds, (count, 28, 28) uint8."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    images = random.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    images[np.arange(count), 2 * labels + 4] = 200
    return images, labels.astype(np.uint8)


@pytest.fixture(scope="session")
def digits_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Keras-like mnist.npz of 300 training and 100 test images."""
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    x_train, y_train = synthetic_digits(300, seed=1)
    x_test, y_test = synthetic_digits(100, seed=2)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


def compose_config(digits: Path, *overrides: str) -> DictConfig:
    """Compose a configuration on the synthetic digits."""
    GlobalHydra.instance().clear()
    register_resolvers()
    local = ["data=local", f"data.dir={digits}"]
    chosen = any(override.startswith(("model=", "experiment=")) for override in overrides)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("train", overrides=[*local, *FAST, *([] if chosen else SMALL), *overrides])


def run_in(folder: Path, config: DictConfig, name: str = "nn") -> Run:
    """Run an experiment in this process, with the configuration beside it as Hydra puts it there."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / ".hydra/config.yaml")
    run_experiment(config, folder, name)
    return Run(folder)


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
def imperfect_folder(digits_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that makes mistakes: to be copied, not changed."""
    folder = tmp_path_factory.mktemp("imperfect") / "run"
    run_in(folder, compose_config(digits_npz, "trainer.max_epochs=1", "model.optimizer.lr=0.0003"))
    return folder


@pytest.fixture
def imperfect(imperfect_folder: Path, tmp_path: Path) -> Run:
    """A run that makes mistakes, of which a test may change what it likes."""
    return Run(Path(shutil.copytree(imperfect_folder, tmp_path / "run")))


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Call `python train.py ARGS` in this process, in an empty folder; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        try:
            train()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
