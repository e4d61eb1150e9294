"""Imports heavy packages without the garbage collector."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Pause the garbage collector while torch and Lightning are imported for the first time in this process.

    Modules live until the process ends, so searching their 750,000 objects for garbage is in vain. It takes a fifth of
    the time of the imports, and 0.6 s again when the interpreter exits, unless the objects are frozen: the collector
    then never looks at what exists when this block ends.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
