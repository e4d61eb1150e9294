"""What an `InputError` says, in the language of the page.

Decisions: whoever raises one writes plain English, and does not know that there are pages; so a message is found
by what it says in a table from English to another language, as gettext does, but with what was put in; what the
table lacks stays English, and a test holds that it lacks nothing the page can meet.
"""

import re
from functools import cache
from pathlib import Path

import yaml

TEXTS = Path(__file__).with_name("texts")


def translated(message: str, code: str) -> str:
    """Return an `InputError`'s message in a language; what is put into it is looked up as well."""
    for pattern, text in _table(code):
        if found := pattern.fullmatch(message):
            return text.format(*(translated(part, code) for part in found.groups()))
    return message


@cache
def _table(code: str) -> list[tuple[re.Pattern[str], str]]:
    """Return the patterns of the English messages with their texts; the most particular come first."""
    path = TEXTS / f"errors_{code}.yaml"
    texts: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    ordered = sorted(texts.items(), key=lambda pair: -len(pair[0].replace("{}", "")))
    return [(re.compile(re.escape(english).replace(r"\{\}", "(.*?)")), text) for english, text in ordered]
