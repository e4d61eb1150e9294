"""Samplers and pruners built from configuration; only Optuna's own classes are accepted, whatever a config names."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning

from hydra_study.cmaes import CmaEsSampler
from hydra_study.conf import PRUNERS, SAMPLERS
from hydra_study.errors import SweepError

OPTIONS = (*SAMPLERS.values(), *PRUNERS.values())
SWITCHES = {key for option in OPTIONS for key, value in option.items() if isinstance(value, bool)}
GRID = "optuna.samplers.GridSampler"
SAME_SEED = "optuna.samplers.QMCSampler"  # its points form one sequence, and the storage counts how many were drawn


def make_sampler(config: Any, seed: int, number: int) -> optuna.samplers.BaseSampler:
    """Return the sampler for one trial.

    Each trial has its own, seeded by `seed` and `number`: a resumed study draws the same numbers as an
    uninterrupted one, and no two workers draw the same.
    """
    if _target(config) == GRID:
        return optuna.samplers.RandomSampler()  # every point is given
    if not isinstance(config.get("seed") or 0, int) or (config.get("seed") or 0) < 0:
        raise SweepError(f"hydra.sweeper.sampler.seed={config['seed']}: must be a whole number, 0 or more, or null")
    if _target(config) != SAME_SEED:
        seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    sampler: optuna.samplers.BaseSampler = _make(config, "samplers", optuna.samplers.BaseSampler, seed=seed)
    return sampler


def make_pruner(config: Any) -> optuna.pruners.BasePruner:
    """Return the pruner."""
    pruner: optuna.pruners.BasePruner = _make(config, "pruners", optuna.pruners.BasePruner)
    return pruner


def ignored_options(config: Any, kind: str) -> list[str]:
    """Return the options of a sampler or pruner that its class does not have, and that `make_*` ignores."""
    known = {*options(config, kind), "seed"}
    return sorted(key for key, value in config.items() if not key.startswith("_") and key not in known and value)


def options(config: Any, kind: str) -> dict[str, Any]:
    """Return the class of a sampler or pruner and the options that it takes, without the seed."""
    chosen = getattr(getattr(optuna, kind), _target(config).rpartition(".")[2], None)
    known = set(inspect.signature(chosen).parameters) if chosen and _target(config) != GRID else set(config)
    return {str(k): value for k, value in config.items() if k == "_target_" or (k in known and k != "seed")}


def is_grid(config: Any) -> bool:
    """Return whether the sampler is the exact grid."""
    return _target(config) == GRID


def _target(config: Any) -> str:
    return str(config.get("_target_")) if isinstance(config, Mapping) else str(config)


def _make(config: Any, kind: str, base: type, **more: Any) -> Any:
    target = _target(config)
    module, _, name = target.rpartition(".")
    chosen = getattr(getattr(optuna, kind), name, None)
    if module != f"optuna.{kind}" or not (isinstance(chosen, type) and issubclass(chosen, base)):
        raise SweepError(
            f"hydra.sweeper.{kind.rstrip('s')}: {target}: must be one of Optuna's own, such as by "
            f"hydra/sweeper/{kind.rstrip('s')}={'tpe' if kind == 'samplers' else 'median'}"
        )
    if chosen is optuna.samplers.CmaEsSampler:
        chosen = CmaEsSampler
    known = inspect.signature(chosen).parameters  # a search may set options that another sampler does not have
    settings = {str(key): value for key, value in config.items() if key in known}
    for key, value in settings.items():
        is_switch = key in SWITCHES or isinstance(known[key].default, bool)
        if isinstance(value, bool) != is_switch:
            wanted = "true or false" if is_switch else "a value, or null"
            raise SweepError(f"hydra.sweeper.{kind.rstrip('s')}.{key}={value}: must be {wanted}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return chosen(**settings | more)
    except ImportError as error:
        raise SweepError(f"{target} needs a package that is not installed: {error}") from error
    except (TypeError, ValueError) as error:
        raise SweepError(f"{target}: {error}") from error
