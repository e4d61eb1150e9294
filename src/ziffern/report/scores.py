"""How the scores of a search are written."""

import math

from ziffern.search.findings import Objective
from ziffern.text.language import NONE, Language

DIGITS = 4  # significant ones
MIN_PLAIN, MAX_PLAIN = 1e-4, 1e7  # smaller and larger numbers get a power of ten


def score_text(value: float | None, objective: Objective, t: Language) -> str:
    """Return a score of an objective: an accuracy as a percentage, any other with four significant digits."""
    return t.percent(value) if objective.is_share else significant(value, t)


def significant(value: float | None, t: Language) -> str:
    """Return a number with four significant digits, a tiny or huge one with a power of ten."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0 or MIN_PLAIN <= abs(value) < MAX_PLAIN:
        return t.number(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))) if value else 0)
    mantissa, power = f"{value:.{DIGITS - 1}e}".split("e")
    return f"{t.number(float(mantissa), DIGITS - 1)}e{int(power)}"
