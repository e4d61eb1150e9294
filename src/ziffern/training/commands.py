"""Paths and programs as they are typed in the working directory."""

import shlex
import shutil
import sys
from pathlib import Path

from ziffern.text.printable import printable


def relative(path: Path) -> str:
    """Return a path relative to the working directory where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def quoted(path: Path) -> str:
    """Return a path as `relative` does, quoted for a shell, with escapes in place of unprintable characters."""
    return printable(shlex.quote(relative(path)))


def program(name: str) -> str:
    """Return how a program of this environment is called from the working directory."""
    here = Path(sys.executable).with_name(name)
    on_path = shutil.which(name)
    return name if on_path and Path(on_path).parent == here.parent else relative(here)
