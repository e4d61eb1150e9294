"""The known name closest to a misspelled one."""

import difflib
from collections.abc import Iterable

from ziffern.text.catalog import Message

CUTOFF = 0.5  # of difflib's similarity, from 0 to 1


def suggestion(word: str, known: Iterable[str]) -> Message | str:
    """Return "; did you mean X?" for the known word closest to `word`, or an empty string."""
    names = difflib.get_close_matches(word, list(known), n=1, cutoff=CUTOFF)
    return Message("config.near", name=names[0]) if names else ""
