"""Checks of the settings below `hydra.sweeper`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hydra_study.conf import ENGINES, MultirunConf, StudyConf
from hydra_study.engines import KINDS
from hydra_study.errors import SweepError
from hydra_study.workers import AUTO

PACKAGES = {"ray": "ray", "slurm": "submitit"}  # of the engines that need one
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
MINIMUMS = {"n_jobs": 1, "gpus": 0, "memory": 0.001, "trial_timeout": 0.001, "max_attempts": 1, "max_failures": 1}
SEARCH_MINIMUMS = {"n_trials": 1, "keep_best": 0}
ANY_NUMBER = ("memory", "trial_timeout")
MAY_BE_AUTO = ("n_jobs", "gpus", "max_failures")
MAY_BE_NULL = ("max_failures", "keep_best", "trial_timeout")
GONE = {
    "storage": "must be null: the study is the file study.journal in the sweep folder",
    "isolate": "write hydra.sweeper.engine.isolate",
    "grace_period": "no longer supported: leave it out",
    "patience": "a sweep ends with a line if its disk is full: leave it out",
}


def plain(value: Any) -> Any:
    """Return a setting as plain containers, resolved."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def check_multirun(settings: dict[str, Any], config: DictConfig, conf: type = MultirunConf) -> None:
    """Raise SweepError if a setting is wrong, and name it."""
    known = {field.name for field in fields(conf)} - {"defaults", "_target_", "_recursive_"}
    for key, value in settings.items():
        if key in GONE and value is not None:
            raise SweepError(f"hydra.sweeper.{key}={value}: {GONE[key]}")
        if key not in known:
            meant = "".join(f": did you mean {near}?" for near in get_close_matches(key, known, 1))
            raise SweepError(f"hydra.sweeper.{key}: no such setting{meant}")
    _check_switches(settings, ("show_output", "ignore_code"))
    _check_minimums(settings, MINIMUMS)
    if (kind := settings["engine"].get("kind")) not in KINDS:
        raise SweepError(f"hydra.sweeper.engine.kind={kind}: must be one of {', '.join(KINDS)}")
    if kind in PACKAGES and find_spec(PACKAGES[kind]) is None:
        raise SweepError(
            f"hydra/sweeper/engine={kind}: the package {PACKAGES[kind]} is missing: pip install "
            f"'hydra-study-sweeper[{kind}]'"
        )
    _check_engine(settings, kind)
    launcher = OmegaConf.select(config, "hydra.launcher._target_")
    if launcher != BASIC:
        raise SweepError(
            f"hydra/launcher={config.hydra.runtime.choices.get('hydra/launcher')}: this sweeper starts its own "
            "workers: choose where they run by hydra/sweeper/engine=local, ray or slurm, and leave the launcher out"
        )


def _check_engine(settings: dict[str, Any], kind: str) -> None:
    known = ENGINES[kind]
    for key, value in settings["engine"].items():
        if key not in known:
            meant = "".join(f": did you mean {near}?" for near in get_close_matches(str(key), known, 1))
            raise SweepError(f"hydra.sweeper.engine.{key}: no such setting of {kind}{meant}")
        if isinstance(known[key], bool) and not isinstance(value, bool):
            raise SweepError(f"hydra.sweeper.engine.{key}={value}: must be true or false")
    if kind == "inline" and settings["trial_timeout"] is not None:
        raise SweepError("hydra.sweeper.trial_timeout: not possible with hydra/sweeper/engine=inline: leave it out")


def check_search(settings: dict[str, Any], config: DictConfig) -> None:
    """Raise SweepError if a setting is wrong, and name it."""
    check_multirun(settings, config, StudyConf)
    name = settings["study_name"]
    if name is not None and (not str(name).isprintable() or not str(name).strip(". ") or {"/", "$"} & {*str(name)}):
        raise SweepError(f"hydra.sweeper.study_name={name}: must be a name without /, $ and unprintable characters")
    _check_switches(settings, ("retry_failed",))
    _check_minimums(settings, SEARCH_MINIMUMS)
    if settings["max_failure_rate"] is not None and settings["max_failures"] != AUTO:
        raise SweepError(
            f"hydra.sweeper.max_failures={settings['max_failures']} beside "
            f"max_failure_rate={settings['max_failure_rate']}: use one of the two"
        )
    if not 0 <= (settings["max_failure_rate"] or 0) <= 1:
        raise SweepError(f"hydra.sweeper.max_failure_rate={settings['max_failure_rate']}: must be from 0 to 1")
    for key in ("discard", "export"):
        path = PurePosixPath(str(settings[key]))
        if path.is_absolute() or ".." in path.parts or len(path.parts) < (2 if key == "export" else 1):
            form = "GROUP/NAME" if key == "export" else "a name"
            raise SweepError(f"hydra.sweeper.{key}={settings[key]}: must be {form} below the folder, without ..")


def _check_switches(settings: dict[str, Any], keys: Sequence[str]) -> None:
    for key in keys:
        if not isinstance(settings[key], bool):
            raise SweepError(f"hydra.sweeper.{key}={settings[key]}: must be true or false")


def _check_minimums(settings: dict[str, Any], minimums: Mapping[str, float]) -> None:
    for key, minimum in minimums.items():
        value = settings[key]
        if (value == AUTO and key in MAY_BE_AUTO) or (value is None and key in MAY_BE_NULL):
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not (key in ANY_NUMBER or isinstance(value, int)) or not value >= minimum:
            others = f"{', or auto' if key in MAY_BE_AUTO else ''}{', or null' if key in MAY_BE_NULL else ''}"
            number = "a number" if key in ANY_NUMBER else "a whole number"
            raise SweepError(f"hydra.sweeper.{key}={value}: must be {number} of at least {minimum}{others}")
