"""From a configuration to objects, and nothing that a configuration should not be able to do.

Decision: a configuration is resolved once, to plain containers; what is checked is what is instantiated, and text that
Hydra would resolve once more is refused.
"""

from collections.abc import Container, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ziffern.config.targets import allowed_class, check_values, takes_tensor
from ziffern.config.upgrade import TRAINER, with_current_targets
from ziffern.errors import InputError


def build(
    node: DictConfig | dict[str, Any] | None, where: str, kind: type | tuple[type, ...] = object, **more: Any
) -> Any:
    """Instantiate a configuration node after checking every `_target_` in it; None stays None.

    Args:
        node: A node with a `_target_`, or None.
        where: Its dotted name, for messages.
        kind: The base class, or classes, that the target must have here.
        more: Keyword arguments that no configuration can hold, such as a list of callbacks.

    Raises:
        InputError: A target that is not allowed or does not exist, a key that it does not take, a value that it
            refuses, or an interpolation that is left.
    """
    if node is None:
        return None
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    plain = check_targets(node, where, more, kind)
    try:
        return instantiate(_with_tensors(plain, where), _convert_="all", **more)  # classes expect lists and dicts
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        reason = str(cause if cause is not None else error).split("\nfull_key:")[0]
        raise InputError("config.instantiation.failed", where=where, reason=" ".join(reason.split())) from error


def check_targets(
    node: Any, where: str, given: Container[str] = (), kind: type | tuple[type, ...] | None = None
) -> Any:
    """Return a node as `resolved` does, after checking every `_target_` in it and the keys beside it.

    `where` is the node's dotted name; arguments that are `given` are passed by the code to its own target, which
    must be of this `kind`.

    Raises:
        InputError: See `build`.
    """
    plain = resolved(node, where)
    if kind is not None:
        target = allowed_class(plain.get("_target_"), f"{where}._target_")
        if not issubclass(target, kind):
            bases = [
                f"{base.__module__}.{base.__qualname__}" for base in (kind if isinstance(kind, tuple) else (kind,))
            ]
            values = {"target": plain["_target_"], "name": target.__name__, "base": bases[0]}
            raise InputError("config.target.wrong_kind", where=where, **values)
    for place, value in _nodes(plain, where):
        if isinstance(value, dict) and "_target_" in value:
            target = allowed_class(value["_target_"], f"{place}._target_")
            check_values(target, value, place, given if value is plain else ())
    return plain


def resolved(node: Any, where: str) -> Any:
    """Return a node as plain containers, every interpolation resolved; other values as they are.

    A model's loss without a `_target_` is cross-entropy, and Lightning's Trainer becomes ours, which has `micro_steps`.

    Raises:
        InputError: Resolving left an interpolation, which a later step would resolve once more.
    """
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    refuse_interpolations(plain, where)
    if where == "model" and isinstance(plain, dict) and isinstance(plain.get("loss"), dict):
        plain = {**plain, "loss": {"_target_": "torch.nn.CrossEntropyLoss", **plain["loss"]}}
    if where == "trainer" and isinstance(plain, dict) and (current := TRAINER.get(str(plain.get("_target_")))):
        plain = {**plain, "_target_": current}
    return with_current_targets(plain)


def refuse_interpolations(plain: Any, where: str) -> None:
    """Raise InputError where plain containers hold text that OmegaConf would resolve, or names that are not text."""
    for place, value in _nodes(plain, where):
        for key in value if isinstance(value, dict) else ():
            if not isinstance(key, str):  # YAML's 1 and "1" are two names, and a check might see only one
                raise InputError("config.name.not_text", where=place, name=repr(key))
        if isinstance(value, str) and "${" in value:
            raise InputError("config.value.interpolation", where=place, value=value)


def _with_tensors(plain: Any, where: str) -> Any:
    """Return plain containers that make tensors of lists of numbers where a class takes tensors alone."""
    if isinstance(plain, list):
        return [_with_tensors(item, where) for item in plain]
    if not isinstance(plain, dict):
        return plain
    target = allowed_class(plain["_target_"], f"{where}._target_") if "_target_" in plain else None
    return {
        key: {"_target_": "torch.tensor", "_args_": [[float(item) for item in value]], "_convert_": "all"}
        if target is not None and takes_tensor(target, key, value)
        else _with_tensors(value, where)
        for key, value in plain.items()
    }


def _nodes(plain: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield a node of plain containers and everything in it, each with its dotted name."""
    yield where, plain
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield from _nodes(value, f"{where}.{key}")
    elif isinstance(plain, list):
        for number, item in enumerate(plain):
            yield from _nodes(item, f"{where}[{number}]")
