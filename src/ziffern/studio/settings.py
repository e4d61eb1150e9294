"""The fields of the form, and the overrides that they stand for.

Decision: a field is a dotted name of the configuration, so presets, suggestions and earlier runs fill the form by being
composed; only what differs from the composed recipe becomes an override.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import Lock
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ziffern.config import conf_folder
from ziffern.errors import InputError

Value = bool | int | float | str | None
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Field:
    """A number in the form."""

    name: str  # in the form and in the texts
    key: str  # its dotted name in the configuration
    low: float
    high: float
    is_whole: bool = True

    def problem(self, value: object) -> str:
        """Return the key of the text that explains what is wrong with a value, or an empty string."""
        if value is None or value == "":
            return "empty"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "no_number"
        if not self.low <= value <= self.high:
            return "bounds"
        return "no_whole" if self.is_whole and value != int(value) else ""


NUMBERS = (
    Field("epochs", "trainer.max_epochs", 0, 100),
    Field("batch_size", "data.batch_size", 1, 1024),
    Field("rate", "model.optimizer.lr", 0.000001, 1, is_whole=False),
    Field("l2", "model.optimizer.weight_decay", 0, 1, is_whole=False),
    Field("patience", "callbacks.early_stopping.patience", 0, 100),  # 0: never, null in the configuration
    Field("seed", "seed", 0, 2**32 - 1),
)
DROPOUT = "model.net.dropout"
LOSSES: dict[str, dict[str, Any] | None] = {  # values of model.loss; `own` stands for the recipe's
    "own": {},
    "cross_entropy": None,
    "label_smoothing": {"_target_": "torch.nn.CrossEntropyLoss", "label_smoothing": 0.1},
    "multi_margin": {"_target_": "torch.nn.MultiMarginLoss"},
}
PRESETS = ("lin2024", "gomez2025_nn", "gomez2025_dnn", "fast", "champion", "an2020_m7")
CHOICES: dict[str, Sequence[str]] = {
    "dropout": ("", *(f"{tenth / 10:g}" for tenth in range(10))),  # "" leaves the model's own
    "optimizer": ("adam", "sgd", "adamw"),
    "loss": tuple(LOSSES),
    "augment": ("none", "affine", "elastic"),
    "split": ("resplit", "official", "auto"),
}
FORM = (*(field.name for field in NUMBERS), *CHOICES)
MODELS = ("nn", "dnn", "cnn", "fast", "champion", "m3", "m5", "m7")
WHOLE = ("source", "preset", "models", *FORM, "extra")  # all fields
_hydra = Lock()  # Hydra composes one configuration at a time


@lru_cache(maxsize=256)
def composed(overrides: tuple[str, ...]) -> DictConfig:
    """Return the configuration composed from overrides.

    Raises:
        InputError: One of them is invalid.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from ziffern.config.explain import COMPOSITION_ERRORS, explain

    with _hydra:
        try:
            with initialize_config_dir(str(conf_folder()), version_base="1.3"):
                return compose("train", overrides=list(overrides))
        except COMPOSITION_ERRORS as error:
            raise explain(error, list(overrides), conf_folder()) from error
        finally:
            GlobalHydra.instance().clear()


def form(overrides: Sequence[str]) -> dict[str, Value]:
    """Return the form's values for overrides."""
    cfg = composed(tuple(overrides))
    values: dict[str, Value] = {field.name: OmegaConf.select(cfg, field.key, default=0) or 0 for field in NUMBERS}
    typed = [item.partition("=")[2] for item in overrides if item.startswith(f"{DROPOUT}=")]
    values["dropout"] = typed[-1] if typed and typed[-1] in CHOICES["dropout"] else ""
    target = str(OmegaConf.select(cfg, "model.optimizer._target_", default=""))
    values["optimizer"] = target.rpartition(".")[2].lower()
    loss = OmegaConf.select(cfg, "model.loss", default=None)
    given = None if loss is None else OmegaConf.to_container(loss)
    values["loss"] = next((name for name, node in LOSSES.items() if node == given), "own")
    is_elastic = OmegaConf.select(cfg, "model.augment.elastic", default=0)
    is_augmented = OmegaConf.select(cfg, "model.augment", default=None) is not None
    values["augment"] = "elastic" if is_elastic else "affine" if is_augmented else "none"
    values["split"] = str(cfg.data.split)
    return values


def can_be_shown(whole: Mapping[str, Any]) -> bool:
    """Return whether the page can show a saved form with the names of WHOLE; another version may have written it."""
    return (
        whole.keys() == set(WHOLE)
        and whole["preset"] in ("", *PRESETS)
        and isinstance(whole["models"], list)
        and all(model in MODELS for model in whole["models"])
        and all(field.problem(whole[field.name]) in ("", "empty") for field in NUMBERS)
        and all(whole[name] in known for name, known in CHOICES.items())
        and isinstance(whole["extra"], list)
        and all(isinstance(item, str) for item in whole["extra"])
    )


@cache
def chosen_by(preset: str, group: str) -> str:
    """Return the option of the group `model` or `data` that a recipe chooses."""
    recipe = OmegaConf.load(conf_folder() / "experiment" / f"{preset}.yaml")
    choices = [entry for entry in OmegaConf.select(recipe, "defaults") or [] if isinstance(entry, DictConfig)]
    default = {"model": "cnn", "data": "mnist"}[group]
    return next((str(entry[f"override /{group}"]) for entry in choices if f"override /{group}" in entry), default)


def overrides_of(
    model: str, preset: str | None, data: Sequence[str], values: Values, extra: Sequence[str] = ()
) -> list[str]:
    """Return the overrides of one training.

    Args:
        model: An option of the group `model`.
        preset: An option of the group `experiment`, where the training is that recipe, perhaps changed.
        data: Overrides that name the data.
        values: Of the form; None, or a name that is missing, leaves what the recipe has.
        extra: Overrides without a field in the form; they take precedence.

    Raises:
        InputError: A value is out of bounds.
    """
    for field in NUMBERS:
        if field.name in values and field.problem(values[field.name]):
            low, high = f"{field.low:g}", f"{field.high:g}"
            raise InputError("studio.form.bounds", key=field.key, value=values[field.name], low=low, high=high)
    for name, options_of in CHOICES.items():
        if values.get(name) and values[name] not in options_of:
            choices = [option for option in options_of if option]
            raise InputError("studio.form.choice", key=name, value=values[name], choices=choices)
    keys = [item.partition("=")[0].lstrip("+~") for item in extra]
    start = [f"experiment={preset}"] if preset else [f"model={model}"]
    kept = [] if "data" in keys else [item for item in data if item.partition("=")[0] not in keys]
    typed = [*start, *kept]
    before = form([*typed, *extra])
    for name, group in (("optimizer", "model/optimizer"), ("augment", "model/augment")):
        wanted = values.get(name)
        if wanted and wanted != before[name] and not {group, f"{group.replace('/', '.')}._target_"} & {*keys}:
            typed.append(f"{group}={wanted}")
    base = form([*typed, *extra])
    loss, split = values.get("loss"), values.get("split")
    if loss and loss not in ("own", base["loss"]) and not any(key.startswith("model.loss") for key in keys):
        node = LOSSES[str(loss)]
        written = "null" if node is None else "{" + ",".join(f"{key}:{value}" for key, value in node.items()) + "}"
        typed.append(f"model.loss={written}")
    if split and split != base["split"] and "data.split" not in keys:
        typed.append(f"data.split={split}")
    cfg = composed((*typed, *extra))
    if (dropout := values.get("dropout")) and _holds(cfg, DROPOUT) and DROPOUT not in keys:
        typed.append(f"{DROPOUT}={dropout}")
    for field in NUMBERS:
        wanted = values.get(field.name)
        is_free = field.key not in keys and _holds(cfg, field.key)
        if wanted is not None and wanted != base[field.name] and is_free:
            assert isinstance(wanted, int | float)
            written = str(int(wanted)) if field.is_whole else repr(wanted)
            typed.append(f"{field.key}={'null' if field.name == 'patience' and not wanted else written}")
    return [*typed, *extra]


def _holds(cfg: DictConfig, key: str) -> bool:
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    return isinstance(node, DictConfig) and name in node
