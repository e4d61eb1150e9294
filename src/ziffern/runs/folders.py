"""Run folders from the names, sweep folders and patterns of a command line."""

import glob
from collections.abc import Sequence
from pathlib import Path

from ziffern.errors import InputError
from ziffern.records.reader import is_search
from ziffern.runs.run import Run


def find_runs(names: Sequence[str]) -> list[Run]:
    """Return the runs that folders, sweep folders and patterns match, each once, in the given order.

    Raises:
        InputError: A name matches no run, or a search, or there is only one run.
    """
    folders: dict[Path, Path] = {}
    for name in names:
        matches = [Path(name)] if Path(name).exists() else [Path(match) for match in sorted(glob.glob(name))]  # noqa: PTH207
        if searches := [match for match in matches if is_search(match)]:
            raise InputError("runs.folders.search", folder=searches[0])
        runs = [folder for match in matches for folder in _runs_in(match)]
        if not runs:
            raise InputError("runs.folders.none", name=name)
        folders |= {folder.resolve(): folder for folder in runs}
    if len(folders) == 1:
        raise InputError("runs.folders.single", name=names[0])
    return [Run(folder) for folder in folders.values()]


def _runs_in(folder: Path) -> list[Path]:
    def is_run(path: Path) -> bool:
        return (path / ".hydra/config.yaml").is_file() or (path / "metrics.json").is_file()

    if is_run(folder) or not folder.is_dir():
        return [folder] if is_run(folder) else []
    children = [path for path in folder.iterdir() if path.is_dir() and is_run(path)]
    return sorted(children, key=lambda path: (len(path.name), path.name))  # 2 before 10
