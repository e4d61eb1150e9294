"""A reading as a table: one row per page, the accepted values first, then the details of each field."""

from typing import TYPE_CHECKING

from ziffern.reading.result import FieldReading, PageReading, Reading, Reason
from ziffern.text.catalog import Message

if TYPE_CHECKING:
    import pandas as pd

PAGE = ("file", "page", "kind", "to_check", "problem")
DETAILS = ("guess", "status", "probability", "reason", "crop")  # `guess` also where the field is not accepted
DIGITS = 6  # decimals of a probability


def text_of(reason: Reason | None, language: str | None = None) -> str:
    """Return a reason in words, in a language or that of the terminal; a code that is unknown stays as it is."""
    if reason is None:
        return ""
    message = Message(reason.code, **reason.values)
    try:
        return str(message) if language is None else message.in_language(language)
    except (LookupError, ValueError):  # of another version, or of somebody else
        return str(Message("reading.value", value=reason.code))


def to_frame(reading: Reading) -> "pd.DataFrame":
    """Return one row per page: PAGE, a column per field with its accepted value, and FIELD_DETAIL columns.

    A field that a person must look at, or that is on another type of page, has None as its value.
    """
    import pandas as pd

    names = list(dict.fromkeys(item.name for page in reading.pages for item in page.fields))
    columns = [*PAGE, *names, *(f"{name}_{detail}" for name in names for detail in DETAILS)]
    return pd.DataFrame([_row(page) for page in reading.pages], columns=columns, dtype=object)


def _row(page: PageReading) -> dict[str, object]:
    row: dict[str, object] = {
        "file": page.source,
        "page": page.number,
        "kind": page.kind,
        "to_check": sum(item.value is None for item in page.fields),
        "problem": text_of(page.problem),
    }
    for item in page.fields:
        row[item.name] = item.value
        row |= {f"{item.name}_{detail}": value for detail, value in zip(DETAILS, _details(item), strict=True)}
    return row


def _details(item: FieldReading) -> tuple[object, ...]:
    return item.guess, item.status, round(item.probability, DIGITS), text_of(item.reason), item.crop
