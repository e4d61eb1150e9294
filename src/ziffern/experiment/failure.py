"""One-line error messages, and the exit code 2."""

import errno
import sys
from typing import NoReturn

from ziffern.errors import OutputError
from ziffern.machine.processes import is_first
from ziffern.text.printable import printable

FULL = (errno.ENOSPC, errno.EDQUOT)
WRITING = (*FULL, errno.EFBIG, errno.EROFS)  # reading never raises these
ENVIRONMENT = (  # the machine or the user's files are at fault, not the program
    *(*WRITING, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EMFILE, errno.ENFILE),
)


def describe(error: OSError, elsewhere: str, is_output: bool = False) -> str:
    """Return one line that says which file could not be read or written, why, and what to do about it.

    Args:
        error: What happened.
        elsewhere: The setting that writes to another place, such as hydra.run.dir=FOLDER.
        is_output: The file is known to be one of our own outputs.
    """
    why, file = error.strerror or str(error) or type(error).__name__, printable(error.filename or "")
    if not (is_output or isinstance(error, OutputError) or error.errno in WRITING):
        return f"{file or 'a file'}: cannot be read ({why}): check that it is there and may be read"
    fix = f"write elsewhere with {elsewhere}"
    if error.errno in FULL:
        fix = f"free some space, or {fix}"
    if error.errno == errno.EFBIG:
        fix = "raise the limit on the size of files (ulimit -f unlimited)"
    return f"{file or 'an output'}: {why}: {fix}"


def fail(message: str) -> NoReturn:
    """Print one line to standard error and exit with 2; of several processes only the first one prints."""
    if is_first():
        complain(message)
    sys.exit(2)


def complain(message: object) -> None:
    """Print one line to standard error."""
    print(f"error: {printable(' '.join(str(message).split()))}", file=sys.stderr, flush=True)
