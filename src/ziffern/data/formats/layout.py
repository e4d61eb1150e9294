"""Recognize the parts of a data set by the names of folders and files.

Decisions: other people's names are read as a person would: `training`, `Train`, `mnist_train` and `x_train` are all the
training part; a name that fits two parts or none is no part.
"""

import re
from collections import defaultdict

from ziffern.data.formats.members import Member, Members

NAMES = {
    "train": ("train", "training", "trainset", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev", "valset"),
    "test": ("test", "testing", "testset", "tst"),
}


def part_of(name: str) -> str | None:
    """Return `train`, `val` or `test` for a name of a folder or file that contains such a word, else None."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()
    words = set(re.findall(r"[a-z]+", spaced.replace("t10k", " test ")))
    parts = [part for part, names in NAMES.items() if words & set(names)]
    return parts[0] if len(parts) == 1 else None


def below(members: Members) -> tuple[dict[str, Members], Members]:
    """Return, for each top folder, its files by their paths below it; and the files that are in none."""
    folders: defaultdict[str, Members] = defaultdict(dict)
    files: dict[str, Member] = {}
    for path, member in members.items():
        top, slash, rest = path.partition("/")
        if slash:
            folders[top][rest] = member
        else:
            files[path] = member
    return dict(sorted(folders.items())), files
