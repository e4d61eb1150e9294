"""Replaces the many lines of a Hydra error with one: misspelled overrides, unknown options, syntax errors.

It runs only after an error, so it may compose the configuration again to find the nearest existing name.
"""

import contextlib
import inspect
import re
import shlex
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

from hydra_study.conf import PRUNERS, SAMPLERS, StudyConf
from ziffern.config import suggestion
from ziffern.config.elsewhere import replacement
from ziffern.config.hyperparameters import flatten
from ziffern.config.parts import GROUPS
from ziffern.config.targets import allowed_class
from ziffern.errors import InputError

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException)
FUNCTIONS = ("choice", "range", "interval", "tag", "glob", "shuffle", "sort", "int", "float", "str", "bool")


def explain(error: Exception, overrides: Sequence[str], folder: Path, config_dir: str | None = None) -> InputError:
    """Return why Hydra raised `error` for `overrides` of the configuration in `folder`, and in that of --config-dir."""
    if isinstance(error, OverrideParseException):
        if unknown := re.search(r"Unknown function '(\w+)'", str(error)):
            near = suggestion(unknown[1], FUNCTIONS) or "."
            return InputError("config.override.unknown_function", override=error.override, name=unknown[1], near=near)
        return InputError("config.override.invalid", override=error.override)
    if isinstance(error, MissingMandatoryValue | InterpolationResolutionError):
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, InputError):  # raised by a resolver
            cause = cause.__cause__ or cause.__context__
        return cause or InputError("config.composition.failed", reason=_first_line(error))
    if mistake := _several_values(str(error)):
        return mistake
    folders = [folder, Path(config_dir)] if config_dir else [folder]
    parsed: list[Override] = []
    for text in overrides:
        with contextlib.suppress(HydraException):
            parsed.append(OverridesParser.create().parse_override(text))
    for override in parsed:
        mistake = (
            _sweeper(override)
            or _local(override, folder)
            or _added_option(override, folders)
            or _unknown_option(override, folders)
            or _unknown_key(override, parsed, folder)
        )
        if mistake:
            return mistake
    reasons = [_first_line(cause) for cause in (error, error.__cause__) if cause]
    return InputError("config.composition.failed", reason=": ".join(reasons))


def _several_values(error: str) -> InputError | None:
    """Explain several values, or a range, without -m."""
    if ambiguous := re.search(r"Ambiguous value for argument '(.+?)'\n", error):
        key, _, value = ambiguous[1].partition("=")
        return InputError("config.override.comma", override=ambiguous[1], quoted=shlex.quote(f'{key}="{value}"'))
    is_range = "does not support sweep type" in error or "requires --multirun" in error
    return InputError("config.override.range_without_search") if is_range else None


def _sweeper(override: Override) -> InputError | None:
    """Explain a misspelled setting of the sweeper."""
    parent, _, name = override.key_or_group.rpartition(".")
    known = [field.name for field in fields(StudyConf) if not field.name.startswith("_")]
    if parent != "hydra.sweeper" or name in known:
        return None
    if renamed := replacement(override.key_or_group):
        return renamed
    return InputError("config.sweeper.unknown", key=f"{parent}.{name}", near=suggestion(name, known) or ".")


def _local(override: Override, folder: Path) -> InputError | None:
    """Explain `local=NAME` without a file: with one, Hydra would have read it as an option."""
    is_local = override.key_or_group == "local"
    return InputError("config.option.no_local", name=str(override.value()), folder=folder) if is_local else None


def _options(group: str, *folders: Path) -> list[str]:
    own = {"hydra/sweeper/sampler": SAMPLERS, "hydra/sweeper/pruner": PRUNERS}.get(group, ())
    return [*own] or sorted({path.stem for folder in folders for path in (folder / group).glob("[!_]*.yaml")})


def _added_option(override: Override, folders: Sequence[Path]) -> InputError | None:
    """Explain `+debug=fdr`: every group is in the defaults list already."""
    if not override.is_add() or not _options(override.key_or_group, *folders) or not override.input_line:
        return None
    fix = override.input_line.lstrip("+")
    return InputError("config.override.group_with_plus", override=override.input_line, fix=fix)


def _unknown_option(override: Override, folders: Sequence[Path]) -> InputError | None:
    """Explain `model=cnnn`, also as one choice of a sweep."""
    group = override.key_or_group
    options = _options(group, *folders)
    for choice in map(str, _choices(override) if options else ()):
        if choice not in options and choice != "None":
            if group == "experiment" and choice == "best" and not any(folder.is_dir() for folder in folders[1:]):
                return InputError("config.option.no_best", options=options)
            if renamed := replacement(f"{group}={choice}"):
                return renamed
            near = suggestion(choice, options) or "."
            return InputError("config.option.unknown", group=group, value=choice, near=near, options=options)
    return None


def _choices(override: Override) -> Sequence[object]:
    """Return the options that an override of a group names; none for a pattern such as glob(*)."""
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return value.list
    return () if override.is_sweep_override() else (value,)


def _unknown_key(override: Override, parsed: Sequence[Override], folder: Path) -> InputError | None:
    """Explain `model.optimizer.lrr=1`: a key that the composed configuration does not have."""
    key = override.key_or_group
    if override.is_add() or override.is_force_add() or key.startswith("hydra") or _options(key, folder):
        return None
    named = [item for item in parsed if not item.key_or_group.startswith("hydra")]
    chosen = [
        f"{item.get_key_element()}={option}"
        for item in named
        for option in list(_choices(item) if _options(item.key_or_group, folder) else ())[:1]
    ]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            config = compose("train", overrides=chosen)
    except HydraException:
        return None
    if key == "train" and not override.is_delete():
        return InputError("config.root.train", value=str(override.value()).lower())
    parent, _, last = key.rpartition(".")
    try:
        node = OmegaConf.select(config, parent) if parent else config
    except OmegaConfBaseException:
        node = None
    if isinstance(node, DictConfig) and last in node:
        return None
    groups = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()]
    if mistake := replacement(key) or _unset_key(override, node, folder):
        return mistake
    value = str(override.value())
    near = [group for group in groups if value in _options(group, folder) and suggestion(key, [group])]
    known = near or [*groups, *flatten(OmegaConf.to_container(config, resolve=False))]
    return InputError("config.key.unknown", key=key, near=suggestion(key, known) or ".")


def _unset_key(override: Override, node: object, folder: Path) -> InputError | None:
    """Explain a setting without a default, or of an option that was not chosen."""
    key, fix = override.key_or_group, f"+{override.input_line}"
    parent, _, last = key.rpartition(".")
    if isinstance(node, DictConfig) and _takes(node, last, parent):
        return InputError("config.key.needs_plus", key=key, fix=fix)
    group, option, *_ = [*key.split("."), ""]
    if group in GROUPS and option in _options(group, folder):
        return InputError("config.key.of_option", key=key, group=group, option=option, fix=fix)
    return None


def _takes(node: DictConfig, name: str, where: str) -> bool:
    """Return whether the class that a node of the configuration names takes an argument."""
    target = OmegaConf.to_container(node, resolve=False).get("_target_")  # type: ignore[union-attr]
    with contextlib.suppress(InputError):
        return target is not None and name in inspect.signature(allowed_class(target, f"{where}._target_")).parameters
    return False


def _first_line(error: BaseException) -> str:
    text = re.split(r"\s+(?:full_key|object_type):", str(error))[0]
    text = re.sub(r"^KeyError raised while resolving interpolation: ['\"]?", "", text)
    return re.sub(r"\s+", " ", text).strip()
