"""Errors that the user can fix, shown on one line."""

from hydra.errors import CompactHydraException


class SweepError(CompactHydraException):
    """A wrong setting of the sweep, or the reason it ended; Hydra prints it without a traceback."""

    def __init__(self, message: object) -> None:
        super().__init__(printable(" ".join(str(message).split())))


def printable(text: object) -> str:
    r"""Return the text with escapes such as `\x1b` in place of everything unprintable, line breaks included.

    A study may come from anyone, and its texts must not control the terminal.
    """
    shown = str(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
