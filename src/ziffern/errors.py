"""Exceptions for errors in the input, not in the program.

An `InputError` carries a code and values; the catalogs in `ziffern/text/errors` have its one-line message, with the
value, the limit and the fix, in each language. The command line prints that line without a traceback and exits with 2;
in a notebook it is an ordinary exception.
"""

from ziffern.text.catalog import Message


class InputError(ValueError):
    """The user's input cannot be used; the message names the value, the limit and the fix.

    Args:
        code: The message's dotted name in the catalogs, such as `data.batch_size.too_small`.
        values: Values of its placeholders (`ziffern.text.catalog.Message`).
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

    def __repr__(self) -> str:  # which hydra.utils.instantiate shows
        return f"{type(self).__name__}: {self}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message.code, self.message.values)


def _rebuild(kind: type[InputError], code: str, values: dict[str, object]) -> InputError:
    return kind(code, **values)


class DivergedError(InputError):
    """The loss became non-finite; in a search, the trial is pruned and the search goes on."""


class OutputError(OSError):
    """A file of this program could not be written; `filename`, `errno` and `strerror` are set."""
