"""The configuration of a run as plain containers, resolved once.

Decisions: only references such as `${model.optimizer.lr}` are resolved, here and never again; a call such as
`${oc.env:HOME}` stays text, which building objects refuses. YAML aliases are refused, and nodes, text and depth are
limited, so that a short file cannot take all memory.
"""

import re
from pathlib import Path, PurePath
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from ziffern.errors import InputError
from ziffern.files.untrusted import read_text
from ziffern.text.printable import printable, reason

MAX_BYTES = 64 * 1024  # of a YAML file; a composed configuration takes about 3 kB
MAX_NODES = 5_000
MAX_CHARACTERS = 1_000_000  # that references lead to
MAX_TEXT = 1000  # characters of a value
MAX_DEPTH = 40
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
    """Return YAML as plain containers; names and text are made printable, references stay as they are.

    Raises:
        InputError: It is no YAML, uses aliases, has keys that are no text, or is too large or too deep.
    """
    try:
        raw = yaml.load(text, Loader=_Loader)  # a safe loader
    except InputError:
        raise
    except RecursionError as error:
        raise InputError("records.yaml.too_deep", limit=MAX_DEPTH) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: such as an impossible date
        raise _invalid(error) from error
    return _plain(raw, [0], 0)


def read_config(path: Path, text: str | None = None) -> dict[str, Any]:
    """Return the composed configuration in a YAML file, its references resolved.

    Args:
        path: The file, for messages, and to read where `text` is None.
        text: Its content.

    Raises:
        InputError: It cannot be read, or a reference leads nowhere, round in circles, or to too much.
    """
    if text is None:
        text = read_text(path, MAX_BYTES)
    try:
        config = read_yaml(text)
        if isinstance(config, dict):
            config = _Resolver(config).whole()
    except InputError as error:
        raise InputError("records.file.damaged", path=path, problem=error) from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise InputError("records.config.not_of_a_run", path=path)
    return config


def _invalid(error: Exception) -> InputError:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark and problem:
        return InputError("records.yaml.invalid_line", problem=problem, line=mark.line + 1)
    return InputError("records.yaml.invalid", problem=reason(error))


def _plain(node: Any, count: list[int], depth: int) -> Any:
    """Return a copy of plain containers; raise InputError where it holds anything else, or too much."""
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
        """Return the configuration with every reference replaced by what it leads to."""
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
        if REFERENCE.sub("", node).find("${") >= 0:  # a call, or nested: text
            return node
        text = REFERENCE.sub(lambda match: str(self._target(match[1], path, depth)), node)
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            raise InputError("records.reference.too_much", key=".".join(path))
        return text

    def _target(self, reference: str, path: tuple[str, ...], depth: int) -> Any:
        """Return what a reference leads to: from the top, or with leading dots from where it stands."""
        name = reference.lstrip(".")
        dots = len(reference) - len(name)
        start = path[:-dots] if dots else ()
        target = (*start, *re.split(r"[.\[]", name.replace("]", "")))
        node: Any = self._config
        for part in target:
            try:
                node = node[int(part)] if isinstance(node, list) else node[part]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise InputError(
                    "records.reference.nowhere", key=".".join(path), reference=f"${{{reference}}}"
                ) from error
        return self._resolved(node, target, depth + 1)
