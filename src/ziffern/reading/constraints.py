"""What is known about the value of a field, and whether a value agrees with it.

Decisions: values are text, since zeros in front count; patterns are regular expressions without groups and with at most
three quantifiers of variable length per alternative, so that no template can make matching slow; where the valid
values are few, they are enumerated, so that the probabilities of the cells can be compared over all of them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from ziffern.reading.result import Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODULES = {"mod11": "iso7064.mod_11_10", "mod97": "iso7064.mod_97_10"}  # of python-stdnum; others have the check's name
FIRST_YEAR, LAST_YEAR, CENTURY = 1900, 2099, 2000  # of dates, and of years of two digits
MAX_CANDIDATES, MAX_LENGTH = 100_000, 60  # values; digits of one
SEPARATOR = ";"  # of several ticks


@dataclass(frozen=True)
class Rules:
    """What is known about a value.

    Args:
        length: The least and the largest number of digits.
        range: The least and the largest number; of dates, the first and the last year.
        date: One letter D, M or Y for each digit, such as DDMMYYYY.
        pattern: A regular expression for the whole value, which `result.PATTERN` matches.
        check: The name of a check digit, or empty; mod11 is MOD 11,10 and mod97 MOD 97-10 of ISO 7064.
        country: That of an IBAN; its two letters are not written in the field.
        values: The valid values; of ticks, their labels.
        choose: The least and the largest number of ticks.
        unique: Whether no two fields or pages have the same value.
        required: Whether the field must be filled in.
    """

    length: tuple[int, int] | None = None
    range: tuple[int, int] | None = None
    date: str = ""
    pattern: str = ""
    check: str = ""
    country: str = "DE"
    values: tuple[str, ...] | None = None
    choose: tuple[int, int] | None = None
    unique: bool = False
    required: bool = True

    def accepts(self, value: str) -> bool:
        """Return whether a value violates no rule."""
        return violation(self, value) is None

    @cached_property
    def known(self) -> frozenset[str]:
        """The valid values as a set."""
        return frozenset(self.values or ())

    @cached_property
    def candidates(self) -> tuple[str, ...] | None:
        """All values with a digit that are accepted, or None if they are unknown or more than MAX_CANDIDATES.

        Numbers of a range have every number of zeros in front that the length allows.
        """
        some = self.values
        low, high = self.range or (FIRST_YEAR, LAST_YEAR)
        if some is None and self.date:
            form = self.date.replace("YYYY", "%Y").replace("YY", "%y").replace("MM", "%m").replace("DD", "%d")
            first = date(min(max(low, FIRST_YEAR if "%Y" in form else CENTURY), LAST_YEAR), 1, 1)
            days = range((date(max(min(high, LAST_YEAR), FIRST_YEAR), 12, 31) - first).days + 1)
            some = tuple((first + timedelta(day)).strftime(form) for day in days)
        elif some is None and self.range and self.length:
            numbers, lengths = range(low, high + 1), range(self.length[0], self.length[1] + 1)
            if len(numbers) * len(lengths) <= MAX_CANDIDATES:
                some = tuple(f"{number:0{size}}" for size in lengths for number in numbers if number < 10**size)
        if some is None or not (self.pattern or self.check or (self.date and self.range)):
            return some
        return tuple(value for value in some if self.accepts(value))

    @cached_property
    def tables(self) -> "dict[int, NDArray[np.uint8]]":
        """The digits of all `candidates` by length, (values, length)."""
        import numpy as np

        by_length: dict[int, list[str]] = {}
        for value in self.candidates or ():
            by_length.setdefault(len(value), []).append(value)
        digits = {length: np.frombuffer("".join(some).encode(), np.uint8) for length, some in by_length.items()}
        return {length: (flat - np.uint8(ord("0"))).reshape(-1, length) for length, flat in digits.items()}

    @property
    def is_strong(self) -> bool:
        """Whether few of all digit strings are valid, so that the rules tell a wrong reading."""
        return self.values is not None or bool(self.date or self.check)


def violation(rules: Rules, value: str) -> Reason | None:
    """Return the first rule that a value violates, or None; an empty value can only violate `required`.

    The value of ticks is their labels, separated by SEPARATOR.
    """
    parts = value.split(SEPARATOR) if rules.choose else [value]
    size, limits, count = ("choose", rules.choose, len(parts)) if rules.choose else ("length", rules.length, len(value))
    least, most = limits or (1, MAX_LENGTH)
    low, high = rules.range or (FIRST_YEAR, LAST_YEAR)
    code = ""
    values: dict[str, str | int] = {}
    if not value:
        code = "required" if rules.required else ""
    elif not rules.choose and not (value.isascii() and value.isdecimal()):
        code = "digits"
    elif not least <= count <= min(most, MAX_LENGTH):
        code, values = size, {"count": count, "allowed": f"{least}–{most}" if least < most else str(least)}
    elif rules.values is not None and not rules.known.issuperset(parts):
        code = "values"
    elif len(set(parts)) < len(parts):
        code = "repeated"
    elif rules.date and not low <= _year(value, rules.date) <= high:
        code, values = "date", {"format": rules.date, "low": low, "high": high}
    elif rules.range and not rules.date and not low <= int(value) <= high:
        code, values = "range", {"low": low, "high": high}
    elif rules.pattern and not re.fullmatch(rules.pattern, value, re.ASCII):
        code, values = "pattern", {"pattern": rules.pattern}
    elif rules.check and not _has_check_digit(rules, value):
        code, values = "check", {"check": rules.check}
    return Reason(f"reading.rule.{code}", {"value": value, **values}) if code else None


def tidied(rules: Rules, value: str) -> str:
    """Return ticked labels as the reader writes them: each once, in the order of the form; other values unchanged."""
    parts = {part.strip() for part in value.split(SEPARATOR)} - {""}
    if not rules.choose or not rules.known.issuperset(parts):
        return value
    return SEPARATOR.join(label for label in rules.values or () if label in parts) or value


def _year(value: str, form: str) -> int:
    """Return the year of a date, or -1 if it is none in this form."""
    if len(value) != len(form) or not (value.isascii() and value.isdecimal()):
        return -1
    pairs = list(zip(value, form, strict=True))
    try:
        day, month, year = (int("".join(digit for digit, kind in pairs if kind == letter)) for letter in "DMY")
        return date(year if "YYYY" in form else CENTURY + year, month, day).year
    except ValueError:
        return -1


def _has_check_digit(rules: Rules, value: str) -> bool:
    return _validator(rules.check)(rules.country + value if rules.check == "iban" else value)


@cache
def _validator(check: str) -> Callable[[str], bool]:
    is_valid: Callable[[str], bool] = import_module(f"stdnum.{MODULES.get(check, check)}").is_valid
    return is_valid
