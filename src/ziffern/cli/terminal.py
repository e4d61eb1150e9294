"""The language of reports and of the terminal, and the characters that a terminal can show."""

import io
import re
import sys
from collections.abc import Mapping, Sequence

from ziffern.errors import InputError
from ziffern.text.language import LANGUAGES, Language

LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")  # in gettext's order; the first one that is set counts
REPORT = "report="


def chosen_language(code: str) -> Language:
    """Return the language with this code.

    Raises:
        InputError: There is none.
    """
    if code not in LANGUAGES:
        raise InputError("cli.language.unknown", code=code, known=LANGUAGES)
    return Language(code)


def language_of_terminal(environment: Mapping[str, str], overrides: Sequence[str] = ()) -> str:
    """Return the code of the language to print in: that of `report=`, or else of the locale; English otherwise."""
    reports = [item.removeprefix(REPORT) for item in overrides if item.startswith(REPORT)]
    locale = next((environment[name] for name in LOCALE if environment.get(name)), "")
    code = reports[-1] if reports and reports[-1] in LANGUAGES else re.split(r"[_.@]", locale)[0].lower()
    return code if code in LANGUAGES else LANGUAGES[0]


def readable_streams() -> None:
    """Write a question mark for a character that the terminal cannot show, which would otherwise end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
