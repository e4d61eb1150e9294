"""A progress bar for loops over pictures that take long."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ziffern.machine.processes import is_first
from ziffern.text.catalog import Message

Item = TypeVar("Item")
PATIENCE = 2.0  # seconds before a bar appears


def watched(
    items: Iterable[Item],
    count: int | None,
    size: Callable[[Item], int] = lambda _: 1,
    code: str = "data.progress.pictures",
) -> Iterator[Item]:
    """Yield the items; on an interactive terminal, show a bar with the remaining time after two seconds.

    Args:
        items: Pictures, or groups of them.
        count: How many pictures there are; None if that is unknown, as is the remaining time.
        size: How many pictures an item is.
        code: The message beside the bar.
    """
    start, bar, task, done = time.monotonic(), None, None, 0
    try:
        for item in items:
            yield item
            done += size(item)
            if bar is None and time.monotonic() - start > PATIENCE and sys.stderr.isatty() and is_first():
                from rich.console import Console
                from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

                columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
                bar = Progress(*columns, console=Console(stderr=True), transient=True)
                task = bar.add_task(str(Message(code)), total=count)
                bar.start()
            if bar is not None and task is not None:
                bar.update(task, completed=done)
    finally:
        if bar is not None:
            bar.stop()
