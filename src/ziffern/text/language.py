"""Texts and numbers in one language.

Decisions: each folder of texts has one YAML file per language, with the same keys and placeholders (checked by a
test); texts are plain, never markup, so that a page escapes them with their values; a text that depends on a number has
one form per plural form of its value `count`; numbers follow Unicode's CLDR (98.32% and 98,32 %).
"""

import math
import shlex
import string
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from babel import Locale

TEXTS, TERMINAL = (Path(__file__).with_name(name) for name in ("report", "terminal"))
LANGUAGES = ("en", *sorted(path.stem for path in TEXTS.glob("*.yaml") if path.stem != "en"))
MAX_DECIMALS = 10
NONE = "–"
terminal_language: ContextVar[str] = ContextVar("terminal_language", default="en")  # of this process's terminal


class Language:
    """One of LANGUAGES.

    Args:
        code: The language's code.
        texts: The folder of its texts, by default those of the reports.

    Raises:
        ValueError: There is no such language; callers check a user's code first.
    """

    def __init__(self, code: str = "en", texts: Path = TEXTS) -> None:
        if code not in LANGUAGES:
            raise ValueError(f"{code}: no texts in this language, only in {', '.join(LANGUAGES)}")
        self.code = code
        self._texts = catalog(texts / f"{code}.yaml")

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text `key`, such as `fit.gap`, with `values` in its placeholders.

        `{count:n}` is a number with thousands separators, `{share:p}` a percentage, `{count}` is formatted by Python.

        Raises:
            LookupError: There is no such text, or a value is missing.
        """
        text = self._texts[key]
        if isinstance(text, Mapping):
            count: Any = values["count"]
            text = text[_locale(self.code).plural_form(count)]
        return _Formatter(self).vformat(text, (), values)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return a number with `digits` decimals and thousands separators; a dash if None or not finite."""
        return NONE if value is None or not math.isfinite(value) else self.localized(f"{value:,.{digits}f}")

    def percent(self, share: float | None, digits: int = 2) -> str:
        """Return a share in [0, 1] as a percentage."""
        if share is None or not math.isfinite(share):
            return NONE
        pattern: str = _locale(self.code).percent_formats[None].pattern
        return pattern.replace("#,##0", self.number(100 * share, digits))

    def share(self, share: float) -> str:
        """Return a share in [0, 1] as a percentage, with more decimals near 0 and 1, such as 0.001% and 99.995%."""
        rest = min(share, 1 - share)
        digits = min(MAX_DECIMALS, math.ceil(-math.log10(rest) - 1e-9) - 2) if 0 < rest < 1 else 0
        return self.percent(share, max(2, digits))

    def points(self, difference: float) -> str:
        """Return a difference of two shares in percentage points, with its sign."""
        sign = "+" if difference > 0 else ""
        return sign + self.number(100 * difference, 2)

    def duration(self, seconds: float | None) -> str:
        """Return a duration in seconds in the units that suit its size."""
        if seconds is None or not math.isfinite(seconds):
            return NONE
        if seconds < 60:  # noqa: PLR2004
            return f"{self.number(seconds, 1)} s"
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"

    def localized(self, number: str) -> str:
        """Return a number formatted by Python, such as `-1,234.5`, in the format of the language."""
        return number.translate(_symbols(self.code))


class _Formatter(string.Formatter):
    def __init__(self, language: Language) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "q":
            return shlex.quote(str(value))
        if format_spec == "p":
            return self._language.share(float(value))
        return self._language.localized(f"{value:,}") if format_spec == "n" else format(value, format_spec)


def terminal_words() -> Language:
    """Return the texts of the terminal in the terminal's language."""
    return Language(terminal_language.get(), TERMINAL)


@cache
def catalog(path: Path) -> dict[str, Any]:
    """Return the texts of a file by dotted name; a mapping of plural forms (one, other) is one text."""
    return dict(_flat(yaml.safe_load(path.read_text(encoding="utf-8")) or {}, ""))


def _flat(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, str) or "other" in value:
            yield f"{prefix}{key}", value
        else:
            yield from _flat(value, f"{prefix}{key}.")


@cache
def _locale(code: str) -> "Locale":
    from babel import Locale

    return Locale(code)


@cache
def _symbols(code: str) -> dict[int, str]:
    from babel.numbers import get_decimal_symbol, get_group_symbol

    locale = _locale(code)
    return str.maketrans({",": get_group_symbol(locale), ".": get_decimal_symbol(locale), "-": "−"})
