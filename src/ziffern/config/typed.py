"""Overrides as users type them, made valid in Hydra's grammar where their meaning is clear."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Sweep
from hydra.errors import HydraException

from ziffern.config.command import quoted_value
from ziffern.config.paths import NAME, expanded
from ziffern.errors import InputError

SPACE = re.compile(r"\+*hydra\.sweeper\.(params|when)")  # ranges in it are text, which the search reads
PARAMETER = re.compile(r"\+*hydra\.sweeper\.params\.")
NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")
OVERRIDE_OR_OPTION = re.compile(r"[-~]|\+{0,2}[A-Za-z_][\w./@:-]*=")
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


def check_blanks(arguments: Sequence[str], start: str) -> None:
    """Check that the shell did not split a path at its blanks.

    Args:
        arguments: The words of a command line.
        start: The words before them, such as `python train.py`.

    Raises:
        InputError: It did; the message has the command with the path in quotation marks.
    """
    words: list[str] = []
    broken = None
    for argument in arguments:
        key, _, value = words[-1].partition("=") if words else ("", "", "")
        if value and NAME.search(key) and not OVERRIDE_OR_OPTION.match(argument):
            broken = words[-1] = f"{words[-1]} {argument}"
        else:
            words.append(argument)
    if broken:
        raise InputError("config.override.blanks", override=broken, command=f"{start} {shlex.join(words)}")


def _as_path(key: str, value: str, is_multirun: bool) -> str:
    """Return a path in quotation marks, unless Hydra reads it as it is, or it is null, a range or an interpolation."""
    try:
        override = OverridesParser.create().parse_override(f"{key}={value}")
    except HydraException:
        if is_multirun and "," in value and not _exists(value):
            return ",".join(_as_path(key, part, is_multirun=False) for part in value.split(","))
        return _quoted(value)
    parsed = override.value()
    if isinstance(parsed, Sweep):
        has_commas = isinstance(parsed, ChoiceSweep) and parsed.simple_form
        is_literal = _exists(value) or (has_commas and not is_multirun)
    elif isinstance(parsed, str):
        is_literal = _exists(value) and not _exists(parsed)
    else:
        is_literal = parsed is not None
    return _quoted(value) if is_literal else value


def _quoted(path: str) -> str:
    """Return a path that Hydra reads as text, even if it looks like a number."""
    text = quoted_value(expanded(path))
    return text if text.startswith("'") else f"'{text}'"


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
