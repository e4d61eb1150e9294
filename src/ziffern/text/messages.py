"""What an `InputError` says, in the language of the page.

Decisions: whoever raises one writes plain English, and does not know that there are pages; so a message is found
by what it says in a table from English to another language, as gettext does, but with what was put in; what the
table lacks stays English, and a test holds that it lacks nothing the page can meet. What was put in stays as it
is, since it may be the name of a file, but for numbers, and for what the table marks as words of our own. A message may
be text from a foreign file, so it is matched in linear time, not by a regular expression that backtracks.
"""

import re
from functools import cache
from pathlib import Path

import yaml

TEXTS = Path(__file__).with_name("errors")
HOLE = re.compile(r"\{t?\}")
THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")


def translated(message: str, code: str) -> str:
    """Return an `InputError`'s message in a language."""
    for pieces, words, text in _table(code):
        if (found := _between(pieces, message)) is not None:
            parts = [
                translated(part, code) if is_ours else _number(part) for part, is_ours in zip(found, words, strict=True)
            ]
            return text.format(*parts)
    return message


def _between(pieces: list[str], message: str) -> list[str] | None:
    """Return what stands between the pieces of a message, each where it first occurs; None where one is missing."""
    first, *others = pieces
    if not others:
        return [] if message == first else None
    last, place, found = others[-1], len(first), []
    if not message.startswith(first):
        return None
    for piece in others[:-1]:
        if (at := message.find(piece, place)) < 0:
            return None
        found.append(message[place:at])
        place = at + len(piece)
    end = len(message) - len(last)
    return [*found, message[place:end]] if end >= place and message.endswith(last) else None


def _number(part: str) -> str:
    return part.replace(",", ".") if THOUSANDS.fullmatch(part) else part


@cache
def _table(code: str) -> list[tuple[list[str], list[bool], str]]:
    """Return the English messages in pieces, which holes have words of ours, and texts; the most particular first."""
    path = TEXTS / f"old_{code}.yaml"
    texts: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    ordered = sorted(texts.items(), key=lambda pair: -len(HOLE.sub("", pair[0])))
    return [(HOLE.split(english), [hole == "{t}" for hole in HOLE.findall(english)], text) for english, text in ordered]
