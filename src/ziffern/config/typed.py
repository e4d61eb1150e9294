"""Overrides as users type them, made valid in Hydra's grammar where their meaning is clear."""

import re
from collections.abc import Iterator
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ziffern.config.command import quoted_value
from ziffern.config.paths import NAME, expanded

SPACE = re.compile(r"\+*hydra\.sweeper\.(params|when)")  # ranges in it are text, which the search reads
PARAMETER = re.compile(r"\+*hydra\.sweeper\.params\.")
NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")
OPENING, CLOSING = "([{", ")]}"


def grammatical(override: str, is_multirun: bool = False) -> str:
    """Return an override that Hydra can parse.

    A path may have any characters; ranges in `hydra.sweeper.params` and `hydra.sweeper.when` need no quotation marks;
    the settings of a loss are added to null, its default, or replace those of a recipe.

    Args:
        override: As it was typed.
        is_multirun: Whether a comma separates the values of several runs, rather than being part of a path.
    """
    if override.startswith("model.loss."):
        return f"++{override}"
    key, _, value = override.partition("=")
    if PARAMETER.match(key):
        return PARAMETER.sub("", override)  # Hydra would take the dots in its name for levels
    if SPACE.fullmatch(key):
        return f"++{key.lstrip('+')}={_as_text(value)}"
    return f"{key}={_as_path(key, value, is_multirun)}" if NAME.search(key) and value else override


def _as_path(key: str, value: str, is_multirun: bool) -> str:
    """Return a path in quotation marks, unless Hydra reads it as it is, or it is null, a range or an interpolation."""
    try:
        override = OverridesParser.create().parse_override(f"{key}={value}")
        is_sweep, parsed = override.is_sweep_override(), override.value()
    except HydraException:
        if is_multirun and "," in value and not _exists(value):
            return ",".join(_as_path(key, part, is_multirun=False) for part in value.split(","))
        return quoted_value(expanded(value))
    if isinstance(parsed, str) and not is_sweep:
        is_literal = not _exists(parsed) and _exists(value)
    else:  # a comma or a bracket is part of the name of a file that exists
        is_literal = _exists(value) or not (is_sweep or parsed is None)
    return quoted_value(expanded(value)) if is_literal else value


def _exists(path: str) -> bool:
    try:
        return Path(expanded(path)).exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def _as_text(value: str) -> str:
    """Return a range, or a mapping of them, with each range in quotation marks and the names escaped."""
    value = value.strip()
    if value[:1] in ("", "'", '"', "$", "[") or value == "null" or NUMBER.fullmatch(value):
        return value
    if not (value[0] == "{" and value[-1] == "}"):
        return quoted_value(value)
    pairs, name = [], ""
    for part in _split(value[1:-1], ","):
        first, *rest = _split(part, ":")
        name += first
        if not rest:  # model=nn,dnn is one name
            name += ","
            continue
        escaped = re.sub(r"([=, ()])", r"\\\1", name.strip().strip("'\""))
        pairs.append(f"{escaped}: {_as_text(':'.join(rest))}")
        name = ""
    return f"{{{', '.join(pairs)}}}"


def _split(text: str, separator: str) -> Iterator[str]:
    """Yield the parts of a text between separators outside brackets."""
    depth, start = 0, 0
    for place, character in enumerate(text):
        depth += (character in OPENING) - (character in CLOSING)
        if character == separator and not depth:
            yield text[start:place]
            start = place + 1
    yield text[start:]
