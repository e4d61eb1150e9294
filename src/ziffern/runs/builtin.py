"""The trained model that the package carries: a run folder without its data (`scripts/make_builtin.py`)."""

from importlib.resources import files
from pathlib import Path

BUILTIN = "builtin"  # its name on the command line and in Python
FOLDER = Path(str(files("ziffern"))) / BUILTIN


def find_run(name: str) -> Path:
    """Return the folder of a run: the packaged one for BUILTIN, unless a folder of that name exists, or the path."""
    path = Path(name).expanduser()
    return FOLDER if name == BUILTIN and not path.exists() else path
