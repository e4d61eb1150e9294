"""What was read from a batch of pages: the content of `reading.json` in its folder.

Decisions: all places are shares of the page image, so that they hold for a smaller copy of it; a reason is a code with
values, so that it is shown in any language; a value that is not accepted is a guess and never stands where an accepted
one does.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from msgspec import Meta, Struct, field

from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
Status = Literal["accepted", "review", "empty", "picture"]
ACCEPTED: Status
REVIEW: Status
EMPTY: Status
PICTURE: Status  # of an area that is kept as one, and not read
ACCEPTED, REVIEW, EMPTY, PICTURE = get_args(Status)
CellStatus = Literal["digit", "empty", "not a digit"]
Share = Annotated[float, Meta(ge=0, le=1)]
Box = tuple[Share, Share, Share, Share]  # left, top, right, bottom, as shares of the page image
Name = Annotated[str, Meta(min_length=1, max_length=100)]
PAGE = ("file", "page", "kind", "to_check", "problem")  # columns of a table
DETAILS = ("guess", "status", "probability", "reason", "crop")  # of a field; `guess` also where it is not accepted
DIGITS = 6  # decimals of a probability in a table
Check = Literal["luhn", "ean", "isbn", "iban", "mod11", "mod97"]
ATOM = r"(\\d|\.|[0-9]|\[\^?[0-9](-?[0-9])*\])(\{\d{1,2}\})?"
VARIABLE = r"(\\d|\.|[0-9]|\[\^?[0-9](-?[0-9])*\])([?*+]|\{\d{1,2},\d{1,2}\})"
ALTERNATIVE = rf"({ATOM})*(({VARIABLE})({ATOM})*){{0,3}}"
PATTERN = rf"^(?=.)({ALTERNATIVE})(\|({ALTERNATIVE}))*\Z"  # of the regular expressions that a template may have
Pattern = Annotated[str, Meta(pattern=PATTERN, max_length=200)]
FileName = Annotated[str, Meta(max_length=200, pattern=r"^([\w-]+(\.\w+)?(/[\w-]+\.\w+)?)?$")]  # below the batch folder


class Reason(Struct, frozen=True):
    """Why a field is not accepted, or a page not read: a code in `text/errors`, and the values of its text."""

    code: Annotated[str, Meta(max_length=100, pattern=r"^[\w.]+$")]
    values: dict[str, str | int | float] = {}

    def text(self, language: str | None = None) -> str:
        """Return it in words, in a language or that of the terminal; a code that is unknown stays as it is."""
        message = Message(self.code, **self.values)
        try:
            return str(message) if language is None else message.in_language(language)
        except (LookupError, ValueError, TypeError):  # of another version, or of somebody else
            return one_line(self.code)


class CellReading(Struct, frozen=True):
    """One digit, or the place of one."""

    status: CellStatus
    box: Box
    digit: str = ""  # the best guess; empty if the cell is
    probability: Share = 1.0


class FieldReading(Struct, frozen=True):
    """One field of a page.

    `probability` is that of `guess` as a whole; `guess` is the value if the status is `accepted`. An `empty` field has
    no ink, and needs none.
    """

    name: Name
    status: Status
    box: Box
    guess: str = ""
    probability: Share = 0.0
    reason: Reason | None = None
    alternatives: list[tuple[str, Share]] = field(default_factory=list)  # the guess included, best first
    cells: list[CellReading] = field(default_factory=list)
    crop: FileName = ""  # a PNG file

    @property
    def value(self) -> str | None:
        """The accepted value; empty for a field without ink, or a picture; None if a person must look."""
        return None if self.status == REVIEW else self.guess if self.status == ACCEPTED else ""

    @property
    def why(self) -> str:
        """The reason in words; empty without one."""
        return self.reason.text() if self.reason else ""


class PageReading(Struct, frozen=True):
    """One page; one that could not be read has a problem and no fields."""

    source: str  # the file as it was named, such as scans/17.pdf
    number: Annotated[int, Meta(ge=1)]  # of the page in its file
    kind: str = ""  # the page type of the template, or what was found without one
    image: FileName = ""  # a JPEG or PNG file: the page as it was registered
    residual: float | None = None  # of the registration, in millimeters
    problem: Reason | None = None
    fields: list[FieldReading] = field(default_factory=list)

    @property
    def why(self) -> str:
        """Its problem in words; empty without one."""
        return self.problem.text() if self.problem else ""

    def row(self) -> dict[str, object]:
        """Return the row of a table (`Reading.to_frame`)."""
        unread = sum(item.value is None for item in self.fields)
        row: dict[str, object] = dict(zip(PAGE, (self.source, self.number, self.kind, unread, self.why), strict=True))
        for item in self.fields:
            details = (item.guess, item.status, round(item.probability, DIGITS), item.why, item.crop)
            row[item.name] = item.value
            row |= {f"{item.name}_{name}": value for name, value in zip(DETAILS, details, strict=True)}
        return row


class Guarantee(Struct, frozen=True):
    """At most `max_error` of the accepted fields of this kind are wrong, with 95 % confidence."""

    max_error: Share
    threshold: Share  # of the probability
    tested: int  # labeled digits or fields by which it was tested
    accepted: int
    errors: int
    source: str = "digits"  # what was labeled: digits, each of which must reach the threshold; fields; checked fields


class Limits(Struct, frozen=True, omit_defaults=True):
    """The rules of which a person who enters a value is reminded, as in `ziffern.reading.constraints.Rules`."""

    length: tuple[int, int] | None = None
    range: tuple[int, int] | None = None
    date: Annotated[str, Meta(pattern=r"^[DMY]{0,8}$")] = ""
    pattern: Pattern = ""
    check: Check | Literal[""] = ""
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] = "DE"
    choose: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse patterns that PATTERN matches, but that are no regular expressions, such as `[9-0]`."""
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(str(error)) from error


class Reading(Struct, frozen=True):
    """A batch of pages."""

    version: Literal[1]
    created: str  # ISO 8601, UTC
    template: str  # its name; empty without one
    model: str  # its name and a hash of its weights
    max_error: Share
    pages: list[PageReading]
    guarantees: dict[str, Guarantee] = field(default_factory=dict)  # by field name
    warnings: list[Reason] = field(default_factory=list)  # such as drift
    lists: dict[str, list[str]] = field(default_factory=dict)  # valid values by field name, also labels of ticks
    limits: dict[str, Limits] = field(default_factory=dict)  # of the fields of a template

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per page: PAGE, a column per field with its accepted value, and FIELD_DETAIL columns.

        A field that a person must look at, or that is on another type of page, has None as its value.
        """
        import pandas as pd

        return pd.DataFrame([page.row() for page in self.pages], columns=self.columns, dtype=object)

    @property
    def columns(self) -> list[str]:
        """The columns of the table."""
        names = list(dict.fromkeys(item.name for page in self.pages for item in page.fields))
        return [*PAGE, *names, *(f"{name}_{detail}" for name in names for detail in DETAILS)]

    @property
    def counts(self) -> Counter[str]:
        """The number of fields of each status."""
        return Counter(item.status for page in self.pages for item in page.fields)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.most_common())
        return f"Reading of {len(self.pages)} pages ({counts or 'no fields'})"
