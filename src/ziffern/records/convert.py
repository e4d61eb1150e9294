"""Plain containers as records of the schema, or an error that names the key, the value and the expected type.

Decisions: text is made printable, since it may be printed in a terminal; keys that the schema does not declare are
dropped, so that nothing unchecked is passed on.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from msgspec.inspect import DictType, FloatType, IntType, ListType, NoneType, StrType, TypedDictType

from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import printable

Record = TypeVar("Record")
NAMES: dict[Any, str] = {
    IntType: "whole_number",
    FloatType: "number",
    StrType: "text",
    NoneType: "null",
    ListType: "list",
    DictType: "mapping",
    TypedDictType: "mapping",
}


def from_json(content: str, kind: type[Record]) -> Record:
    """Return JSON as a record.

    Raises:
        InputError: It is not valid JSON, or not of that kind.
    """
    try:
        plain = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InputError("records.json.invalid", problem=str(error)) from error
    return from_plain(plain, kind)


def from_plain(plain: Any, kind: type[Record], from_text: bool = False) -> Record:
    """Return plain containers as a record; with `from_text`, numbers may be written as text.

    Raises:
        InputError: They are not of that kind.
    """
    try:
        record: Record = _printable(msgspec.convert(plain, kind, strict=not from_text))
    except (msgspec.MsgspecError, RecursionError, AttributeError) as error:  # AttributeError: of a tensor
        raise _problem(error, plain, kind) from error
    return record


def expected(kind: Any) -> Message:
    """Describe the values that a type of `msgspec.inspect` accepts."""
    if isinstance(kind, inspect.Metadata):
        return expected(kind.type)
    if isinstance(kind, inspect.UnionType):
        first, *others = map(expected, kind.types)
        return Message("records.expected.either", first=first, other=others)
    name = next((name for known, name in NAMES.items() if isinstance(kind, known)), "anything")
    if isinstance(kind, IntType | FloatType) and kind.ge is not None and kind.le is not None:
        return Message(f"records.expected.{name}_between", low=f"{kind.ge:g}", high=f"{kind.le:g}")
    return Message(f"records.expected.{name}")


def _problem(error: Exception, plain: Any, kind: Any) -> InputError:
    """Return an error that names the wrong key and its type; for a nested key, msgspec's own message."""
    message, _, place = str(error).partition(" - at `$.")
    info = inspect.type_info(kind)
    if isinstance(info, TypedDictType) and isinstance(plain, dict):
        for field in info.fields:
            name = field.encode_name
            if name not in plain and f"field `{name}`" in message:
                return InputError("records.field.missing", key=name)
            if place == f"{name}`":
                value = repr(plain.get(name))[:60]
                return InputError("records.field.wrong", key=name, value=value, expected=expected(field.type))
    return InputError("records.wrong", problem=f"{place.rstrip('`')}: {message}" if place else message)


def _printable(record: Any) -> Any:
    if isinstance(record, dict):
        return {printable(key): _printable(value) for key, value in record.items()}
    if isinstance(record, list):
        return [_printable(value) for value in record]
    return printable(record) if isinstance(record, str) else record
