"""The keys of a template's YAML, with their types and limits; every mistake is collected as one line with its place.

Decisions: YAML's scalars stay text until msgspec converts them to the type of their key, so that `yes` is a label,
`0012` keeps its zeros, and nothing but text, lists and mappings is ever constructed; aliases are refused, since they
grow exponentially. No key has a union of a number and a list: msgspec 0.20 crashes on text there.
"""

import re
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import yaml
from msgspec import Meta, Struct

from ziffern.config import suggestion
from ziffern.errors import InputError
from ziffern.files.untrusted import open_below, read_all, reading
from ziffern.files.yaml_problem import yaml_problem
from ziffern.reading.constraints import MAX_LENGTH
from ziffern.reading.result import Check, Pattern
from ziffern.text.catalog import Message

Keys = TypeVar("Keys", bound=Struct)
Value = TypeVar("Value")
Mm = Annotated[float, Meta(ge=0, le=1200)]
Side = Annotated[float, Meta(ge=0.5, le=1200)]
PageSide = Annotated[float, Meta(ge=50, le=1200)]
Count = Annotated[int, Meta(ge=1, le=MAX_LENGTH)]
Number = Annotated[int, Meta(ge=0, le=10**15)]
Name = Annotated[str, Meta(pattern=r"^\w[\w-]{0,39}\Z")]
Ascii = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,39}\Z")]  # in a QR code, and in names of files
Line = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}\Z")]
Label = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029;]{1,40}\Z")]  # without the separator of ticks
YesNo = Literal["yes", "no", "true", "false"]
RELATIVE = re.compile(r"(?!\.\.?(/|\Z))[^/\\\0:]+(/(?!\.\.?(/|\Z))[^/\\\0:]+)*")
MAX_PROBLEMS = 100
INTERVALS = ("length", "choose")  # one number is both limits


class TextKeys(Struct, forbid_unknown_fields=True):
    """A line of text on a printed form."""

    at: tuple[Mm, Mm]
    text: Line
    size: Annotated[float, Meta(ge=4, le=72)] = 10  # in points


class PageKeys(Struct):
    """A template, or one of its page types."""

    name: Ascii = ""
    drop_out: YesNo = "yes"
    pages: Annotated[dict[Ascii, Any], Meta(min_length=1, max_length=50)] = {}
    page: Any = "a4"
    register: Any = "markers"
    fields: Annotated[dict[Name, Any], Meta(min_length=1, max_length=500)] = {}
    sums: dict[str, list[str]] = {}
    title: Line = ""
    texts: Annotated[list[TextKeys], Meta(max_length=200)] = []


class FieldKeys(Struct):
    """A field; which keys it may have depends on its kind."""

    at: tuple[Mm, Mm] = (0, 0)
    cells: Count = 1
    boxes: Annotated[list[tuple[Mm, Mm, Side, Side]], Meta(min_length=1, max_length=MAX_LENGTH)] = []
    string: tuple[Side, Side] = (1, 1)
    ticks: Annotated[list[Label], Meta(min_length=1, max_length=MAX_LENGTH)] = []
    crop: tuple[Side, Side] = (1, 1)
    size: tuple[Side, Side] = (7, 9)
    gap: Mm = 2
    groups: tuple[Count, ...] = ()
    group_gap: Mm = 5
    down: YesNo = "no"
    label: Line = ""
    required: YesNo = "yes"
    unique: YesNo = "no"
    length: tuple[Count, Count] = (0, 0)
    range: tuple[Number, Number] = (0, 0)
    choose: tuple[Number, Number] = (0, 0)
    date: Annotated[
        str, Meta(pattern=r"(?i)^(?=.*(DD|TT))(?=.*MM)(?=.*(YY|JJ))((DD|TT|MM|(YY|JJ){1,2})[ ./-]?){3}\Z")
    ] = ""
    pattern: Pattern = ""
    check: Check | Literal[""] = ""
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] = "DE"
    values: Any = None


class _Loader(yaml.BaseLoader):
    """YAML as text, lists and mappings, without aliases and without a key twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise InputError("reading.template.alias", line=event.start_mark.line + 1)
        node = super().compose_node(parent, index)
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        lines: dict[str, int] = {}
        for key, _ in pairs:
            if isinstance(key, yaml.ScalarNode):
                if key.value in lines:
                    values = {"first": lines[key.value], "line": key.start_mark.line + 1}
                    raise InputError("reading.template.twice", key=key.value, **values)
                lines[key.value] = key.start_mark.line + 1
        return node


def parse_yaml(text: str) -> Any:
    """Return YAML as text, lists and mappings.

    Raises:
        InputError: It is not YAML or too deep, or has aliases, keys that are not text, or a key twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError("reading.template.yaml", problem=yaml_problem(error, text)) from error


class TooManyProblemsError(Exception):
    """There are MAX_PROBLEMS mistakes, and the rest of the template is not looked at."""


class Problems(list[InputError]):
    """All mistakes of a template; the files that it names lie in or below `folder`, and None allows none."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.folder, self.has_files = folder, False

    def add(self, place: str, code: str, /, **values: object) -> None:
        """Add a mistake at a dotted place; raises TooManyProblemsError at the last one."""
        problem = Message(f"reading.template.{code}", **values)
        self.append(InputError("reading.template.mistake", place=place.strip(".") or "template", problem=problem))
        if len(self) >= MAX_PROBLEMS:
            raise TooManyProblemsError

    def keys(self, kind: type[Keys], content: Any, place: str, allowed: Container[str]) -> Keys:
        """Return the keys of a mapping; unknown keys and wrong values are added, and keep their defaults."""
        if not isinstance(content, dict):
            self.add(place, "no_mapping", value=shown(content))
            return kind()
        known = {field.name: field.type for field in msgspec.structs.fields(kind) if field.name in allowed}
        values = {}
        for key, value in content.items():
            if key not in known:
                self.add(f"{place}.{key}", "unknown", near=suggestion(key, known), known=list(known))
                continue
            plain = [value, value] if key in INTERVALS and isinstance(value, str) else value
            result: Any = convert(plain, known[key])
            if result is None and known[key] is not Any:
                self.wrong(f"{place}.{key}", value)
            elif key in INTERVALS and result[0] > result[1]:
                self.add(f"{place}.{key}", "order", low=result[0], high=result[1])
            else:
                values[key] = result
        return kind(**values)

    def read(self, name: str, max_bytes: int, place: str) -> bytes:
        """Return the content of a file that a template names; empty, and a mistake at `place`, if that fails."""
        self.has_files = True
        if self.folder is None or not RELATIVE.fullmatch(name):
            self.add(place, "elsewhere", path=name)
            return b""
        try:
            with reading(name):
                return read_all(open_below(self.folder, name, max_bytes), Path(name), max_bytes)
        except InputError as error:
            self.add(place, "file", problem=error)
            return b""

    def are_at(self, place: str) -> bool:
        """Return whether there is a mistake at a place, or within it."""
        return any(f"{error.message.values['place']}.".startswith(f"{place}.".lstrip(".")) for error in self)

    def wrong(self, place: str, value: Any) -> None:
        """Add a wrong value of a key; what is expected there has a text in the catalogs."""
        expected = Message(f"reading.template.expected.{place.rpartition('.')[2]}")
        self.add(place, "wrong", value=shown(value), expected=expected)


def convert(value: Any, kind: type[Value]) -> Value | None:
    """Return text, and lists and mappings of it, as another type; None if it is not possible."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, RecursionError):
        return None


def shown(value: Any) -> str:
    """Return a value as it is written in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(part)}" for key, part in value.items()) + "}"
    return f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else str(value) or "''"
