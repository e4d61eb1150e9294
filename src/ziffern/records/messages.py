"""Messages in metrics.json: in English, and by their code, so that a report can show them in its own language.

Decisions: a code in a run folder is looked up in the catalogs like any other; where it is unknown there or its values
do not fit, the English text is shown; the catalogs' texts are ours, so nothing foreign is used as a format.
"""

from collections.abc import Mapping
from typing import Any

from ziffern.text.catalog import Message


def recorded(key: str, message: Message | str | None) -> dict[str, Any]:
    """Return the entries of metrics.json for a message, such as `data/note`; the text is empty without one."""
    if not isinstance(message, Message):
        return {key: message or ""}
    return {key: message.in_language("en"), f"{key}_message": _plain(message)}


def message_text(record: Mapping[str, Any], key: str, language: str) -> str:
    """Return a recorded message in a language, in English where an earlier version wrote it; empty without one."""
    english = str(record.get(key, ""))
    try:
        message = _message(record.get(f"{key}_message"))
        return message.in_language(language) if english and isinstance(message, Message) else english
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):  # codes and values may be anybody's
        return english


def _plain(value: Any) -> Any:
    """Return a message, its values among them, as plain containers."""
    value = getattr(value, "message", value)  # of an InputError
    if isinstance(value, Message):
        return {"code": value.code, "values": {name: _plain(item) for name, item in value.values.items()}}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _message(value: Any) -> Any:
    """Return plain containers as `_plain` gave them with their messages."""
    if isinstance(value, dict):
        return Message(str(value["code"]), **{name: _message(item) for name, item in value["values"].items()})
    return [_message(item) for item in value] if isinstance(value, list) else value
