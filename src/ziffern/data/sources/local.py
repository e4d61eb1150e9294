"""Read the user's own data set: detect its format and call the reader of that format.

Decisions: the format follows from the files, never from an option; two formats at once are an error, because silently
preferring one would hide half of the data; a data set may be inside one wrapper folder, as in most archives; nothing is
written, unpacked to disk or unpickled.
"""

import stat
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ziffern.data.dataset import LabeledImages
from ziffern.data.formats.archive import open_zip
from ziffern.data.formats.arrays import read_npz
from ziffern.data.formats.idx import find_idx, read_idx_files
from ziffern.data.formats.members import LABEL, Members, file_member, folder_members
from ziffern.data.formats.pictures import has_pictures, read_pictures
from ziffern.data.formats.tables import has_labels, read_csv
from ziffern.data.parts import Part, join, numbered
from ziffern.data.spec import MNIST_SHAPE, Shape
from ziffern.errors import InputError
from ziffern.files.untrusted import unreadable
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

ACCEPTED = Message("data.local.accepted")
TRAIN_TABLES = ("train.csv", "mnist_train.csv")
TEST_TABLES = ("test.csv", "mnist_test.csv")  # Kaggle's has no labels, and is ignored
Content = tuple[Part, Part | None, tuple[str, ...]]  # training part, test part, class names


class Expected(NamedTuple):
    """The user's settings: the number of classes, and the shape that images are converted to, if any."""

    num_classes: int
    image: Shape | None


Form = Callable[[Members, Expected, str], Content]


def read_local(path: Path, num_classes: int = 10, image: Shape | None = None) -> LabeledImages:
    """Return the data set at a path: a folder, a .zip, a .csv or a .npz; its name is the path's stem.

    Without a test part, all images are training images. They are in the order of the file, or of the sorted paths.

    Args:
        path: The file or folder.
        num_classes: Labels run from 0 to num_classes - 1.
        image: Channels, height and width that images are converted to; None requires 1×28×28.

    Raises:
        InputError: The path is missing, unreadable or not in an accepted format, or its content is damaged, dangerous
            or of another shape.
    """
    label = one_line(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        raise InputError("data.local.missing", path=path, accepted=ACCEPTED) from None
    except OSError as error:
        raise unreadable(label, error) from None
    reader = READERS.get("folder" if stat.S_ISDIR(mode) else path.suffix.lower())
    if reader is None or not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise InputError("data.local.unknown", path=path, accepted=ACCEPTED)
    return join(_name(path), *reader(path, Expected(num_classes, image)), image)


def _name(path: Path) -> str:
    return one_line(path.stem if path.stem not in ("", "..") else path.resolve().stem) or "local"


def _read_folder(path: Path, expected: Expected) -> Content:
    return _read_members(folder_members(path), expected, one_line(path))


def _read_zip(path: Path, expected: Expected) -> Content:
    with open_zip(path) as members:
        return _read_members(members, expected, one_line(path))


def _read_npz_file(path: Path, expected: Expected) -> Content:
    with open_zip(path) as members:
        return *read_npz(members, expected.num_classes, one_line(path)), numbered(expected.num_classes)


def _read_csv_file(path: Path, expected: Expected) -> Content:
    part = read_csv(file_member(path, 0), expected.num_classes, expected.image or MNIST_SHAPE)
    return part, None, numbered(expected.num_classes)


READERS: dict[str, Callable[[Path, Expected], Content]] = {
    "folder": _read_folder,
    ".zip": _read_zip,
    ".npz": _read_npz_file,
    ".csv": _read_csv_file,
}


def _read_members(members: Members, expected: Expected, label: str) -> Content:
    """Read the only data set at the top level or, if there is none, in one of the top folders."""
    for folders in ({"": members}, _wrapped(members)):
        known = {name: inner if name == "test/" else _with_train(inner) for name, inner in folders.items()}
        sets = [(name, form, inner) for name, inner in known.items() for form in _forms(inner)]
        if len(sets) > 1:
            names = ", ".join(f"{name}{FORMS[form]}" for name, form, _ in sets)
            raise InputError("data.local.several", path=label, sets=len(sets), names=names)
        for _, form, inner in sets:
            return form(inner, expected, label)
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


def _forms(members: Members) -> list[Form]:
    """Return the readers that find data among the members."""
    finders = {_read_picture_parts: has_pictures, _read_tables: _find_tables, _read_idx_parts: find_idx}
    return [form for form, find in finders.items() if find(members)]


def _find_tables(members: Members) -> list[str]:
    return [path for path in TRAIN_TABLES if path in members]


def _read_tables(members: Members, expected: Expected, label: str) -> Content:
    shape = expected.image or MNIST_SHAPE
    train, *more = _find_tables(members)
    test = [path for path in TEST_TABLES if path in members and has_labels(members[path], shape)]
    if more or len(test) > 1:
        first, second = TRAIN_TABLES if more else TEST_TABLES
        raise InputError("data.local.tables", path=label, first=first, second=second)
    train_part, *test_part = [read_csv(members[name], expected.num_classes, shape) for name in (train, *test)]
    return train_part, test_part[0] if test else None, numbered(expected.num_classes)


def _read_idx_parts(members: Members, expected: Expected, label: str) -> Content:
    return *read_idx_files(find_idx(members), expected.num_classes, label), numbered(expected.num_classes)


def _read_picture_parts(members: Members, expected: Expected, _label: str) -> Content:
    return read_pictures(members, expected.num_classes, expected.image)


FORMS: dict[Form, str] = {
    _read_picture_parts: "train/",
    _read_tables: "train.csv",
    _read_idx_parts: "*-ubyte",
}
