"""Output that no terminal can break."""

import io
import sys


def readable_streams() -> None:
    """Write a character that the terminal lacks as a question mark: it is no reason to lose a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
