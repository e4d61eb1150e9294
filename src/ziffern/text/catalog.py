"""Messages by code, in each language.

Decisions: a message is a code and its values, so it is translated by lookup and never by parsing English; the catalogs
are YAML files with the same keys in every language (a test holds this and that the placeholders agree); values are
foreign text more often than not, so each is made printable where it is put in; `{size}` writes a number as Hydra reads
it, for overrides such as `data.batch_size=1000` that a message tells the user to type, and `{count:n}` as people do.
"""

import string
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import yaml

from ziffern.text.printable import one_line, printable

CATALOGS = Path(__file__).with_name("errors")
terminal_language: ContextVar[str] = ContextVar("terminal_language", default="en")  # of this process's terminal


class Message:
    """A message: `str` gives it in the language of the terminal, `in_language` in any other.

    Args:
        code: Its dotted name in the catalogs.
        values: What its placeholders stand for: text, paths, numbers, lists of these, or other messages.
    """

    def __init__(self, code: str, /, **values: object) -> None:
        self.code, self.values = code, values

    def __str__(self) -> str:
        return self.in_language(terminal_language.get())

    def in_language(self, language: str) -> str:
        """Return the text in `language`, on one printable line.

        Raises:
            LookupError: The catalog lacks the code, or the message one of the placeholders.
        """
        entry = catalog(language).get(self.code)
        if entry is None and " " in self.code:  # TODO(17): English text in place of a code, until all rooms have codes
            from ziffern.text.messages import translated

            return translated(self.code, language)
        if entry is None:
            raise LookupError(f"{self.code}: no such message")
        if isinstance(entry, Mapping):  # one text per plural form of the value `count`
            entry = entry[_locale(language).plural_form(self.values["count"])]
        return _Formatter(language).vformat(entry, (), self.values)


class _Formatter(string.Formatter):
    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return a value as text; the specification `n` is a number with its thousands apart."""
        value = getattr(value, "message", value)  # of an InputError
        match value:
            case Message():
                return value.in_language(self._language)
            case list() | tuple():
                return ", ".join(self.format_field(item, format_spec) for item in value)
            case PurePath():
                return printable(value)  # whole, since it may be typed again
            case bool():
                return str(value).lower()
            case int() | float() if format_spec == "n":
                return _locale(self._language).decimal(value)
        return one_line(format(value, format_spec))


@cache
def catalog(language: str) -> dict[str, Any]:
    """Return the texts of a language under dotted names; a mapping of plural forms is one text."""
    texts = yaml.safe_load((CATALOGS / f"{language}.yaml").read_text(encoding="utf-8"))
    return dict(_flat(texts or {}, ""))


def _flat(node: Mapping[str, Any], prefix: str) -> Any:
    for key, value in node.items():
        if isinstance(value, str) or "other" in value:
            yield f"{prefix}{key}", value
        else:
            yield from _flat(value, f"{prefix}{key}.")


class _Locale:
    """Numbers and plural forms of a language, from Unicode's CLDR."""

    def __init__(self, language: str) -> None:
        from babel import Locale

        self._locale = Locale(language)

    def plural_form(self, count: Any) -> str:
        return str(self._locale.plural_form(count))

    def decimal(self, value: float) -> str:
        from babel.numbers import format_decimal

        return format_decimal(value, locale=self._locale)


@cache
def _locale(language: str) -> _Locale:
    return _Locale(language)
