"""The one exception that means "the input is at fault, not the program".

Whoever raises it writes one line that names the value, the limit and the fix. The command line prints
that line without a traceback and exits with 2; in a notebook it is an ordinary exception.
"""


class InputError(ValueError):
    """A value that the user gave cannot be used; the message says which, why, and what to do."""


class OutputError(OSError):
    """A file of ours could not be written; `filename` is that file, `errno` and `strerror` say why."""


class DivergedError(InputError):
    """The training left the numbers; in a search this is a bad trial, and no reason to stop."""
