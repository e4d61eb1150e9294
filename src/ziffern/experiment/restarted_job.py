"""What SLURM finds when it restarts a job: runs that were finished before, which the job's script starts again.

Decision: such a run ends at once with the exit code 0, so that the script reaches its next command; without a restart,
a folder that holds a finished run is refused.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from ziffern.experiment.run_folder import JOB, RECORD, has_overrides


def is_restarted() -> bool:
    """Return whether SLURM has restarted the job of this process."""
    count = os.environ.get("SLURM_RESTART_COUNT", "")
    return count.isdecimal() and int(count) > 0


def is_finished_run(folder: Path, overrides: Sequence[str]) -> bool:
    """Return whether a folder holds the finished run of these overrides."""
    return (folder / RECORD[0]).is_file() and has_overrides(folder, overrides)


def is_finished_multirun(folder: Path, subdir: str, overrides: Sequence[str]) -> bool:
    """Return whether all runs of a multirun, other than a search, are finished.

    Args:
        folder: The folder of the multirun.
        subdir: The setting `hydra.sweep.subdir`.
        overrides: Those of the multirun.
    """
    runs = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(list(overrides)), None)[0]
    names = [subdir.replace(" ", "").replace(JOB, str(number)) for number in range(len(runs))]
    return all(is_finished_run(folder / name, run) for name, run in zip(names, runs, strict=True))
