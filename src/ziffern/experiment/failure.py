"""One-line error messages, and the exit code 2.

Decision: a line begins with `error:` in every language, since programs that start runs look for it.
"""

import errno
import sys
from pathlib import Path
from typing import NoReturn

from ziffern.errors import OutputError
from ziffern.machine.processes import is_first
from ziffern.text.catalog import Message, os_reason
from ziffern.text.printable import printable

FULL = (errno.ENOSPC, errno.EDQUOT)
WRITING = (*FULL, errno.EFBIG, errno.EROFS)  # reading never raises these
ENVIRONMENT = (  # the machine or the user's files are at fault, not the program
    *(*WRITING, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EMFILE, errno.ENFILE),
)


def describe(error: OSError, elsewhere: str, is_output: bool = False) -> Message:
    """Return a message that names the file that could not be read or written, the reason, and the fix.

    Args:
        error: The exception.
        elsewhere: The setting that chooses another place, such as hydra.run.dir=FOLDER.
        is_output: Whether the file is known to be one of our own outputs.
    """
    is_output = is_output or isinstance(error, OutputError) or error.errno in WRITING
    kind = "too_large" if error.errno == errno.EFBIG else "full" if error.errno in FULL else "write"
    unnamed = Message("experiment.system.some_output" if is_output else "experiment.system.some_file")
    return Message(
        f"experiment.system.{kind if is_output else 'read'}",
        file=Path(str(error.filename)) if error.filename else unnamed,
        reason=os_reason(error),
        elsewhere=elsewhere,
    )


def fail(message: object) -> NoReturn:
    """Print one line to standard error and exit with 2; of several processes only the first one prints."""
    if is_first():
        complain(message)
    raise SystemExit(2) from (message if isinstance(message, Exception) else None)


def complain(message: object) -> None:
    """Print one line to standard error."""
    print(f"error: {printable(' '.join(str(message).split()))}", file=sys.stderr, flush=True)
