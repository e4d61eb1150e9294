"""`ziffern compare`: a page and a table of finished runs."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ziffern.cli.terminal import chosen_language
from ziffern.errors import InputError
from ziffern.report.comparison_page import PAIR_COLUMNS, advice, lines, page_context, pair_row
from ziffern.report.page import write_page
from ziffern.runs.comparison import Comparison, make_comparison
from ziffern.runs.run import find_runs
from ziffern.text.language import Language

MAX_WIDTH = 1000  # characters of a table


def compare(
    folders: Sequence[str], output: Path | None, language: str, margin: float, with_speed: bool = False
) -> Comparison:
    """Print a table of runs, write a page, and return the comparison.

    Args:
        folders: Run folders, sweep folders, or patterns of them.
        output: The page; if None, comparison.html in the only sweep folder, or else in the working directory.
        language: en or de.
        margin: By how much a larger model must be better to be recommended, in [0, 1).
        with_speed: Also measure the models' size and speed, which takes some seconds.

    Raises:
        InputError: Fewer than two runs, a folder that is not a run, or a changed or damaged file in one.
    """
    t = chosen_language(language)
    if not 0 <= margin < 1:
        raise InputError("cli.margin.out_of_range", value=f"{100 * margin:g}")
    if output is not None and output.is_dir():
        raise InputError("cli.output.folder", path=output)
    comparison = make_comparison(find_runs(folders), margin, with_speed)
    if output is None:
        is_sweep = len(folders) == 1 and Path(folders[0]).is_dir()
        output = Path(folders[0] if is_sweep else "") / "comparison.html"
    write_page(output, "comparison.html", t, page_context(comparison, t))
    _print(comparison, output, t)
    return comparison


def _print(comparison: Comparison, path: Path, t: Language) -> None:
    """Print the tables, notes and advice of the page at `path`; a narrower terminal wraps lines, nothing is cut off."""
    console = Console(width=MAX_WIDTH, highlight=False)
    rows = lines(comparison, t)
    table = _table(list(zip(*rows, strict=True)))  # one column per model
    console.print(table if console.measure(table).maximum <= Console().width else _table(rows))
    if comparison.pairs:
        names = [t(f"compare.pairs.{name}") for name in PAIR_COLUMNS]
        console.print(_table([names, *(pair_row(pair, comparison, t) for pair in comparison.pairs)]))
    for note in comparison.notes:
        console.print(Text(f"{t('compare.note')}: {note.in_language(t.code)}", style="bold yellow"), soft_wrap=True)
    for line in [*advice(comparison, t), f"\n{path}"]:
        console.print(Text(line), soft_wrap=True)


def _table(lines: Sequence[Sequence[str]]) -> Table:
    """Return lines of cells as a table; the first line is its head."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(lines[0]):
        table.add_column(Text(name), justify="right" if place else "left", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*map(Text, line))
    return table
