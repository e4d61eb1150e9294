"""Overrides as users type them, made valid in Hydra's grammar where their meaning is clear."""

import re
from collections.abc import Iterator

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
    is_path = NAME.search(key) and value and value[0] not in "'\"[{$" and not (is_multirun and "," in value)
    return f"{key}={quoted_value(expanded(value))}" if is_path and not _is_valid(override) else override


def _is_valid(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True


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
