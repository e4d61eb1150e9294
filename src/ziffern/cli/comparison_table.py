"""The comparison of several recipes as a table in the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ziffern.report.comparison_page import PAIR_COLUMNS, advice, lines, notes, pair_row
from ziffern.text.language import Language

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ziffern.runs.comparison import Comparison

MAX_WIDTH = 1000  # characters of a table


def print_comparison(comparison: "Comparison", path: Path, t: Language) -> None:
    """Print the tables, notes and advice of the page at `path`."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    rows = lines(comparison, t)
    table = _table(list(zip(*rows, strict=True)))  # one column per model
    _print_whole(console, table if _width(console, table) <= console.width else _table(rows))
    if comparison.pairs:
        names = [t(f"compare.pairs.{name}") for name in PAIR_COLUMNS]
        _print_whole(console, _table([names, *(pair_row(pair, comparison, t) for pair in comparison.pairs)]))
    for note in notes(comparison, t):
        console.print(Text(f"{t('compare.note')}: {note}", style="bold yellow"), soft_wrap=True)
    for line in advice(comparison, t):
        console.print(Text(line), soft_wrap=True)
    console.print(Text(f"\n{path}"), soft_wrap=True)


def _table(lines: Sequence[Sequence[str]]) -> "Table":
    """Return lines of cells as a table; the first line is its head."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(lines[0]):
        table.add_column(Text(name), justify="right" if place else "left", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*map(Text, line))
    return table


def _width(console: "Console", table: "Table") -> int:
    return console.measure(table, options=console.options.update(max_width=MAX_WIDTH)).maximum


def _print_whole(console: "Console", table: "Table") -> None:
    """Print a table at its full width: a narrower terminal wraps it, and nothing is truncated."""
    from rich.console import Console

    Console(width=max(_width(console, table), console.width), highlight=False).print(table, crop=False)
