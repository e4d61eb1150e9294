"""Read the user's own data set: detect its format, read it, number its classes, and prepare its pictures.

Decisions: the format follows from the files, never from an option; two formats at once are an error, because silently
preferring one would hide half of the data; a data set may be inside one or two wrapper folders, as in most archives;
nothing is written, unpacked to disk or unpickled; whatever is assumed or left out is a note of the data set.
"""

import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ziffern.data.classes import number_classes
from ziffern.data.content import PARTS, Content, Reading, join
from ziffern.data.dataset import LabeledImages
from ziffern.data.formats.arrays import find_arrays, find_npz, read_inner_npz, read_npz
from ziffern.data.formats.folders import file_member, folder_members
from ziffern.data.formats.idx import find_idx, read_idx_files
from ziffern.data.formats.layout import below, part_of
from ziffern.data.formats.members import Members, open_zip
from ziffern.data.formats.pictures import PictureFiles, has_pictures, read_pictures
from ziffern.data.formats.tables import find_tables, read_tables
from ziffern.data.orientation import upright
from ziffern.data.preparation import prepared
from ziffern.data.spec import Shape
from ziffern.errors import InputError
from ziffern.files.untrusted import reading as access
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

ACCEPTED = Message("data.local.accepted")
AUTOMATIC = Reading()
MAX_WRAPPERS = 2
TABLES = (".csv", ".tsv", ".txt")
# How messages name a format, what finds its files among the members, and what reads them.
FORMATS: tuple[tuple[str, Callable[[Members], object], Callable[[Members, Reading, str], Content]], ...] = (
    ("train/", has_pictures, read_pictures),
    ("*.csv", find_tables, read_tables),
    ("*-ubyte", find_idx, read_idx_files),
    ("*.npz", find_npz, read_inner_npz),
    ("*.npy", find_arrays, read_npz),
)


def read_local(path: Path, reading: Reading = AUTOMATIC) -> LabeledImages:
    """Return the data set at a path: a folder, a .zip, a .csv or a .npz; its name is the path's stem.

    Without other parts, all images are training images. They are in the order of the file, or of the sorted paths.

    Raises:
        InputError: The path is missing, unreadable or not in an accepted format, or its content is damaged, dangerous
            or of another shape.
    """
    label = one_line(path)
    if reading.transpose and reading.image:
        reading = replace(reading, image=_turned(reading.image))  # in the files, rows are columns
    with access(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
            raise InputError("data.local.missing", path=path, accepted=ACCEPTED) from None
    name = one_line(path.stem if path.stem not in ("", "..") else path.resolve().stem) or "local"
    suffix = path.suffix.lower() if stat.S_ISREG(mode) else ""
    inner = Path(path.stem)
    if suffix == ".gz" and inner.suffix.lower() in TABLES:
        suffix, name = inner.suffix.lower(), one_line(inner.stem)
    if stat.S_ISDIR(mode):
        return _data_set(name, _read_members(folder_members(path), reading, label), reading, label)
    if suffix in TABLES:
        return _data_set(name, read_tables({path.name: file_member(path, 0)}, reading, label), reading, label)
    if suffix not in (".npz", ".zip"):
        raise InputError("data.local.unknown", path=path, accepted=ACCEPTED)
    with open_zip(path) as members:
        if suffix == ".npz":
            _check_column(reading, label)
        read = read_npz if suffix == ".npz" else _read_members
        return _data_set(name, read(members, reading, label), reading, label)


def _data_set(name: str, content: Content, reading: Reading, label: str) -> LabeledImages:
    full = {part: found for part, found in content.parts.items() if part == "train" or len(found.labels)}
    empty = [Message("data.note.empty_part", part=Message(f"data.part.{part}")) for part in content.parts.keys() - full]
    files, class_names, notes = number_classes(full, content.classes, reading.num_classes)
    parts, more, prepare = prepared(files, reading, label)
    parts, turned = upright(parts, class_names, reading.transpose, label)
    image = reading.image
    if turned and image and image[1] != image[2]:  # rows become columns
        if reading.transpose is None and reading.prepare != "none":
            parts, more, prepare = prepared(files, replace(reading, image=_turned(image)), label)
            parts, _ = upright(parts, class_names, True, label)
        elif reading.transpose:
            image = _turned(image)
    whole = join(name, parts, class_names, image, [*content.notes, *empty, *notes, *more, *turned])
    return replace(whole, prepare=prepare, names=_file_names([full[part].images for part in PARTS if part in full]))


def _file_names(parts: Sequence[object]) -> tuple[str, ...]:
    """Return the names of picture files; none if some images are not pictures in files."""
    files = [part for part in parts if isinstance(part, PictureFiles)]
    names = [each.name(place) for each in files for place in range(len(each))] if len(files) == len(parts) else []
    return tuple(re.split(r"[/\\:]", name)[-1] for name in names)


def _turned(image: Shape) -> Shape:
    return image[0], image[2], image[1]


def _check_column(reading: Reading, label: str) -> None:
    """Refuse `data.label_column` for other data than tables."""
    if reading.label_column is not None:
        raise InputError("data.local.label_column", path=label)


def _outside(members: Members, folder: str) -> list[Message]:
    """Return a note if there are files outside the folder of the data set, or its name is that of a part."""
    left_out = sorted(path for path in members if not path.startswith(folder))
    if left_out:
        return [Message("data.note.outside", folder=folder, count=len(left_out), example=left_out[0])]
    return [Message("data.note.only_folder", folder=folder)] if any(map(part_of, folder.split("/"))) else []


def _read_members(members: Members, reading: Reading, label: str) -> Content:
    """Read the only data set at the top level or, if there is none, in one of the folders."""
    candidates = {"": members}
    for _ in range(MAX_WRAPPERS + 1):
        sets = [
            (name, files[0] if isinstance(files, list) else form, read, inner)
            for name, inner in candidates.items()
            for form, find, read in FORMATS
            if (files := find(inner))
        ]
        if len(sets) > 1:
            names = ", ".join(f"{name}{form}" for name, form, _, _ in sets)
            raise InputError("data.local.several", path=label, sets=len(sets), names=names)
        for name, _, read, inner in sets:
            if read is not read_tables:
                _check_column(reading, label)
            content = read(inner, reading, label)
            return replace(content, notes=(*_outside(members, name), *content.notes))
        candidates = {
            f"{name}{folder}/": files for name, inner in candidates.items() for folder, files in below(inner)[0].items()
        }
    examples = sorted(members)[:3] or Message("data.local.no_file")
    raise InputError("data.local.none", path=label, files=examples, accepted=ACCEPTED)
