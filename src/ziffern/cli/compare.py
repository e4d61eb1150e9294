"""`ziffern compare`: a page and a table of finished runs."""

from collections.abc import Sequence
from pathlib import Path

from ziffern.cli.languages import chosen_language
from ziffern.errors import InputError
from ziffern.runs.comparison import Comparison, make_comparison
from ziffern.runs.folders import find_runs


def compare(folders: Sequence[str], output: Path | None, language: str, margin: float) -> Comparison:
    """Print a table of runs, write the page, and return what was found.

    Args:
        folders: Run folders, sweep folders, or patterns of them.
        output: The page; where None, comparison.html in the one sweep folder given, or in the working directory.
        language: en or de.
        margin: A share: how much better a larger model must be.

    Raises:
        InputError: Fewer than two runs, a folder that is none, or a file in one was changed or is damaged.
    """
    from ziffern.cli.comparison_table import print_comparison
    from ziffern.report.comparison_page import write_comparison

    words = chosen_language(language)
    if not 0 <= margin < 1:
        raise InputError(f"--margin {100 * margin:g}: must be at least 0 and below 100 percentage points")
    if output is not None and output.is_dir():
        raise InputError(f"--output {output}: this is a folder: name a file in it")
    comparison = make_comparison(find_runs(folders), margin)
    if output is None:
        single = Path(folders[0])
        is_sweep = len(folders) == 1 and single.is_dir()
        output = single / "comparison.html" if is_sweep else Path("comparison.html")
    write_comparison(comparison, output, words)
    print_comparison(comparison, output, words)
    return comparison
