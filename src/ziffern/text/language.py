"""The words and the numbers of a report in one language.

Decisions: texts lie in one YAML file a language, with the same keys and the same placeholders (a test holds
this); a text is plain, never markup, so that whatever is put into it is escaped; numbers are written as the
language writes them (98.32% and 98,32 %).
"""

import math
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ziffern.text.catalog import terminal_language

LANGUAGES = ("en", "de")
TEXTS = Path(__file__).with_name("report")
TERMINAL = Path(__file__).with_name("terminal")
NONE = "–"


class Language:
    """One of LANGUAGES.

    Args:
        code: Of the language.
        texts: The folder of its texts: those of the reports, unless another is named.

    Raises:
        ValueError: Another code; whoever takes it from a user checks it first.
    """

    def __init__(self, code: str = "en", texts: Path = TEXTS) -> None:
        if code not in LANGUAGES:
            raise ValueError(f"{code}: no language of these texts: {', '.join(LANGUAGES)}")
        self.code = code
        self._texts = _texts(texts / f"{code}.yaml")

    def __call__(self, key: str, **values: object) -> str:
        """Return the text `key`, such as `fit.gap`, with `values` in its placeholders."""
        node: Any = self._texts
        for part in key.split("."):
            node = node[part]
        return str(node).format(**values)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return a number with so many decimals and its thousands apart; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return NONE
        text = f"{value:,.{digits}f}".replace("-", "−")
        return text if self.code == "en" else text.translate(str.maketrans(",.", ".,"))

    def percent(self, share: float | None, digits: int = 2) -> str:
        """Return a share in [0, 1] as a percentage."""
        if share is None or not math.isfinite(share):
            return NONE
        return self.number(100 * share, digits) + ("%" if self.code == "en" else "\N{NO-BREAK SPACE}%")

    def points(self, difference: float) -> str:
        """Return a difference of two shares in percentage points, with its sign."""
        sign = "+" if difference > 0 else ""
        return sign + self.number(100 * difference, 2)

    def duration(self, seconds: float | None) -> str:
        """Return a duration in words that suit its size."""
        if seconds is None or not math.isfinite(seconds):
            return NONE
        if seconds < 60:  # noqa: PLR2004
            return f"{self.number(seconds, 1)} s"
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def terminal_words() -> Language:
    """Return the texts of the terminal in the terminal's language."""
    return Language(terminal_language.get(), TERMINAL)


@cache
def _texts(path: Path) -> dict[str, Any]:
    texts: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return texts
