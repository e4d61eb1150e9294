"""From a configuration to objects, and nothing that a configuration should not be able to do.

Decisions: a `_target_` may come from a file that somebody else wrote, so only classes defined in the
packages listed here are called, and only of the kinds that belong where they stand; Hydra's own block list
still lets `pathlib.Path.unlink` through. A configuration is resolved once, to plain containers; what is checked is
what is instantiated, and text that Hydra would resolve once more is refused. Constructor signatures are the schema: a
key that a class does not take is an error that names the nearest one it does.
"""

import collections.abc
import difflib
import importlib
import inspect
import os
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from ziffern.config.former import conf_folder as conf_folder  # noqa: PLC0414  # for those who import it from here
from ziffern.config.former import with_current_targets
from ziffern.errors import InputError
from ziffern.text.printable import one_line

ALLOWED = ("ziffern.", "torch.nn.", "torch.optim.", "pytorch_lightning.")
PLAIN = {int: (int,), float: (float, int), bool: (bool,), str: (str,), type(None): (type(None),)}  # True is no int
LISTS = (collections.abc.Sequence, list, tuple)  # hints that a configuration's list fits
OBJECTS = (collections.abc.Sequence, collections.abc.Callable)  # hints that no plain value fits
SPECIAL: dict[str, type] = {  # keys that are Hydra's own
    **{"_target_": str, "_args_": list, "_convert_": str},
    **{"_partial_": bool, "_recursive_": bool},
}
EXTRA = "ZIFFERN_TARGETS"  # more prefixes, comma-separated: said by the user's environment, not by a file
KINDS = {  # what may stand in each part of the configuration; anywhere else, any of them
    "model": ("torch.nn.Module", "torch.optim.Optimizer", "torch.optim.lr_scheduler.LRScheduler"),
    "data": (
        "pytorch_lightning.LightningDataModule",
        *(f"ziffern.data.sources.source.{name}" for name in ("Embedded", "Local", "Torchvision")),
    ),
    "callbacks": ("pytorch_lightning.Callback",),
    "logger": ("pytorch_lightning.loggers.Logger",),
    "trainer": ("pytorch_lightning.Trainer", "pytorch_lightning.strategies.Strategy"),
}


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" for the known word most like `word`, or an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def build(
    node: DictConfig | dict[str, Any] | None, where: str, kind: type | tuple[type, ...] = object, **more: Any
) -> Any:
    """Instantiate a configuration node after checking every `_target_` in it; None stays None.

    Args:
        node: Has a `_target_`, or is None.
        where: Its dotted name, for messages.
        kind: What the target must be a subclass of here.
        more: Keyword arguments that no configuration can hold, such as a list of callbacks.

    Raises:
        InputError: A target that is not allowed or does not exist, a key that it does not take, a
            value that it refuses, or an interpolation that is left.
    """
    if node is None:
        return None
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    plain = resolved(node, where)
    _check(plain, where, frozenset(more))
    target = _resolve(plain.get("_target_"), f"{where}._target_")
    if not issubclass(target, kind):
        raise InputError(f"{where}._target_={plain['_target_']}: a {target.__name__} is not what belongs here")
    try:
        return instantiate(plain, **more)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        reason = str(cause if cause is not None else error).split("\nfull_key:")[0]
        raise InputError(f"{where}: {' '.join(reason.split())}") from error


def resolved(node: Any, where: str) -> Any:
    """Return a node as plain containers, every interpolation resolved; other values as they are.

    Raises:
        InputError: Resolving left an interpolation, which whoever reads the result would resolve once more.
    """
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    refuse_interpolations(plain, where)
    return with_current_targets(plain)


def refuse_interpolations(plain: Any, where: str) -> None:
    """Raise InputError where plain containers hold text that OmegaConf would resolve, or names that are no text."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            if not isinstance(key, str):  # YAML's 1 and "1" are two names, of which a check might see but one
                raise InputError(f"{where}: {key!r}: a configuration's names are text: put it in quotes")
            refuse_interpolations(value, f"{where}.{key}")
    elif isinstance(plain, list):
        for number, item in enumerate(plain):
            refuse_interpolations(item, f"{where}[{number}]")
    elif isinstance(plain, str) and "${" in plain:
        raise InputError(f"{where}={one_line(plain)}: this interpolation is not resolved here: write the value itself")


def check_targets(node: Any, where: str) -> None:
    """Check every `_target_` below `node`, and the keys beside it against the target's signature.

    Raises:
        InputError: See `build`.
    """
    _check(resolved(node, where), where, frozenset())


def _check(plain: Any, where: str, more: frozenset[str]) -> None:
    if isinstance(plain, list):
        for number, item in enumerate(plain):
            _check(item, f"{where}[{number}]", frozenset())
    if not isinstance(plain, dict):
        return
    if "_target_" in plain:
        _check_values(_resolve(plain["_target_"], f"{where}._target_"), plain, where, more)
    for key, value in plain.items():
        _check(value, f"{where}.{key}", frozenset())


def named(node: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yield names and values, without those that are still missing (`???`)."""
    for key in node:
        if not OmegaConf.is_missing(node, key):
            yield str(key), node[key]


def _resolve(target: Any, where: str) -> type:
    """Return the class that a dotted name means, if it is an allowed one."""
    allowed = ALLOWED + tuple(f"{extra.strip('. ')}." for extra in os.environ.get(EXTRA, "").split(",") if extra)
    name = str(target)
    if not name.startswith(allowed):
        raise InputError(
            f"{where}={name} is not allowed: targets begin with {', '.join(ALLOWED)}; allow a package of your "
            f"own with the environment variable {EXTRA}=package"
        )
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        known = dir(importlib.import_module(module)) if isinstance(error, AttributeError) else []
        raise InputError(f"{where}={name} does not exist ({error}){nearest(attribute, known)}") from error
    # Where it is defined counts, not by which path it was reached: `ziffern.runs.run.shutil` is not ours.
    if not inspect.isclass(found) or not f"{found.__module__}.".startswith(allowed):
        raise InputError(f"{where}={name} is not allowed: it is no class of an allowed package")
    if found.__module__.startswith(tuple(ALLOWED)) and not issubclass(found, _kinds(where)):
        raise InputError(f"{where}={name} is not allowed: such a class has no place here")
    return found


def _kinds(where: str) -> tuple[type, ...]:
    """Return the kinds of class that may stand at a dotted name of the configuration."""
    part = where.partition(".")[0]
    names = KINDS.get(part) or [name for kinds in KINDS.values() for name in kinds]
    return tuple(getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) for name in names)


def _check_values(target: type, node: dict[str, Any], where: str, more: frozenset[str]) -> None:
    """Check the keys beside a `_target_` against its signature, and plain values against its type hints."""
    parameters = inspect.signature(target).parameters
    hints = _hints(target)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for key, value in node.items():
        if key in SPECIAL:
            if not isinstance(value, SPECIAL[key]):
                raise InputError(f"{where}.{key}={one_line(value)}: Hydra takes {_in_words(SPECIAL[key])} here")
            continue
        if key not in parameters and not open_ended:
            raise InputError(f"{where}.{key}: {target.__name__} takes no {key}{nearest(key, parameters)}")
        if value == MISSING:
            raise InputError(f"{where}.{key} has no value yet: give it one, {where}.{key}=VALUE")
        is_switch = key in parameters and isinstance(parameters[key].default, bool)
        hint = hints.get(key, bool if is_switch else Any)
        if not _fits(value, hint):
            raise InputError(f"{where}.{key}={one_line(value)}: {target.__name__} takes {_in_words(hint)} here")
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and name not in node
        and name not in more
    ]
    if missing and not node.get("_partial_", False):
        raise InputError(f"{where}: {target.__name__} needs a value for {where}.{missing[0]}")


def _hints(target: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.getattr_static(target, "__init__"))
    except (NameError, TypeError, AttributeError):  # names that exist for type checkers alone
        return {}


def _fits(value: Any, hint: Any) -> bool:  # noqa: PLR0911
    """Say whether a configuration's value has the hinted type; any hint that is not plain is let through."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin in LISTS and isinstance(value, list):
        return all(any(_fits(item, argument) for argument in arguments if argument is not ...) for item in value)
    if origin is typing.Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if hint in (Any, object):
        hint = type(value)
    if hint in PLAIN:
        return type(value) in PLAIN[hint]
    if type(value) in (str, int, float, bool):  # where an object, a list or a function is wanted
        return isinstance(value, hint) if inspect.isclass(hint) else origin is None  # no scalar is a list[int]
    if isinstance(value, dict) and "_target_" not in value:  # settings of an option that was not chosen
        return origin not in OBJECTS and (not inspect.isclass(hint) or issubclass(hint, collections.abc.Mapping))
    return True


def _in_words(hint: Any) -> str:
    if hint is list:
        return "a list"
    if typing.get_origin(hint) is collections.abc.Callable or (inspect.isclass(hint) and hint not in PLAIN):
        return "an object (with a _target_)"
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in hint.__args__)
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_in_words(argument) for argument in typing.get_args(hint))
    if typing.get_origin(hint) in LISTS:
        return f"a list of {_in_words(typing.get_args(hint)[0]).removeprefix('a ')}s, such as [1,2],"
    return words.get(hint, str(hint))
