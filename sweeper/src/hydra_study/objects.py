"""Samplers and pruners built from configuration, and the application's functions that a configuration may name.

Only Optuna's own classes and functions that the application defines are accepted, whatever a config names. The nodes
of the official plugin work as well; options that a node lacks have the defaults of `SAMPLERS` and `PRUNERS`.
"""

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna

from hydra_study.cmaes import CmaEsSampler
from hydra_study.conf import PRUNERS, SAMPLERS
from hydra_study.errors import SweepError

NODES = {"samplers": SAMPLERS, "pruners": PRUNERS}
GRID = "optuna.samplers.GridSampler"
SAME_SEED = "optuna.samplers.QMCSampler"  # its points form one sequence, and the storage counts how many were drawn
OWN = {GRID: optuna.samplers.RandomSampler, SAMPLERS["cmaes"]["_target_"]: CmaEsSampler}  # a grid's points are given
ALIASES = {
    "optuna.samplers.BruteForceSampler": GRID,
    "hydra_plugins.hydra_optuna_sweeper._impl.create_nsgaii_sampler": "optuna.samplers.NSGAIISampler",
    "hydra_plugins.hydra_optuna_sweeper._impl.create_nsgaiii_sampler": "optuna.samplers.NSGAIIISampler",
}
# Options without effect in Optuna 5, or that no config can give, and what the official plugin's nodes set them to.
FIXED = {"consider_prior": (None, True), "restart_strategy": (None,), "inc_popsize": (-1, 2), "source_trials": (None,)}
BASES = {"BaseSampler": "samplers", "BasePruner": "pruners"}  # types of options, and where Optuna has their classes
BASES |= dict.fromkeys(("BaseCrossover", "BaseMutation"), "samplers.nsgaii")
TYPES = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text", "None": "null"}


def make_sampler(config: Any, seed: int, number: int, allowed: Sequence[str] = ()) -> optuna.samplers.BaseSampler:
    """Return the sampler for one trial; it may name functions in the modules `allowed`, see `resolve_callable`.

    Each trial has its own, seeded by `seed` and `number`: a resumed study draws the same numbers as an
    uninterrupted one, and no two workers draw the same.
    """
    own_seed = config.get("seed") if isinstance(config, Mapping) else None
    if own_seed is not None and (type(own_seed) is not int or own_seed < 0):
        raise SweepError(f"hydra.sweeper.sampler.seed={own_seed}: must be a whole number, 0 or more, or null")
    if _target(config) != SAME_SEED:
        seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return cast("optuna.samplers.BaseSampler", _make(config, "BaseSampler", "hydra.sweeper.sampler", allowed, seed))


def make_pruner(config: Any) -> optuna.pruners.BasePruner:
    """Return the pruner."""
    return cast("optuna.pruners.BasePruner", _make(config, "BasePruner", "hydra.sweeper.pruner"))


def resolve_callable(path: str, allowed: Sequence[str]) -> Callable[..., Any]:
    """Return the function `module.name` that the application defines in one of the packages or modules `allowed`.

    A script, `__main__`, also goes by the name of its file.

    Raises:
        SweepError: The function does not exist, or is defined elsewhere.
    """
    module, _, name = path.lstrip(".").rpartition(".")
    main = sys.modules["__main__"]
    names = (Path(getattr(main, "__file__", None) or "").stem, getattr(main.__spec__, "name", ""))
    if "__main__" in allowed and module in names:
        module = "__main__"
    try:
        function = getattr(import_module(module) if _top(module) in allowed else None, name, None)
    except ImportError as error:
        raise SweepError(f"{path}: {error}") from error
    if not callable(function) or _top(str(getattr(function, "__module__", ""))) not in allowed:
        raise SweepError(
            f"{path}: no function defined in {' or '.join(allowed)}: a sweep calls functions of the application alone"
        )
    return cast("Callable[..., Any]", function)


def application(task_function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the packages in which a configuration may name functions: the job's own; for a script, `__main__`."""
    module = task_function.__module__
    spec = sys.modules["__main__"].__spec__ if module == "__main__" else None  # of `python -m package.module`
    return (_top(module), *([_top(spec.name)] if spec else []))


def _top(module: str) -> str:
    return module.partition(".")[0]


def ignored_options(config: Any, kind: str) -> list[str]:
    """Return the options that only other samplers or pruners have: a search recipe may set those of its own choice."""
    known = {*options(config, kind), "seed"}
    return sorted(key for key, value in config.items() if not key.startswith("_") and key not in known and value)


def options(config: Any, kind: str) -> dict[str, Any]:
    """Return the class of a sampler or pruner and the options that take effect, without the seed."""
    target = _target(config)
    defaults = next((node for node in NODES.get(kind, {}).values() if node["_target_"] == target), {})
    given = {str(key): value for key, value in config.items() if value is not None or key in defaults}
    is_plain = not (given.get("use_separable_cma") or given.get("lr_adapt"))
    fitting = {"group": given.get("multivariate") is not False, "with_margin": is_plain}  # Optuna refuses the others
    known = _parameters(target, kind).keys() - {"seed"}
    return {"_target_": target} | {k: value for k, value in (defaults | fitting | given).items() if k in known}


def is_grid(config: Any) -> bool:
    """Return whether the sampler is the exact grid."""
    return _target(config) == GRID


def _target(config: Any) -> str:
    target = str(config.get("_target_")) if isinstance(config, Mapping) else str(config)
    return ALIASES.get(target, target)


def _class(target: str, kind: str) -> Any:
    """Return one of Optuna's classes, or ours in its place; None if there is none of this kind."""
    module, _, name = target.rpartition(".")
    found = OWN.get(target) or (getattr(import_module(module), name, None) if module == f"optuna.{kind}" else None)
    return found if isinstance(found, type) else None


@cache
def _parameters(target: str, kind: str) -> dict[str, str]:
    """Return the options of a class and their types."""
    chosen = _class(target, kind)
    return {key: str(item.annotation) for key, item in inspect.signature(chosen).parameters.items()} if chosen else {}


def _check_options(config: Mapping[str, Any], kind: str, where: str) -> None:
    """Raise SweepError if an option is unknown, or cannot have its value."""
    known = _parameters(_target(config), kind)
    others = {key for node in NODES.get(kind, {}).values() for key in _parameters(node["_target_"], kind)}
    for key, value in config.items():
        if not str(key).startswith("_") and key not in known.keys() | others:
            meant = "".join(f": did you mean {near}?" for near in get_close_matches(str(key), known, 1))
            raise SweepError(f"{where}.{key}: {_target(config)} has no such option{meant}")
        if key in FIXED and value not in FIXED[key]:
            raise SweepError(f"{where}.{key}={value}: not possible with Optuna {optuna.__version__}: remove it")


def _make(config: Any, base: str, where: str, allowed: Sequence[str] = (), seed: int | None = None) -> Any:
    """Return an object of one of Optuna's classes with this base."""
    config = config if isinstance(config, Mapping) else {"_target_": config}
    target, kind = _target(config), BASES[base]
    chosen, home = _class(target, kind), import_module(f"optuna.{kind}")
    if chosen is None or not issubclass(chosen, getattr(home, base)):
        own = [name for name in dir(home) if name.endswith(base[4:]) and name != base]
        raise SweepError(f"{where}: {target}: must be one of Optuna's own, optuna.{kind}.NAME with {', '.join(own)}")
    _check_options(config, kind, where)
    known = _parameters(target, kind)
    given = {key: value for key, value in options(config, kind).items() if key != "_target_"}
    try:
        settings = {key: _value(value, known[key], f"{where}.{key}", allowed, seed) for key, value in given.items()}
        settings |= {"seed": seed} if "seed" in known else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some options are experimental, others will be removed
            return chosen(**settings)
    except ImportError as error:
        raise SweepError(f"{target} needs a package that is not installed: {error}") from error
    except (TypeError, ValueError) as error:
        raise SweepError(f"{target}: {error}") from error


def _value(value: Any, annotation: str, where: str, allowed: Sequence[str], seed: int | None) -> Any:
    """Return an option as Optuna takes it."""
    types = annotation.split(" | ")
    if value is not None and types[0] in BASES:
        return _make(value, types[0], where, allowed, seed)
    if value is not None and "Callable[" in annotation:
        if not isinstance(value, Mapping) or value.get("_partial_") is not True:
            raise SweepError(f"{where}={value}: must be {{_target_: MODULE.FUNCTION, _partial_: true}}")
        more = {key: item for key, item in value.items() if not key.startswith("_")}
        return partial(resolve_callable(str(value.get("_target_")), allowed), **more)
    if value is not None and "ndarray" in annotation:
        return np.asarray(value, dtype=float)
    name = "None" if value is None else type(value).__name__
    if TYPES.keys() >= set(types) and name not in types and not (name == "int" and "float" in types):
        raise SweepError(f"{where}={value}: must be {' or '.join(TYPES[item] for item in types)}")
    return value
