"""Output that fails on no terminal."""

import io
import sys


def readable_streams() -> None:
    """Write a question mark for a character that the terminal lacks: it must not end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
