"""Numbers as people type them, in English or in German.

Decision: an ambiguous text is read as the page's language writes numbers, and a text that is not a number in this
language is an error: 0,01 is a hundredth on the German page, and an error on the English one, never 1.
"""

import re
from decimal import Decimal

from babel.numbers import get_decimal_symbol, get_group_symbol

PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)


def as_number(text: object, code: str) -> object:
    """Return the number that a text means in a language; any other text is returned unchanged."""
    if not isinstance(text, str):
        return text
    plain = text.strip().replace("\N{MINUS SIGN}", "-")
    point, group = get_decimal_symbol(code), get_group_symbol(code)
    if re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}({re.escape(group)}\d{{3}})+({re.escape(point)}\d*)?", plain, re.ASCII):
        plain = plain.replace(group, "")
    if point == ",":  # 0.001 cannot have a thousands separator, so it is unambiguous
        plain = plain.replace(",", ".")
    if not PLAIN.fullmatch(plain):
        return text
    value = float(plain)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def as_text(value: object, code: str) -> str:
    """Return a number as a language writes it, without thousands separators; an empty string for None."""
    if value is None or value == "":
        return ""
    text = format(Decimal(repr(value)), "f") if isinstance(value, int | float) else str(value)
    return text.replace(".", get_decimal_symbol(code))
