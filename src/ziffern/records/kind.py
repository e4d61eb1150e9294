"""The kind of a folder: a search or a run."""

from pathlib import Path

from ziffern.errors import InputError
from ziffern.files.untrusted import read_text

MAX_MULTIRUN = 2**20  # bytes of multirun.yaml


def is_search(folder: Path) -> bool:
    """Return whether this is the folder of a search for settings, which contains its trials."""
    try:
        return "OptunaQueueSweeper" in read_text(folder / "multirun.yaml", MAX_MULTIRUN)
    except (OSError, InputError):
        return False
