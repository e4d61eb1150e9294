"""Messages by code, in each language.

Decisions: a message is a code and its values, so it is translated by lookup and never by parsing English; the catalogs
are YAML files with the same keys and placeholders in every language (checked by a test); most values are foreign text,
so each is made printable when it is inserted; `{size}` formats a number for Hydra, as in the override
`data.batch_size=1000`, and `{count:n}` for people.
"""

from errno import errorcode
from numbers import Number
from pathlib import Path, PurePath

from ziffern.text.language import Language, terminal_language
from ziffern.text.printable import one_line, printable, reason

CATALOGS = Path(__file__).with_name("errors")


class Message:
    """A message; `str` returns it in the terminal's language, `in_language` in any other.

    Args:
        code: Its dotted name in the catalogs.
        values: Values of its placeholders: text, paths, numbers, lists of these, other messages, or errors; an error
            of the operating system is shown as its reason, without a path.
    """

    def __init__(self, code: str, /, **values: object) -> None:
        self.code, self.values = code, values

    def __str__(self) -> str:
        return self.in_language(terminal_language.get())

    def in_language(self, language: str) -> str:
        """Return the text in `language`, on one printable line.

        Raises:
            LookupError: The code is not in the catalog, or a placeholder has no value.
        """
        texts = Language(language, CATALOGS)
        return texts(self.code, **{name: _shown(value, language) for name, value in self.values.items()})


def os_reason(error: OSError) -> Message | str:
    """Return the reason of an operating system's error, without a path; its own text if the catalogs lack it."""
    code = f"files.system.{errorcode.get(error.errno or 0)}"
    return Message(code) if code in Language("en", CATALOGS) else error.strerror or str(error) or type(error).__name__


def _shown(value: object, language: str) -> object:
    """Return a value for a placeholder: a number, or printable text."""
    message = getattr(value, "message", None)  # of an InputError
    shown: object
    match message if isinstance(message, Message) else value:
        case Message() as message:
            shown = message.in_language(language)
        case OSError() as error:
            shown = _shown(os_reason(error), language)
        case Exception() as error:
            shown = reason(error)
        case bool():
            shown = str(value).lower()
        case Number():
            shown = value
        case list() | tuple() as items:
            shown = ", ".join(str(_shown(item, language)) for item in items)
        case PurePath():
            shown = printable(value)  # never shortened, so that it can be copied
        case _:
            shown = one_line(value)
    return shown
