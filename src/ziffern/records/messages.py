"""Messages in metrics.json: as English text and as a code, so that a report can show them in its own language.

Decisions: a code in a run folder is looked up in the catalogs like any other; if it is unknown or its values do not
fit, the English text is shown; format strings come from our catalogs alone, never from a run folder.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ziffern.text.catalog import Message


def recorded(key: str, message: Message | str | None) -> dict[str, Any]:
    """Return the entries of metrics.json for a message, such as `data/note`; the text is empty for None."""
    if not isinstance(message, Message):
        return {key: message or ""}
    return {key: message.in_language("en"), f"{key}_message": _plain(message)}


def message_text(record: Mapping[str, Any], key: str, language: str) -> str:
    """Return a recorded message in a language, in English if an earlier version recorded it; empty if there is none."""
    english = str(record.get(key, ""))
    try:
        message = _message(record.get(f"{key}_message"))
        return message.in_language(language) if english and isinstance(message, Message) else english
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):  # codes and values are untrusted
        return english


def recorded_list(key: str, messages: Sequence[Message]) -> dict[str, Any]:
    """Return the entries of metrics.json for a list of messages, such as `data/notes`."""
    return {key: [message.in_language("en") for message in messages], f"{key}_message": _plain(messages)}


def message_texts(record: Mapping[str, Any], key: str, language: str) -> list[str]:
    """Return a recorded list of messages in a language."""
    texts, messages = record.get(key) or [], record.get(f"{key}_message") or []
    pairs = zip(texts, [*messages, *[None] * len(texts)], strict=False)
    return [message_text({key: text, f"{key}_message": message}, key, language) for text, message in pairs]


def _plain(value: Any) -> Any:
    """Return a message and its values as plain containers."""
    value = getattr(value, "message", value)  # of an InputError
    if isinstance(value, Message):
        return {"code": value.code, "values": {name: _plain(item) for name, item in value.values.items()}}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _message(value: Any) -> Any:
    """Return the messages and values that `_plain` turned into plain containers."""
    if isinstance(value, dict):
        return Message(str(value["code"]), **{name: _message(item) for name, item in value["values"].items()})
    return [_message(item) for item in value] if isinstance(value, list) else value
