"""`ziffern compare`: a page and a table of finished runs."""

from collections.abc import Sequence
from pathlib import Path

from ziffern.cli.terminal import chosen_language
from ziffern.errors import InputError
from ziffern.runs.comparison import Comparison, make_comparison
from ziffern.runs.folders import find_runs


def compare(folders: Sequence[str], output: Path | None, language: str, margin: float) -> Comparison:
    """Print a table of runs, write a page, and return the comparison.

    Args:
        folders: Run folders, sweep folders, or patterns of them.
        output: The page; if None, comparison.html in the only sweep folder, or else in the working directory.
        language: en or de.
        margin: By how much a larger model must be better to be recommended, in [0, 1).

    Raises:
        InputError: Fewer than two runs, a folder that is not a run, or a changed or damaged file in one.
    """
    from ziffern.cli.comparison_table import print_comparison
    from ziffern.report.comparison_page import write_comparison

    words = chosen_language(language)
    if not 0 <= margin < 1:
        raise InputError("cli.margin.out_of_range", value=f"{100 * margin:g}")
    if output is not None and output.is_dir():
        raise InputError("cli.output.folder", path=output)
    comparison = make_comparison(find_runs(folders), margin)
    if output is None:
        single = Path(folders[0])
        is_sweep = len(folders) == 1 and single.is_dir()
        output = single / "comparison.html" if is_sweep else Path("comparison.html")
    write_comparison(comparison, output, words)
    print_comparison(comparison, output, words)
    return comparison
