"""Exceptions that mean "the input is at fault, not the program".

An `InputError` carries a code and values; the catalogs in `ziffern/text/errors` have its one line, which names the
value, the limit and the fix, in each language. The command line prints that line without a traceback and exits with 2;
in a notebook it is an ordinary exception.
"""

from ziffern.text.catalog import Message


class InputError(ValueError):
    """A value from the user cannot be used; the message says which, why, and what to do.

    Args:
        code: The message's dotted name in the catalogs, such as `data.batch_size.too_small`.
        values: What its placeholders stand for (`ziffern.text.catalog.Message`).
    """

    def __init__(self, code: str, /, **values: object) -> None:
        super().__init__(code, values)  # so that it can be pickled
        self.message = Message(code, **values)

    @property
    def code(self) -> str:
        """The message's dotted name in the catalogs."""
        return self.message.code

    def __str__(self) -> str:
        return str(self.message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message.code, self.message.values)


def _rebuild(kind: type[InputError], code: str, values: dict[str, object]) -> InputError:
    return kind(code, **values)


class DivergedError(InputError):
    """The loss became non-finite; in a search this is a pruned trial, and no reason to stop."""


class OutputError(OSError):
    """One of our own files could not be written; `filename` is that file, `errno` and `strerror` say why."""
