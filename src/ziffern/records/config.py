"""The configuration of a run as plain containers, resolved once.

Decisions: only references such as `${model.optimizer.lr}` are resolved, here and never again; a resolver call such as
`${oc.env:HOME}` remains text, and `build` refuses such text. YAML aliases are refused, and nodes, text and depth are
limited, so that a short file cannot exhaust the memory.
"""

import re
from pathlib import Path, PurePath
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from ziffern.errors import InputError
from ziffern.files.yaml_problem import MAX_DEPTH, yaml_problem
from ziffern.text.printable import printable

MAX_BYTES = 64 * 1024  # of a YAML file; a composed configuration takes about 3 kB
MAX_NODES = 5_000
MAX_CHARACTERS = 1_000_000  # of all text that contains references, resolved
MAX_TEXT = 1000  # characters of a value
REFERENCE = re.compile(r"(?<!\\)\$\{(\.*[A-Za-z_][\w@/-]*(?:\.[\w@/-]+|\[\w+\])*)\}")


# Not libyaml's: it takes minutes for many brackets, and crashes on many question marks.
class _Loader(get_yaml_loader()):  # type: ignore[misc]  # a function of OmegaConf's returns the class
    """OmegaConf's YAML, without aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise InputError("records.yaml.alias")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def read_yaml(text: str) -> Any:
    """Return YAML as plain containers; keys and text are made printable, references are not resolved.

    Raises:
        InputError: It is not valid YAML, uses aliases, has keys that are not text, or is too large or too deep.
    """
    try:
        raw = yaml.load(text, Loader=_Loader)  # a safe loader
    except InputError:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: such as an impossible date
        raise yaml_problem(error, text) from error
    return _plain(raw, [0], 0)


def parse_config(text: str, path: Path) -> dict[str, Any]:
    """Return the composed configuration in the YAML `text` of the file `path`, its references resolved.

    Raises:
        InputError: It is invalid, or references are broken, circular or expand to too much.
    """
    try:
        config = read_yaml(text)
        if isinstance(config, dict):
            config = _Resolver(config).whole()
    except InputError as error:
        raise InputError("records.file.damaged", path=path, problem=error) from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise InputError("records.config.not_of_a_run", path=path)
    return config


def _plain(node: Any, count: list[int], depth: int) -> Any:
    """Return a copy of plain containers; raise InputError if there is anything else in them, or too much."""
    count[0] += 1
    if count[0] > MAX_NODES:
        raise InputError("records.yaml.too_many", limit=MAX_NODES)
    if depth > MAX_DEPTH:
        raise InputError("records.yaml.too_deep", limit=MAX_DEPTH)
    if isinstance(node, dict):
        if wrong := [key for key in node if not isinstance(key, str)]:
            raise InputError("records.yaml.key", key=repr(wrong[0]))
        return {_text(key): _plain(value, count, depth + 1) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value, count, depth + 1) for value in node]
    if isinstance(node, str | PurePath):
        return _text(str(node))
    if node is None or isinstance(node, bool | int | float):
        return node
    raise InputError("records.yaml.type", type=type(node).__name__)


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise InputError("records.yaml.too_long", limit=MAX_TEXT)
    return printable(text)


class _Resolver:
    """Resolves the references of one configuration."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._nodes = self._characters = 0

    def whole(self) -> dict[str, Any]:
        """Return the configuration with every reference replaced by its value."""
        return {key: self._resolved(value, (key,), 0) for key, value in self._config.items()}

    def _resolved(self, node: Any, path: tuple[str, ...], depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise InputError("records.reference.too_much", key=".".join(path))
        if isinstance(node, dict):
            return {key: self._resolved(value, (*path, key), depth + 1) for key, value in node.items()}
        if isinstance(node, list):
            return [self._resolved(value, (*path, str(place)), depth + 1) for place, value in enumerate(node)]
        if not isinstance(node, str) or "${" not in node:
            return node
        if match := REFERENCE.fullmatch(node):
            return self._target(match[1], path, depth)
        if "${" in REFERENCE.sub("", node):  # a resolver call or a nested reference: not resolved
            return node
        text = REFERENCE.sub(lambda match: str(self._target(match[1], path, depth)), node)
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            raise InputError("records.reference.too_much", key=".".join(path))
        return text

    def _target(self, reference: str, path: tuple[str, ...], depth: int) -> Any:
        """Return the value of a reference, which is absolute, or with leading dots relative to its own key."""
        name = reference.lstrip(".")
        dots = len(reference) - len(name)
        start = path[:-dots] if dots else ()
        target = (*start, *re.split(r"[.\[]", name.replace("]", "")))
        node: Any = self._config
        for part in target:
            try:
                node = node[int(part)] if isinstance(node, list) else node[part]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                key, text = ".".join(path), f"${{{reference}}}"
                raise InputError("records.reference.nowhere", key=key, reference=text) from error
        return self._resolved(node, target, depth + 1)
