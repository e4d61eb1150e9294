"""What the page's form types for a recipe, and which values it takes."""

import re
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from ziffern.errors import InputError
from ziffern.studio import settings
from ziffern.studio.settings import LOSSES, MODELS, NUMBERS, PRESETS, composed, form, overrides_of


@pytest.mark.slow
def test_the_form_the_folders_and_the_server_need_no_gradio_and_the_worker_no_torch() -> None:
    names = "settings, ziffern.studio.workspace, ziffern.studio.views, ziffern.studio.server"
    for what, heavy in ((names, "gradio"), ("worker", "torch")):
        code = f"import sys, ziffern.studio.{what}; print({heavy!r} in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False", heavy


LONGER = "an2020_m7"  # its 150 epochs are more than the page asks for


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("preset", sorted({*PRESETS} - {LONGER}))
def test_an_unchanged_recipe_is_typed_by_its_name_alone(preset: str) -> None:
    values = form([f"experiment={preset}"])
    model = settings.chosen_by(preset, "model")
    assert overrides_of(model, preset, [], values) == [f"experiment={preset}"]
    assert overrides_of(model, preset, ["data.dir=/d"], values) == [f"experiment={preset}", "data.dir=/d"]


def test_a_recipe_of_more_epochs_is_typed_with_those_of_the_page() -> None:
    values = form([f"experiment={LONGER}"]) | {"epochs": 100}
    assert overrides_of("m7", LONGER, [], values) == [f"experiment={LONGER}", "trainer.max_epochs=100"]


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("preset", sorted({*PRESETS} - {LONGER}))
def test_what_a_recipe_fills_in_is_what_the_form_can_show(preset: str) -> None:
    values = form([f"experiment={preset}"])
    assert {field.name: field.problem(values[field.name]) for field in NUMBERS} == {f.name: "" for f in NUMBERS}
    assert values["optimizer"] in settings.CHOICES["optimizer"]
    assert values["augment"] in settings.CHOICES["augment"]
    assert values["split"] in settings.CHOICES["split"]
    assert set(values) == set(settings.FORM)


def test_a_recipe_names_its_model_and_data() -> None:
    assert {preset: settings.chosen_by(preset, "model") for preset in PRESETS} == {
        "lin2024": "cnn",
        "gomez2025_nn": "nn",
        "gomez2025_dnn": "dnn",
        "fast": "fast",
        "champion": "champion",
        "an2020_m7": "m7",
    }
    assert {settings.chosen_by(preset, "data") for preset in PRESETS} == {"mnist"}


@pytest.mark.parametrize(
    ("name", "value", "typed"),
    [
        ("epochs", 7, "trainer.max_epochs=7"),
        ("batch_size", 64, "data.batch_size=64"),
        ("rate", 0.0123, "model.optimizer.lr=0.0123"),
        ("rate", 0.000001, "model.optimizer.lr=1e-06"),
        ("l2", 0.01, "model.optimizer.weight_decay=0.01"),
        ("patience", 3, "callbacks.early_stopping.patience=3"),
        ("seed", 2**32 - 1, f"seed={2**32 - 1}"),
        ("dropout", "0.3", "model.net.dropout=0.3"),
        ("dropout", "0", "model.net.dropout=0"),
        ("augment", "affine", "model/augment=affine"),
        ("split", "official", "data.split=official"),
    ],
)
def test_only_what_was_changed_is_typed(name: str, value: float | str, typed: str) -> None:
    start = ["model=nn", "data=mnist5k"]
    assert overrides_of("nn", None, start[1:], {**form(start), name: value}) == [*start, typed]


def test_another_optimizer_keeps_the_rate_that_the_form_shows() -> None:
    start = ["model=nn", "data=mnist5k"]
    typed = overrides_of("nn", None, start[1:], {**form(start), "optimizer": "sgd"})
    assert composed(tuple(typed)).model.optimizer.lr == form(start)["rate"]
    assert form(typed)["optimizer"] == "sgd"


def test_what_the_form_leaves_out_is_what_the_recipe_has() -> None:
    assert overrides_of("nn", None, [], {}) == ["model=nn"]
    assert overrides_of("nn", None, [], {"optimizer": None, "dropout": "", "epochs": 3}) == [
        "model=nn",
        "trainer.max_epochs=3",
    ]


def test_early_stopping_is_switched_off_by_a_patience_of_none() -> None:
    values = form(["experiment=gomez2025_nn"])
    assert values["patience"] == 20
    typed = overrides_of("nn", "gomez2025_nn", [], {**values, "patience": 0})
    assert typed == ["experiment=gomez2025_nn", "callbacks.early_stopping.patience=null"]
    assert composed(tuple(typed)).callbacks.early_stopping.patience is None


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("model", MODELS)
def test_a_changed_form_composes_to_what_it_says_with_every_model(model: str) -> None:
    wanted = {"epochs": 2, "batch_size": 33, "rate": 0.02, "l2": 0.003, "patience": 4, "seed": 5}
    values = {**wanted, "optimizer": "adamw", "augment": "affine", "split": "official", "dropout": "0.2"}
    typed = overrides_of(model, None, ["data=mnist5k"], {**values, "loss": "label_smoothing"})
    cfg = composed(tuple(typed))
    assert {field.name: OmegaConf.select(cfg, field.key) for field in NUMBERS} == wanted
    assert cfg.model.optimizer._target_ == "torch.optim.AdamW"
    assert cfg.model.augment is not None
    assert OmegaConf.to_container(cfg.model.loss) == LOSSES["label_smoothing"]
    assert cfg.data.split == "official"
    assert cfg.model.net.get("dropout", 0.2) == 0.2
    again = form(typed)
    assert {name: again[name] for name in values if name != "dropout"} == {
        name: value for name, value in values.items() if name != "dropout"
    }


def test_the_recipes_own_loss_is_not_typed() -> None:
    assert form(["experiment=champion"])["loss"] == "own"
    assert overrides_of("champion", "champion", [], {"loss": "own"}) == ["experiment=champion"]
    assert "model.loss=null" in overrides_of("champion", "champion", [], {"loss": "cross_entropy"})


@pytest.mark.parametrize("loss", sorted({*LOSSES} - {"own"}))
def test_every_loss_is_found_again(loss: str) -> None:
    typed = overrides_of("nn", None, [], {"loss": loss})
    assert form(typed)["loss"] == loss
    assert overrides_of("nn", None, [], form(typed)) == typed


def test_a_loss_can_be_taken_back_to_the_usual_one() -> None:
    typed = overrides_of("fast", "fast", [], {**form(["experiment=fast"]), "loss": "cross_entropy"})
    assert composed(tuple(typed)).model.loss is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("epochs", 0, ""),
        ("epochs", -1, "bounds"),
        ("epochs", 10**400, "bounds"),
        ("epochs", 2.5, "no_whole"),
        ("epochs", 2.0, ""),
        ("epochs", None, "empty"),
        ("epochs", "", "empty"),
        ("epochs", "5", "no_number"),
        ("epochs", True, "no_number"),
        ("epochs", [5], "no_number"),
        ("rate", 0, "bounds"),
        ("rate", 0.5, ""),
        ("rate", float("nan"), "bounds"),
        ("rate", float("inf"), "bounds"),
        ("batch_size", 1024, ""),
        ("batch_size", 1025, "bounds"),
    ],
)
def test_a_value_out_of_its_bounds_is_told_and_never_typed(name: str, value: object, problem: str) -> None:
    field = next(field for field in NUMBERS if field.name == name)
    assert field.problem(value) == problem
    if problem:
        with pytest.raises(InputError, match=re.escape(f"{field.key}=")):
            overrides_of("nn", None, [], {name: value})  # type: ignore[dict-item]


def test_a_wrong_override_is_one_line() -> None:
    with pytest.raises(InputError) as error:
        form(["model=nothing"])
    assert "\n" not in str(error.value)
    assert "nothing" in str(error.value)
