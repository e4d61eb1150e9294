from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from ziffern.config.hyperparameters import flatten
from ziffern.config.instantiate import build, check_targets
from ziffern.config.targets import EXTRA, fits
from ziffern.errors import InputError


def node(target: str, **values):
    return OmegaConf.create({"_target_": target, **values})


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "pathlib.Path.unlink",
        "subprocess.Popen",
        "builtins.eval",
        "torch.load",
        "torch.hub.load",
        "ziffern.runs.run.Path",  # ours by its path, but not by its definition
        "ziffern.training.recorder.subprocess.Popen",
        "ziffern.experiment.run_folder.shutil.rmtree",
        "ziffern.files.atomic.write_text",  # a function
        "torch.optim.optimizer.torch.load",
        "torch.nn.Module.load_state_dict",
        "torch.nn.Parameter",
        "pytorch_lightning.utilities.rank_zero.rank_zero_only",
        "pytorch_lightning.Trainer.fit",
        "ziffern.runs.run.Run",  # ours, and a class, but no part of an experiment
        "torch.optim.",
        "torch.nn..Linear",
    ],
)
def test_targets_outside_an_experiment_are_refused(target: str) -> None:
    with pytest.raises(InputError, match=r"^model\._target_=") as error:
        check_targets(node(target), "model")
    assert "\n" not in str(error.value)


def test_a_target_deep_inside_is_checked_too() -> None:
    config = OmegaConf.create({"_target_": "torch.nn.Sequential", "_args_": [node("os.system", command="true")]})
    with pytest.raises(InputError, match=r"model\._args_\[0\]\._target_=os\.system is not allowed"):
        check_targets(config, "model")


def test_the_environment_may_allow_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="not allowed"):
        build(node("collections.Counter"), "model")
    monkeypatch.setenv(EXTRA, "collections, fractions")
    assert build(node("collections.Counter"), "model") == {}


def test_a_misspelt_key_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"net\.dropuot: MLP does not take dropuot; did you mean dropout\?"):
        build(node("ziffern.models.MLP", dropuot=0.1), "net")


def test_a_misspelt_target_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"does not exist.*did you mean Adam"):
        build(node("torch.optim.Adm"), "optimizer")


@pytest.mark.parametrize(
    ("key", "value"),
    [("dropout", "much"), ("hidden", 5), ("hidden", ["a"]), ("activation", 3), ("num_classes", 2.5), ("dropout", True)],
)
def test_a_value_of_another_type_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^net\.{key}=.*MLP expects"):
        build(node("ziffern.models.MLP", **{key: value}), "net")


class Older(torch.nn.Module):
    """Without type hints, as older code has it."""

    def __init__(self, size=3, bias=True):
        super().__init__()


def test_a_switch_without_a_type_takes_booleans_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIFFERN_TARGETS", "tests")
    with pytest.raises(InputError, match=r"net\.bias=no: Older expects true or false"):
        build(node(f"{__name__}.Older", bias="no"), "net")
    assert type(build(node(f"{__name__}.Older", bias=False), "net")).__name__ == "Older"


def test_a_value_that_is_still_missing_is_named() -> None:
    with pytest.raises(InputError, match=r"net\.dropout has no value yet"):
        build(node("ziffern.models.MLP", dropout="???"), "net")


def test_a_constructors_own_error_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^model\.net\.dropout=2\.0: must be") as error:
        build(node("ziffern.models.MLP", dropout=2.0), "net")
    assert "\n" not in str(error.value)


def test_flatten_gives_dotted_scalars() -> None:
    config = {"net": {"_target_": "a.b.MLP", "hidden": [1, 2], "dropout": 0.5}, "seed": 1, "loss": None}
    assert flatten(config) == {"net": "MLP", "net.hidden": "[1, 2]", "net.dropout": 0.5, "seed": 1, "loss": "None"}


@pytest.mark.parametrize("key", [1, 1.5, True])
def test_a_name_that_is_no_text_hides_nothing(key: object) -> None:
    evil = {"_target_": "pathlib.Path.unlink", "_args_": ["x"]}
    config = OmegaConf.create({"_target_": "torch.nn.Sequential", "_args_": [{key: evil, str(key): {}}]})
    with pytest.raises(InputError, match="keys must be text"):
        build(config, "model.net")


def test_settings_without_a_class_are_no_object() -> None:
    left = {"degrees": 12}
    with pytest.raises(InputError, match=r"model\.augment=\{'degrees': 12\}: ImageClassifier expects an object"):
        build(node("ziffern.training.module.ImageClassifier", net=None, optimizer=None, augment=left), "model")


def test_a_parameter_of_any_type_takes_anything() -> None:
    for value in (1, "text", {"degrees": 12}, [1], None):
        for hint in (Any, object, str | Any):
            assert fits(value, hint)


def test_an_allowed_class_in_the_wrong_place_is_refused() -> None:
    from ziffern.training.module import ImageClassifier

    with pytest.raises(InputError, match="Identity cannot be used here"):
        build(node("torch.nn.Identity"), "model", ImageClassifier)


@pytest.mark.parametrize(("key", "value"), [("_partial_", 0.5), ("_recursive_", "no"), ("_args_", 3), ("_convert_", 1)])
def test_keys_of_hydras_own_are_checked(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^net\.{key}={value}: Hydra expects"):
        build(node("ziffern.models.MLP", **{key: value}), "net")


def test_other_keys_with_an_underscore_are_parameters() -> None:
    with pytest.raises(InputError, match="MLP does not take _more_"):
        build(node("ziffern.models.MLP", _more_=1), "net")
