"""One clear line for what Hydra says in many: misspelt overrides, unknown options, syntax errors.

Only runs once something has gone wrong, so it may compose the configuration again to find the nearest
name that exists.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from hydra_plugins.hydra_optuna_queue._conf import PRUNERS, SAMPLERS, OptunaQueueConf
from ziffern.config.hyperparameters import flatten
from ziffern.config.instantiate import nearest

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException)


def explain(error: Exception, overrides: Sequence[str], folder: Path) -> str:
    """Return one line on why Hydra could not compose `overrides` on the configuration in `folder`."""
    if isinstance(error, OverrideParseException):
        if unknown := re.search(r"Unknown function '(\w+)'", str(error)):
            functions = ("choice", "range", "interval", "tag", "glob", "shuffle", "sort", "int", "float", "str", "bool")
            return f"{error.override}: {unknown[1]}: no such function{nearest(unknown[1], functions) or '.'}"
        return f"{error.override}: not a valid override: write key=value, and quote special characters: 'key=\"a b\"'"
    if isinstance(error, MissingMandatoryValue | InterpolationResolutionError):
        return re.sub(r"^(InputError|KeyError) raised while resolving interpolation: ['\"]?", "", _first_line(error))
    if "does not support sweep type" in str(error) or "requires --multirun" in str(error):
        return (
            "interval(...) and other ranges are for a search: add -m and hparams_search=tpe, or hydra/sweeper=ziffern"
        )
    parsed = [item for item in (_parse(text) for text in overrides) if item is not None]
    for override in parsed:
        line = _sweeper(override) or _unknown_option(override, folder) or _unknown_key(override, parsed, folder)
        if line:
            return line
    return _first_line(error) + (f": {_first_line(error.__cause__)}" if error.__cause__ else "")


def _sweeper(override: Override) -> str:
    """Explain a misspelt setting or option of the sweeper."""
    key, value = override.key_or_group, str(override.value())
    for group, options in (("hydra/sweeper/sampler", SAMPLERS), ("hydra/sweeper/pruner", PRUNERS)):
        if key == group and value not in options:
            return f"{key}={value}: no such option{nearest(value, options) or '.'} Available: {', '.join(options)}"
    parent, _, name = key.rpartition(".")
    known = [field.name for field in fields(OptunaQueueConf) if not field.name.startswith("_")]
    if parent == "hydra.sweeper" and name not in known:
        return f"{key}: no such setting{nearest(name, known) or '.'}"
    return ""


def _parse(text: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        return None


def _options(group: str, folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / group).glob("[!_]*.yaml"))


def _config_dir() -> Path:
    """Return the folder of --config-dir, or one that does not exist."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", default="no --config-dir")
    return Path(parser.parse_known_args(sys.argv[1:])[0].config_dir)


def _unknown_option(override: Override, folder: Path) -> str:
    """Explain `model=cnnn`, also as one choice of a sweep."""
    group = override.key_or_group
    options = sorted({*_options(group, folder), *_options(group, _config_dir())})
    if not options:
        return ""
    value = override.value()
    chosen = value.list if isinstance(value, ChoiceSweep) else [value]
    for choice in map(str, chosen):
        if choice not in options and choice != "None":
            near = nearest(choice, options) or "."
            if group == "experiment" and choice == "best" and not _config_dir().is_dir():
                near = ": name the folder of a search that came to its end by --config-dir FOLDER."
            return f"{group}={choice}: no such option{near} Available: {', '.join(options)}"
    return ""


def _unknown_key(override: Override, parsed: Sequence[Override], folder: Path) -> str:
    """Explain `model.optimizer.lrr=1`: a key that the composed configuration does not have."""
    key = override.key_or_group
    if override.is_add() or override.is_force_add() or key.startswith("hydra") or _options(key, folder):
        return ""
    chosen = [item.input_line for item in parsed if item.input_line and _options(item.key_or_group, folder)]
    config = _compose(chosen, folder)
    if config is None or _has(config, key):
        return ""
    groups = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()]
    meant = [group for group in groups if str(override.value()) in _options(group, folder) and nearest(key, [group])]
    known = meant or [*groups, *flatten_keys(config)]
    return f"{key}: no such setting{nearest(key, known)} All settings: python train.py --cfg job"


def _compose(overrides: list[str], folder: Path) -> DictConfig | None:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            return compose("train", overrides=overrides)
    except HydraException:
        return None


def _has(config: DictConfig, key: str) -> bool:
    try:
        OmegaConf.select(config, key, throw_on_missing=False, throw_on_resolution_failure=False)
        parent, _, last = key.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
    except OmegaConfBaseException:
        return False
    return isinstance(node, DictConfig) and last in node


def flatten_keys(config: DictConfig) -> list[str]:
    """Return the dotted name of every setting."""
    return list(flatten(OmegaConf.to_container(config, resolve=False)))


def _first_line(error: BaseException) -> str:
    text = re.split(r"\s+(?:full_key|object_type):", str(error))[0]
    return re.sub(r"\s+", " ", text).strip()
