"""Classes of the user's own package: how it is allowed, and by whom not."""

import sys
from pathlib import Path

import pytest

from ziffern.cli import main as cli
from ziffern.config import own
from ziffern.config.own import allow_targets, is_own
from ziffern.config.targets import allowed_class
from ziffern.errors import InputError
from ziffern.runs.run import Run

CODE = """
import pytorch_lightning as pl
from torch import nn

class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, images):
        return self.layers(images)

class Pair(Net):
    def forward(self, images):
        return self.layers(images), images

class Module(pl.LightningModule):
    pass

class Data(pl.LightningDataModule):
    pass
"""
QUICK = ("trainer=cpu", "trainer.max_epochs=1", "logger=none", "report=null", "hydra.run.dir=run")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch):
    """Forget the package that a test allows and imports."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    token = own._targets.set(())
    yield
    own._targets.reset(token)
    for name in [name for name in sys.modules if name.partition(".")[0] == "own_parts"]:
        del sys.modules[name]


@pytest.fixture
def call(command_line, digits_npz: Path, tmp_path: Path):
    """Train with a package `own_parts` and a folder of configurations in the working directory."""
    (tmp_path / "own_parts").mkdir()
    (tmp_path / "own_parts/nets.py").write_text(CODE)
    (tmp_path / "my_conf/model").mkdir(parents=True)
    (tmp_path / "my_conf/model/own.yaml").write_text("net:\n  _target_: own_parts.nets.Net\n")

    def train(text: str, *overrides: str, folder: str = "my_conf") -> tuple[int, str, str]:
        (tmp_path / folder / "experiment").mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "experiment/mine.yaml").write_text(f"# @package _global_\n{text}")
        local = ("data=local", f"data.dir={digits_npz}", *QUICK)
        return command_line("--config-dir", folder, "experiment=mine", *local, *overrides)

    return train


def test_one_line_of_a_configuration_allows_a_package(call) -> None:
    code, out, errors = call("defaults: [override /model: own]\ntargets: [own_parts]\n")
    assert not code, errors
    assert "own: 6,370 parameters" in out


@pytest.mark.parametrize("how", ["command line", "variable"])
def test_other_ways_to_allow_it(call, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "variable":
        monkeypatch.setenv("ZIFFERN_TARGETS", "own_parts")
    given = ["targets=[own_parts]"] if how == "command line" else []
    code, _, errors = call("{}", "model=own", *given)
    assert not code, errors


def test_all_jobs_of_a_multirun_may_use_it(call) -> None:
    text = "targets: [own_parts]\n"
    code, _, errors = call(text, "model=own", "hydra.sweep.dir=sweep", "seed=0,1", "-m")
    assert not code, errors
    assert Path("sweep/1/metrics.json").is_file()


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(
    ("override", "base"),
    [
        ("model._target_=own_parts.nets.Module", "ziffern.training.module.ImageClassifier"),
        ("data._target_=own_parts.nets.Data", "ziffern.data.datamodule.ImageDataModule"),
        ("+callbacks.x._target_=own_parts.nets.Net", "pytorch_lightning.callbacks.callback.Callback"),
        ("+logger.x._target_=own_parts.nets.Net", "pytorch_lightning.loggers.logger.Logger"),
        ("+metrics.x._target_=own_parts.nets.Net", "torchmetrics.metric.Metric"),
    ],
)
def test_a_class_of_another_kind_is_refused_with_its_base_class(call, override: str, base: str) -> None:
    code, _, errors = call("targets: [own_parts]\n", override)
    assert code == 2
    assert f"it must inherit from {base}" in errors
    assert errors.count("\n") == 1


def test_a_net_that_returns_a_pair_is_one_line(call) -> None:
    code, _, errors = call("targets: [own_parts]\n", "model=own", "model.net._target_=own_parts.nets.Pair")
    assert code == 2
    assert errors.startswith("error: model.net returns a tuple")


def test_without_permission_it_is_refused(call) -> None:
    code, _, errors = call("{}", "model=own")
    assert code == 2
    assert "targets=[own_parts] is enough" in errors
    assert "own_parts" not in sys.modules


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(
    "targets",
    ["[os]", "[subprocess]", "[sys]", "[builtins]", "[torch]", "[../own_parts]", "${tags}", "[${name}]", "x"],
)
def test_a_foreign_file_allows_nothing_but_the_working_directory(call, targets: str) -> None:
    code, _, errors = call(f"targets: {targets}\n")
    assert code == 2
    assert "my_conf/experiment/mine.yaml" in errors
    assert not Path("run").exists()


def test_a_package_that_only_seems_to_be_in_the_working_directory(call, tmp_path: Path) -> None:
    (tmp_path / "subprocess").mkdir()
    (tmp_path / "subprocess/__init__.py").write_text("")
    code, _, errors = call("targets: [subprocess]\n")
    assert code == 2
    assert "targets=subprocess" in errors


@pytest.mark.parametrize("mark", [".hydra", "multirun.yaml", "metrics.json", "optimization_results.yaml"])
def test_the_folder_of_a_run_or_search_allows_nothing(call, tmp_path: Path, mark: str) -> None:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / mark).mkdir()
    code, _, errors = call("targets: [own_parts]\n", folder="result")
    assert code == 2
    assert "targets=own_parts" in errors


def test_a_search_of_somebody_else_may_not_vary_it(call) -> None:
    code, _, errors = call("hydra: {sweeper: {params: {targets: 'choice([own_parts])'}}}\n")
    assert code == 2
    assert "is not a setting that a search may vary" in errors


def test_a_run_folder_allows_nothing(call, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    code, _, errors = call("targets: [own_parts]\n", "model=own")
    assert not code, errors
    own._targets.set(())  # another process
    assert Run(Path("run")).config["targets"] == ["own_parts"]
    with pytest.raises(InputError, match="ZIFFERN_TARGETS=own_parts"):
        Run(Path("run")).load_model()
    monkeypatch.setattr(sys, "argv", ["ziffern", "report", "run"])
    cli.main()  # needs no model
    monkeypatch.setenv("ZIFFERN_TARGETS", "own_parts")
    assert Run(Path("run")).load_model().parameter_count == 6370


def test_a_package_that_does_not_exist_is_named(call) -> None:
    code, _, errors = call("{}", "targets=[own_partz]")
    assert code == 2
    assert "the package own_partz is neither installed" in errors


@pytest.mark.parametrize("value", ["x", [1], ["a b"], ["a-b"], [None], 3])
def test_targets_are_a_list_of_packages(value: object) -> None:
    with pytest.raises(InputError, match="must be a list of packages"):
        allow_targets(value)


def test_an_installed_package_comes_before_one_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/trap.py").write_text("raise AssertionError")
    with pytest.raises(InputError, match="Python has a module torch of its own"):
        allow_targets(["torch"])
    with pytest.raises(InputError, match="does not exist"):
        allowed_class("torch.trap.Trap", "model.net._target_")
    assert not is_own("torch", tmp_path / "my_conf/x.yaml")


@pytest.mark.parametrize("name", ["json", "torch"])
def test_an_own_package_that_cannot_be_imported_is_named(name: str, tmp_path: Path, monkeypatch) -> None:
    """The working directory is searched last, so an installed module of the same name would be used silently."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "nets.py").write_text("raise AssertionError")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"Python has a module {name} of its own") as caught:
        allow_targets([name])
    assert caught.value.code == "config.target.shadowed"


def test_nobody_is_advised_to_allow_the_standard_library() -> None:
    with pytest.raises(InputError) as caught:
        allowed_class("subprocess.Popen", "data.source.train._target_")
    assert caught.value.code == "config.target.standard_library"
    assert "ZIFFERN_TARGETS" not in str(caught.value)


def test_lightnings_other_name_is_answered_with_the_one_that_works() -> None:
    with pytest.raises(InputError, match=r"use pytorch_lightning\.callbacks\.Timer$"):
        allowed_class("lightning.pytorch.callbacks.Timer", "callbacks.timer._target_")
