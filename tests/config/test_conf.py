"""Every option of every group composes and instantiates."""

import importlib.util
from itertools import zip_longest
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf, open_dict

from ziffern.config import conf_folder
from ziffern.config.instantiate import build
from ziffern.data.datamodule import ImageDataModule
from ziffern.errors import InputError
from ziffern.experiment.naming import register_resolvers
from ziffern.training.module import ImageClassifier

GROUPS = sorted({path.parent.relative_to(conf_folder()) for path in conf_folder().glob("*/**/*.yaml")})
GROUPS.remove(Path("hydra/sweeper"))  # hparams_search and engine choose it

PARTS = ("model/augment", "model/optimizer", "model/scheduler")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_folder() / group).glob("[!_]*.yaml"))


@pytest.mark.parametrize("names", list(zip_longest(*(options(str(group)) for group in GROUPS))))
def test_every_option_composes(composed, names: tuple[str | None, ...]) -> None:
    """One of each group at a time."""
    assert composed(*(f"{group}={name}" for group, name in zip(GROUPS, names, strict=True) if name)).model.net._target_


@pytest.mark.parametrize("name", options("model"))
def test_every_model_builds(composed, name: str) -> None:
    model = build(composed(f"model={name}").model, "model")
    assert isinstance(model, ImageClassifier)
    assert model.parameter_count > 0


@pytest.mark.parametrize("name", options("model"))
def test_a_model_of_unknown_classes_is_refused_with_a_fix_that_works(composed, digits_npz: Path, name: str) -> None:
    cfg = composed(f"model={name}", "data=local", f"data.dir={digits_npz}", "data.num_classes=null")
    with pytest.raises(
        InstantiationException, match=r"is known once the data is read: set data\.num_classes=N, or cfg"
    ):
        instantiate(cfg.model)
    data = instantiate(cfg.data)
    cfg.data.num_classes = len(data.dataset.class_names)
    assert isinstance(instantiate(cfg.model), ImageClassifier)


@pytest.mark.parametrize("name", options("data"))
def test_every_data_set_builds(composed, name: str) -> None:
    assert isinstance(build(composed(f"data={name}", "data.dir=somewhere").data, "data"), ImageDataModule)


@pytest.mark.parametrize("name", options("model/optimizer"))
def test_every_optimizer_builds(composed, name: str) -> None:
    model = build(composed(f"model/optimizer={name}").model, "model")
    assert name.partition("_")[0] in type(model.optimization.make_optimizer(model.net.parameters())).__name__.lower()


@pytest.mark.mostly_slow(fast=13)
@pytest.mark.parametrize("choice", [f"{part}={name}" for part in PARTS for name in options(part)])
@pytest.mark.parametrize("experiment", options("experiment"))
def test_an_experiments_parts_can_be_exchanged(composed, experiment: str, choice: str) -> None:
    # What a recipe sets beside its own option would be left to another one: such values belong into an option.
    model = build(composed(f"experiment={experiment}", choice).model, "model")
    assert isinstance(model, ImageClassifier)
    assert model.augment is None or choice != "model/augment=none"


@pytest.mark.parametrize("name", [*options("model/scheduler")])
@pytest.mark.parametrize("micro_steps", [pytest.param(1, marks=pytest.mark.slow), 10])
def test_every_scheduler_trains(run, name: str, micro_steps: int) -> None:
    finished = run(f"model/scheduler={name}", f"trainer.micro_steps={micro_steps}", "trainer.max_epochs=1")
    assert finished.metrics["epochs"] == 1


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of wandb and mlflow themselves
@pytest.mark.parametrize("name", options("logger"))
def test_every_logger_trains(run, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in ("wandb", "mlflow", "aim", "comet"):
        if importlib.util.find_spec({"comet": "comet_ml"}.get(name, name)) is None:
            with pytest.raises(InputError, match=f"the package {name}(-ml)? is not installed: pip install {name}"):
                run(f"logger={name}", *(f"++logger.wandb.save_dir={tmp_path}" for _ in [0] if name == "wandb"))
            return
        monkeypatch.chdir(tmp_path)
    loggers = [f"++logger.{key}.save_dir={tmp_path}" for key in ("tensorboard", "csv", "wandb") if key in keys(name)]
    assert run(f"logger={name}", *loggers, "trainer.max_epochs=1").metrics["epochs"] == 1


def keys(name: str) -> set[str]:
    content = yaml.safe_load((conf_folder() / "logger" / f"{name}.yaml").read_text())
    return {"tensorboard", "csv"} if name == "many" else set(content)


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_forbids_other_data(name: str) -> None:
    GlobalHydra.instance().clear()
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        assert compose("train", overrides=[f"experiment={name}"]).data.source.fallback is False


def test_only_mnist_may_fall_back(composed) -> None:
    allowed = [name for name in options("data") if composed(f"data={name}").data.source.get("fallback")]
    assert allowed == ["mnist"]


def test_the_compact_cnn_shows_the_whole_of_a_model(composed) -> None:
    cnn, other = composed("model=cnn").model, composed("model=nn").model
    content = yaml.safe_load((conf_folder() / "model/cnn.yaml").read_text())
    assert set(content) == set(cnn) - {"optimizer", "scheduler", "augment"}
    assert {key: value for key, value in cnn.items() if key != "net"} == {
        key: value for key, value in other.items() if key != "net"
    }


def test_a_net_alone_is_a_model(composed) -> None:
    model = composed("model=nn").model
    with open_dict(model):
        del model.net.image, model.normalize.image  # users' files of version 0.1.0 have none
    assert build(model, "model").net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("name", ["cnn", "nn", "champion", "resnet18", "m7"])
def test_a_model_takes_the_shape_of_the_data(composed, name: str) -> None:
    model = build(composed(f"model={name}", "data=cifar100", "data.dir=somewhere").model, "model").eval()
    assert model(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape == (2, 100)
    gray = build(composed(f"model={name}").model, "model").eval()
    assert gray(torch.zeros(2, 28, 28, dtype=torch.uint8)).shape == (2, 10)  # as in version 0.1.0


@pytest.mark.parametrize("name", ["mnist", "usps", "emnist_digits"])
def test_sources_of_version_0_1_0_are_those_of_today(composed, name: str) -> None:
    today = composed(f"data={name}", "data.dir=somewhere").data
    former = {"_target_": today.source._target_, "dataset": name, "fallback": False}
    source = build(OmegaConf.create({**today, "source": former}), "data", ImageDataModule).source
    own = build(today, "data", ImageDataModule).source
    assert vars(source) == vars(own) | {"fallback": False}
