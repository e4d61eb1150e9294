"""Read a data set from the user's own disk: recognise its form, and hand it to the reader of that form.

Decisions: the form is told by what is there, never by an option; two forms at once are an error, because
silently preferring one would hide half of the data; a data set may lie below one wrapper folder, as most
archives have one; nothing is ever written, unpacked to disk or unpickled.
"""

import stat
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from ziffern.data.dataset import LabelledImages
from ziffern.data.formats.archive import open_zip
from ziffern.data.formats.arrays import read_npz
from ziffern.data.formats.idx import find_idx, read_idx_files
from ziffern.data.formats.members import LABEL, Members, file_member, folder_members, unreadable
from ziffern.data.formats.pictures import has_pictures, read_pictures
from ziffern.data.formats.tables import has_labels, read_csv
from ziffern.data.parts import Part, join, numbered
from ziffern.errors import InputError
from ziffern.text.printable import one_line

ACCEPTED = (
    "give a folder or ZIP with train/<class>/ (and test/<class>/) or 0/ to 9/ of 28×28 grey pictures, with train.csv "
    "(and test.csv), or with the IDX files; or a .csv of label and 784 pixels; or Keras' mnist.npz"
)
TRAIN_TABLES = ("train.csv", "mnist_train.csv")
TEST_TABLES = ("test.csv", "mnist_test.csv")  # Kaggle's has no labels, and is left out
Found = tuple[Part, Part | None, tuple[str, ...]]  # training part, test part, class names
Form = Callable[[Members, int, str], Found]


def read_local(path: Path, num_classes: int = 10) -> LabelledImages:
    """Return the data set at a path: a folder, a .zip, a .csv or a .npz; its name is the path's stem.

    Without a test part all is training. Images come in the order of the file, or of the sorted paths.

    Raises:
        InputError: The path is missing, unreadable or of no accepted form, or anything in it is damaged,
            dangerous or no digit of 28×28; the message is one line that names the file, the value, the
            limit and the fix.
    """
    label = one_line(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        raise InputError(f"{label}: does not exist: check the path, and {ACCEPTED}") from None
    except OSError as error:
        raise unreadable(label, error) from None
    reader = READERS.get("folder" if stat.S_ISDIR(mode) else path.suffix.lower())
    if reader is None or not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise InputError(f"{label}: is no data set in an accepted form: {ACCEPTED}")
    return join(_name(path), *reader(path, num_classes))


def _name(path: Path) -> str:
    return one_line(path.stem if path.stem not in ("", "..") else path.resolve().stem) or "local"


def _read_folder(path: Path, num_classes: int) -> Found:
    return _read_members(folder_members(path), num_classes, one_line(path))


def _read_zip(path: Path, num_classes: int) -> Found:
    with open_zip(path) as members:
        return _read_members(members, num_classes, one_line(path))


def _read_npz_file(path: Path, num_classes: int) -> Found:
    with open_zip(path) as members:
        return *read_npz(members, num_classes, one_line(path)), numbered(num_classes)


def _read_csv_file(path: Path, num_classes: int) -> Found:
    return read_csv(file_member(path, 0), num_classes), None, numbered(num_classes)


READERS: dict[str, Callable[[Path, int], Found]] = {
    "folder": _read_folder,
    ".zip": _read_zip,
    ".npz": _read_npz_file,
    ".csv": _read_csv_file,
}


def _read_members(members: Members, num_classes: int, label: str) -> Found:
    """Read the one data set that lies at the top or, where none does, below one wrapper folder."""
    for folders in ({"": members}, _wrapped(members)):
        known = {name: inner if name == "test/" else _with_train(inner) for name, inner in folders.items()}
        found = [(name, form, inner) for name, inner in known.items() for form in _forms(inner)]
        if len(found) > 1:
            where = one_line(", ".join(f"{name}{FORMS[form]}" for name, form, _ in found))
            raise InputError(f"{label}: holds {len(found)} data sets ({where}), one is allowed: keep or give one")
        for _, form, inner in found:
            return form(inner, num_classes, label)
    some = one_line(", ".join(sorted(members)[:3]) or "no file")
    raise InputError(f"{label}: holds no data set in an accepted form (but {some}): {ACCEPTED}")


def _with_train(members: Members) -> Members:
    """Return members that are nothing but folders named by a label as those of train/."""
    if members and all(LABEL.fullmatch(path.split("/")[0]) and "/" in path for path in members):
        return {f"train/{path}": member for path, member in members.items()}
    return members


def _wrapped(members: Members) -> dict[str, Members]:
    """Return the members of each folder at the top, by the folder's name and paths below it."""
    folders: defaultdict[str, Members] = defaultdict(dict)
    for path, member in members.items():
        top, slash, rest = path.partition("/")
        if slash:
            folders[f"{top}/"][rest] = member
    return dict(sorted(folders.items()))


def _forms(members: Members) -> list[Form]:
    """Return the readers of the forms that are there."""
    there = {_read_picture_parts: has_pictures, _read_tables: _find_tables, _read_idx_parts: find_idx}
    return [form for form, find in there.items() if find(members)]


def _find_tables(members: Members) -> list[str]:
    return [path for path in TRAIN_TABLES if path in members]


def _read_tables(members: Members, num_classes: int, label: str) -> Found:
    train, *more = _find_tables(members)
    test = [path for path in TEST_TABLES if path in members and has_labels(members[path])]
    if more or len(test) > 1:
        both = " and ".join(TRAIN_TABLES if more else TEST_TABLES)
        raise InputError(f"{label}: holds {both}, one of the two is allowed: remove the other")
    test_part = read_csv(members[test[0]], num_classes) if test else None
    return read_csv(members[train], num_classes), test_part, numbered(num_classes)


def _read_idx_parts(members: Members, num_classes: int, label: str) -> Found:
    return *read_idx_files(find_idx(members), num_classes, label), numbered(num_classes)


def _read_picture_parts(members: Members, num_classes: int, _label: str) -> Found:
    return read_pictures(members, num_classes)


FORMS: dict[Form, str] = {
    _read_picture_parts: "train/",
    _read_tables: "train.csv",
    _read_idx_parts: "IDX files",
}
