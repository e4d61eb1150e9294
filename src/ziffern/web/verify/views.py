"""What the pages of `ziffern verify` show, and what their script sends.

Decisions: the answer to an entry brings the next fields along, so that nobody waits for one; with double entry, nobody
sees the guess, nor why it is doubtful, nor what others entered, until two entries differ; the server checks a value
against the rules while it is typed, since a check after Enter would make people wait, and a check in the script would
need a second implementation of every rule.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Literal

from fastapi import HTTPException
from fastapi.responses import JSONResponse, Response
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from msgspec import Meta, Struct

from ziffern.reading.constraints import tidied, violation
from ziffern.reading.decisions import MAX_VALUE, Key
from ziffern.reading.result import REVIEW, Reason
from ziffern.text.catalog import Message
from ziffern.text.language import LANGUAGES, Language
from ziffern.text.printable import printable
from ziffern.web.verify.queue import Name, Queue

HERE = Path(__file__).parent
AHEAD = 6  # fields that a page holds, the shown one included
MAX_OPTIONS = 5  # alternatives
ENVIRONMENT = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True)
Index = Annotated[int, Meta(ge=0)]
Place = tuple[Index, Index]  # of a page in the reading, and of a field in the page


class ScriptRequest(Struct):
    """What the script sends with each request: the queue, and the fields that the page holds."""

    queue: Name
    held: Annotated[list[Place], Meta(max_length=AHEAD + 1)]


class Undo(ScriptRequest):
    """What the script sends to undo an entry, and when, in milliseconds."""

    at: float


class Entry(ScriptRequest):
    """What the script sends when a person has decided about a field."""

    place: Place
    kind: Literal["value", "empty", "unreadable", "later"]
    value: Annotated[str, Meta(max_length=MAX_VALUE)]
    seconds: float

    def problem(self) -> bool:
        """Return whether it cannot be written."""
        is_text = printable(self.value).strip() == self.value != ""
        return not is_text if self.kind == "value" else self.value != ""


@dataclass(frozen=True)
class Views:
    """What the pages show."""

    queue: Queue
    version: str = field(default_factory=lambda: token_hex(4))  # or a browser shows what it kept of another batch

    def page(self, language: str, template: str, **values: object) -> Response:
        """Return a page."""
        words = words_of(language)
        values["progress"] = self.progress(words)
        text = ENVIRONMENT.get_template(template).render(w=words, languages=LANGUAGES, version=self.version, **values)
        return Response(text, media_type="text/html", headers={"cache-control": "no-store"})

    def field(self, key: Key, words: Language, name: Name) -> dict[str, Any]:
        """Return what is shown of a field."""
        page, read = self.queue.reading.pages[key[0]], self.queue.fields[key]
        index = next(place for place, other in enumerate(page.fields) if other.name == key[1])
        likely = read.alternatives[:MAX_OPTIONS] or ([(read.guess, read.probability)] if read.guess else [])
        options = [(value, words.percent(share, 1), "value") for value, share in likely]
        guess, standing, rules = read.guess, self.queue.standing, self.queue.rules.get(read.name)
        doubt = _reason(read.reason, words) if read.reason else words("unsure") if read.status == REVIEW else ""
        if standing.needed > 1:
            guess, options, doubt = "", [], ""
        if rules and rules.choose:  # ticks have no probabilities
            options = [(value, "", "value") for value in dict.fromkeys((guess, *(rules.values or ()))) if value]
        if name == "settle" and standing.state(key) == "disputed":
            entries = standing.answers(key).values()
            options = [(entry.value or words(entry.kind), entry.person, entry.kind) for entry in entries]
            guess = ""
        return {
            "field": read,
            "version": self.version,
            "page": page,
            "place": f"{key[0]}/{index}",
            "guess": guess,
            "options": json.dumps(options),
            "reason": doubt,
            "has_list": read.name in self.queue.reading.lists,
            "has_rules": bool(rules),
            "is_several": bool(rules and rules.choose and rules.choose[1] > 1),
        }

    def doubt(self, key: Key, value: str, words: Language) -> str:
        """Return which rule a value breaks, in words; empty if none."""
        rules = self.queue.rules.get(key[1])
        broken = violation(rules, tidied(rules, value)) if rules else None
        return f"{_reason(broken, words)} {words('again')}" if broken else ""

    def progress(self, words: Language) -> dict[str, Any]:
        """Return how far people are, in words."""
        now = self.queue.progress()
        left = words("left", count=math.ceil(now.left / 60)) if now.left and now.done < now.total else ""
        text = words("progress", done=now.done, total=now.total)
        return {"done": now.done, "total": now.total, "text": text, "left": left, "disputed": now.disputed}

    def answer(self, person: str, sent: ScriptRequest, words: Language, more: Mapping[str, Any]) -> Response:
        """Return what a page needs after an entry: the progress, and further fields."""
        held = [self.key(place) for place in sent.held]
        keys = self.queue.take(person, sent.queue, held, AHEAD)
        return JSONResponse({"progress": self.progress(words), "fields": self.cards(keys, words, sent.queue), **more})

    def cards(self, keys: Sequence[Key], words: Language, name: Name) -> str:
        """Return fields as the script takes them."""
        template = ENVIRONMENT.get_template("card.html")
        return Markup("").join(Markup(template.render(w=words, f=self.field(key, words, name))) for key in keys)

    def key(self, place: Place) -> Key:
        """Return which field is at a place; there is one, or the request is answered with 404."""
        page, index = place
        pages = self.queue.reading.pages
        if 0 <= page < len(pages) and 0 <= index < len(pages[page].fields):
            return page, pages[page].fields[index].name
        raise HTTPException(404)


def words_of(language: str) -> Language:
    """Return the texts in a language; there is one of that code, or the request is answered with 404."""
    if language not in LANGUAGES:
        raise HTTPException(404)
    return Language(language, HERE / "texts")


def _reason(reason: Reason, words: Language) -> str:
    """Return why a field is doubtful; the same for all reasons that this version has no text for."""
    try:
        text = Message(reason.code, **reason.values).in_language(words.code)
    except (LookupError, ValueError, TypeError):
        return words("unsure")
    names = (str(reason.values.get(key) or "\n") for key in ("value", "label", "parts"))  # stay as they are written
    return f"{text}." if text.startswith(tuple(names)) else f"{text[:1].upper()}{text[1:]}."
