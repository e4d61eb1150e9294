"""Read the user's own data set: detect its format and call the reader of that format.

Decisions: the format follows from the files, never from an option; two formats at once are an error, because silently
preferring one would hide half of the data; a data set may be inside one wrapper folder, as in most archives; nothing is
written, unpacked to disk or unpickled.
"""

import stat
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from ziffern.data.dataset import Content, LabeledImages, join
from ziffern.data.formats.arrays import read_npz
from ziffern.data.formats.idx import find_idx, read_idx_files
from ziffern.data.formats.members import LABEL, Members, file_member, folder_members, open_zip
from ziffern.data.formats.pictures import has_pictures, read_pictures
from ziffern.data.formats.tables import TRAIN_TABLES, find_tables, read_tables
from ziffern.data.spec import Shape
from ziffern.errors import InputError
from ziffern.files.untrusted import reading
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

ACCEPTED = Message("data.local.accepted")
# How messages name a format, what finds its files among the members, and what reads them.
FORMATS: tuple[tuple[str, Callable[[Members], object], Callable[[Members, int, Shape | None, str], Content]], ...] = (
    ("train/", has_pictures, read_pictures),
    ("train.csv", find_tables, read_tables),
    ("*-ubyte", find_idx, read_idx_files),
)


def read_local(path: Path, num_classes: int = 10, image: Shape | None = None) -> LabeledImages:
    """Return the data set at a path: a folder, a .zip, a .csv or a .npz; its name is the path's stem.

    Without a test part, all images are training images. They are in the order of the file, or of the sorted paths, and
    are converted to the shape `image`; None requires 1×28×28. Labels run from 0 to num_classes - 1.

    Raises:
        InputError: The path is missing, unreadable or not in an accepted format, or its content is damaged, dangerous
            or of another shape.
    """
    label = one_line(path)
    with reading(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
            raise InputError("data.local.missing", path=path, accepted=ACCEPTED) from None
    suffix = path.suffix.lower() if stat.S_ISREG(mode) else ""
    if stat.S_ISDIR(mode):
        content = _read_members(folder_members(path), num_classes, image, label)
    elif suffix == ".csv":
        content = read_tables({TRAIN_TABLES[0]: file_member(path, 0)}, num_classes, image, label)
    elif suffix in (".npz", ".zip"):
        with open_zip(path) as members:
            read = read_npz if suffix == ".npz" else _read_members
            content = read(members, num_classes, image, label)
    else:
        raise InputError("data.local.unknown", path=path, accepted=ACCEPTED)
    name = path.stem if path.stem not in ("", "..") else path.resolve().stem
    return join(one_line(name) or "local", *content, image)


def _read_members(members: Members, num_classes: int, image: Shape | None, label: str) -> Content:
    """Read the only data set at the top level or, if there is none, in one of the top folders."""
    for folders in ({"": members}, _wrapped(members)):
        known = {name: inner if name == "test/" else _with_train(inner) for name, inner in folders.items()}
        sets = [
            (f"{name}{form}", read, inner)
            for name, inner in known.items()
            for form, find, read in FORMATS
            if find(inner)
        ]
        if len(sets) > 1:
            names = ", ".join(name for name, _, _ in sets)
            raise InputError("data.local.several", path=label, sets=len(sets), names=names)
        for _, read, inner in sets:
            return read(inner, num_classes, image, label)
    examples = sorted(members)[:3] or Message("data.local.no_file")
    raise InputError("data.local.none", path=label, files=examples, accepted=ACCEPTED)


def _with_train(members: Members) -> Members:
    """Return members under train/ if all are in folders named by labels, else unchanged."""
    if members and all(LABEL.fullmatch(path.split("/")[0]) and "/" in path for path in members):
        return {f"train/{path}": member for path, member in members.items()}
    return members


def _wrapped(members: Members) -> dict[str, Members]:
    """Return, for each top folder, its members by their paths below it."""
    folders: defaultdict[str, Members] = defaultdict(dict)
    for path, member in members.items():
        top, slash, rest = path.partition("/")
        if slash:
            folders[f"{top}/"][rest] = member
    return dict(sorted(folders.items()))
