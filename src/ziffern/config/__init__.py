"""From YAML to checked objects."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from ziffern.text.catalog import Message


def conf_folder() -> Path:
    """Return the folder of the configuration: the wheel's copy, or the checkout's `conf/`."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def suggestion(word: str, known: Iterable[str]) -> Message | str:
    """Return "; did you mean X?" for the known word closest to a misspelled one, or an empty string."""
    names = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return Message("config.near", name=names[0]) if names else ""
