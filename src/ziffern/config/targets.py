"""Which classes a configuration may name, and which keys and values it may give them.

Decisions: a `_target_` may come from a file that somebody else wrote, so only classes defined in the packages listed
here are called, and only where their kind belongs; Hydra's own block list would allow `pathlib.Path.unlink`.
Constructor signatures are the schema, so a key that a class does not take is an error that suggests the nearest key.
Type hints are not left to msgspec: it cannot use 22 of the 175 hints of the classes in conf/, among them
`float | Tensor` of a learning rate and `str | Strategy`, so unions and objects would stay here anyway.
"""

import collections.abc
import importlib
import inspect
import pkgutil
import sys
import types
import typing
from collections.abc import Container
from typing import Any

from omegaconf import MISSING

from ziffern.config import suggestion
from ziffern.config.elsewhere import replacement
from ziffern.config.own import EXTRA, own_prefixes
from ziffern.errors import InputError
from ziffern.text.catalog import Message

ALLOWED = ("ziffern.", "torch.nn.", "torch.optim.", "pytorch_lightning.")
LIBRARIES = ("torchmetrics.classification.", "aim.sdk.adapters.pytorch_lightning.")  # for metrics and a logger alone
INSTALL = {"aim": "aim"}  # the package to install for a module
KINDS = {  # base classes allowed in each part of the configuration; elsewhere, any of these
    "model": ("torch.nn.Module", "torch.optim.Optimizer", "torch.optim.lr_scheduler.LRScheduler"),
    "data": (
        "pytorch_lightning.LightningDataModule",
        *(f"ziffern.data.sources.source.{name}" for name in ("Embedded", "Local", "Torchvision")),
        "ziffern.data.sources.from_dataset.FromDataset",
        "ziffern.data.for_paper.ForPaper",
    ),
    "callbacks": ("pytorch_lightning.Callback",),
    "logger": ("pytorch_lightning.loggers.Logger",),
    "metrics": ("torchmetrics.Metric",),
    "trainer": (
        *("pytorch_lightning.Trainer", "pytorch_lightning.strategies.Strategy"),
        "pytorch_lightning.profilers.Profiler",
    ),
}
PLAIN = {int: (int,), float: (float, int), bool: (bool,), str: (str,), type(None): (type(None),)}  # True is no int
NAMES = {int: "integer", float: "number", bool: "boolean", str: "text", type(None): "null", list: "list"}
LISTS = (collections.abc.Sequence, list, tuple)  # hints that a configuration's list fits
OBJECTS = (collections.abc.Sequence, collections.abc.Callable)  # hints that no mapping of settings fits
UNIONS = (typing.Union, types.UnionType)
SPECIAL = {"_target_": str, "_args_": list, "_convert_": str, "_partial_": bool, "_recursive_": bool}  # of Hydra


def allowed_class(target: Any, key: str) -> type:
    """Return the class that a `_target_` names; `key` is its place in the configuration, such as `model.net._target_`.

    Raises:
        InputError: It does not exist, is not a class of an allowed package, or does not belong there.
    """
    ours = ALLOWED + (LIBRARIES if key.startswith(("metrics.", "logger.")) else ())
    allowed, name = ours + own_prefixes(), str(target)
    if not name.startswith(allowed):
        package = name.partition(".")[0]
        if renamed := replacement(name, f"{key}={name}"):
            raise renamed
        if package in sys.stdlib_module_names:  # never advise anybody to allow os.system
            raise InputError("config.target.standard_library", key=key, target=name, allowed=ALLOWED)
        values = {"allowed": ALLOWED, "variable": EXTRA, "package": package}
        raise InputError("config.target.other_package", key=key, target=name, **values)
    module, _, attribute = name.rpartition(".")
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        missing = INSTALL.get(str(error.name)) if isinstance(error, ModuleNotFoundError) else None
        if missing:
            raise InputError("config.target.not_installed", key=key, target=name, package=missing) from error
        known = dir(importlib.import_module(module)) if isinstance(error, AttributeError) else []
        near = suggestion(attribute, known)
        raise InputError("config.target.missing", key=key, target=name, reason=error, near=near) from error
    # The package that defines it counts, not the path: `ziffern.runs.run.shutil` is not ours.
    if not inspect.isclass(value) or not f"{value.__module__}.".startswith(allowed):
        raise InputError("config.target.not_a_class", key=key, target=name)
    names = KINDS.get(key.partition(".")[0]) or [name for kinds in KINDS.values() for name in kinds]
    if value.__module__.startswith(ours) and not issubclass(value, tuple(map(pkgutil.resolve_name, names))):
        raise InputError("config.target.wrong_place", key=key, target=name)
    return value


def check_values(target: type, node: dict[str, Any], where: str, given: Container[str]) -> None:
    """Check the keys beside a `_target_` against its signature, and plain values against its type hints.

    `node` has the `_target_`, `where` is its dotted name; arguments that are `given` are passed by the code.

    Raises:
        InputError: The class does not take a key, a key has no value or one of another type, or a key is missing.
    """
    parameters = inspect.signature(target).parameters
    hints = _hints(target)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for key, value in node.items():
        if key in given:
            raise InputError("config.argument.reserved", key=f"{where}.{key}")
        if key not in parameters and key not in SPECIAL and not takes_any:
            if renamed := replacement(f"{where}.{key}"):
                raise renamed
            near = suggestion(key, parameters)
            raise InputError("config.argument.unknown", where=where, name=key, target=target.__name__, near=near)
        if value == MISSING:
            raise InputError("config.argument.without_value", key=f"{where}.{key}")
        is_switch = key in parameters and isinstance(parameters[key].default, bool)
        hint = SPECIAL.get(key) or hints.get(key, bool if is_switch else Any)
        if not fits(value, hint):
            shown = value if isinstance(value, bool) else "null" if value is None else str(value)  # as in an override
            owner = "Hydra" if key in SPECIAL else target.__name__
            values = {"value": shown, "target": owner, "expected": _expected(hint)}
            raise InputError("config.argument.mistyped", key=f"{where}.{key}", **values)
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and name not in node
        and name not in given
    ]
    if missing and not node.get("_partial_", False):
        raise InputError("config.argument.missing", where=where, name=missing[0], target=target.__name__)


def fits(value: Any, hint: Any) -> bool:  # noqa: PLR0911
    """Return whether a configuration's value has the hinted type; any object fits a hint that is not a plain type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in UNIONS:
        return any(fits(value, argument) for argument in arguments)
    if origin in LISTS and isinstance(value, list):
        return all(any(fits(item, argument) for argument in arguments if argument is not ...) for item in value)
    if origin is typing.Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if hint in (Any, object):
        return True
    if hint in PLAIN:
        return type(value) in PLAIN[hint]
    if type(value) in (str, int, float, bool):  # where an object, a list or a function is expected
        return isinstance(value, hint) if inspect.isclass(hint) else origin is None  # no scalar is a list[int]
    if isinstance(value, dict) and "_target_" not in value:  # settings of an option that was not chosen
        return origin not in OBJECTS and (not inspect.isclass(hint) or issubclass(hint, collections.abc.Mapping))
    return True


def takes_tensor(target: type, key: str, value: Any) -> bool:
    """Return whether a class takes a tensor where a configuration has a list of numbers: the weights of a loss, say."""
    hint = _hints(target).get(key)
    names = {getattr(item, "__name__", "") for item in (hint, *typing.get_args(hint))}
    is_list = isinstance(value, list) and bool(value) and all(type(item) in (int, float) for item in value)
    return is_list and "Tensor" in names and not names & {"Sequence", "list", "tuple"}


def _expected(hint: Any) -> Message | str:
    """Return a hint in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in UNIONS:
        *others, words = map(_expected, arguments)
        for other in reversed(others):
            words = Message("config.type.either", first=other, other=words)
        return words
    if origin is typing.Literal:
        return ", ".join(str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in arguments)
    if hint in NAMES:
        return Message(f"config.type.{NAMES[hint]}")
    if origin in LISTS:
        return Message(f"config.type.list_of_{NAMES.get(arguments[0], 'value')}")
    is_object = origin is collections.abc.Callable or inspect.isclass(hint)
    return Message("config.type.object") if is_object else str(hint)


def _hints(target: type) -> dict[str, Any]:
    if signature := vars(target).get("__signature__"):
        return {name: parameter.annotation for name, parameter in signature.parameters.items()}
    try:
        return typing.get_type_hints(inspect.getattr_static(target, "__init__"))
    except (NameError, TypeError, AttributeError):  # names that exist only for type checkers
        return {}
