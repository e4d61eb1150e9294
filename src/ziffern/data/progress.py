"""A progress bar for loops over pictures that take long."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from ziffern.machine.processes import is_first
from ziffern.text.catalog import Message

Item = TypeVar("Item")
PATIENCE = 2.0  # seconds before a bar appears


def watched(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield the items; on an interactive terminal, show a bar with the remaining time after two seconds."""
    start, bar, task = time.monotonic(), None, None
    try:
        for place, item in enumerate(items):
            yield item
            if bar is None and time.monotonic() - start > PATIENCE and sys.stderr.isatty() and is_first():
                from rich.console import Console
                from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

                columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
                bar = Progress(*columns, console=Console(stderr=True), transient=True)
                task = bar.add_task(str(Message("data.progress.pictures")), total=count)
                bar.start()
            if bar is not None and task is not None:
                bar.update(task, completed=place + 1)
    finally:
        if bar is not None:
            bar.stop()
