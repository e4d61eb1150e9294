"""What a sweep prints: a line for each job that ends, and on a terminal one that shows what runs."""

import math
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from hydra_study.errors import printable

LARGE, HUGE = 1e3, 1e15  # whole numbers in this range are written with thousands separators


class Progress:
    """Prints the progress of a sweep.

    Args:
        total: The number of jobs, and how many of them have ended before.
        folder: The sweep folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.slots, self.left = folder, 1, 0
        self._is_shown, self._started = False, time.monotonic()
        self._ended, self._seconds = 0, 0.0
        self._out: TextIO | None = None  # print's own

    def watch(self) -> None:
        """Keep the terminal, if this is one: the output of a job in this process is redirected meanwhile."""
        if sys.stdout.isatty():
            self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w")

    def print(self, line: str) -> None:
        """Print a line."""
        self._clear()
        print("\n".join(map(printable, line.split("\n"))), file=self._out, flush=True)

    def running(self, jobs: dict[int, float]) -> None:
        """Show on a terminal which jobs run, and for how many seconds; the next line replaces this one."""
        if self._out is None or not jobs:
            return
        shown = ", ".join(f"{number} ({clock(seconds)})" for number, seconds in sorted(jobs.items()))
        width = shutil.get_terminal_size().columns - 1
        text = f"running: {shown}{self.eta(max(jobs.values()))}"
        print(f"\r{text[:width]:<{width}}", end="", file=self._out, flush=True)
        self._is_shown = True

    def _clear(self) -> None:
        if self._is_shown:
            print(f"\r{'':<{shutil.get_terminal_size().columns - 1}}\r", end="", file=self._out, flush=True)
            self._is_shown = False

    def job(self, parts: list[str], seconds: float, left: int, total: int) -> None:
        """Print how one job ended, and the progress of the sweep."""
        self._ended, self._seconds, self.left = self._ended + 1, self._seconds + seconds, left
        parts = [*parts, f"{total - left}/{total}{self.eta()}"]
        self.print("  ".join(part for part in parts if part))

    def eta(self, past: float = 0.0) -> str:
        """Return how long the sweep still takes, from the jobs that have ended in this launch; empty if unknown."""
        if not self._ended or not self.left:
            return ""
        each = self._seconds / self._ended
        waves = math.ceil(self.left / max(1, self.slots))
        return f", about {clock(max(0.0, waves * each - past))} left"


def numbers(values: list[float], names: list[str]) -> str:
    """Return scores as people read them, with their names if there are several."""
    texts = [f"{v:,.0f}" if v.is_integer() and LARGE <= abs(v) < HUGE else f"{v:.5g}" for v in values]
    if len(texts) == 1:
        return texts[0]
    return "  ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))


def shown(params: dict[str, Any], full: bool = False) -> str:
    """Return parameters as name=value, without the path of each name unless `full`."""
    text = " ".join(
        f"{name if full else name.rpartition('.')[2]}={f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in params.items()
    )
    return printable(text)


def clock(seconds: float) -> str:
    """Return 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def hint(text: str | None, folder: Path) -> str:
    """Return the application's own last line, with the folder quoted for a shell."""
    return f"  {text.replace('{folder}', shlex.quote(str(folder)))}" if text else ""
