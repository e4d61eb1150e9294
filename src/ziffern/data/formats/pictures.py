"""Find picture files in folders per class, and decode them.

Decisions: images are in the order of the sorted paths, the same on every machine; pictures are decoded one by one when
they are prepared, since photos of full size would not fit into memory; a file in a class folder with the name of a
picture that is none is an error, and whatever else is not used is counted in a note.
"""

from collections import defaultdict
from collections.abc import Container, Sequence
from pathlib import PurePosixPath
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import PARTS, Content, Part, Reading
from ziffern.data.formats.decoding import MODES, decode
from ziffern.data.formats.layout import below, part_of
from ziffern.data.formats.members import Member, Members, refuse_nested
from ziffern.data.spec import as_setting
from ziffern.errors import InputError
from ziffern.text.catalog import Message

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".webp", ""}

CONTACT_SHEET = "contact-sheet.png"  # which `ziffern prepare` writes beside the parts
UNLABELED = "data.note.unlabeled_folder"

Classes = dict[str, Members]  # the files of each class folder


class PictureFiles(Sequence[NDArray[np.uint8]]):
    """Picture files, each decoded when it is taken: (H, W) or (C, H, W) uint8.

    Args:
        members: The files.
        channels: 1, 3 or 4.
        enough: How many pixels the longer side of a picture needs at most; None decodes the full size.

    Raises:
        InputError: From `[]`: a file is too large, not a picture, or damaged.
    """

    def __init__(self, members: Sequence[Member], channels: int = 1, enough: int | None = None) -> None:
        self.members, self.channels, self.enough = members, channels, enough
        self.with_more: set[str] = set()  # names of the decoded files that have further frames or pages
        self.with_12_bits: set[str] = set()  # and of those that have 12 of 16 bits

    def __len__(self) -> int:
        return len(self.members)

    @overload
    def __getitem__(self, place: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, place: slice) -> "PictureFiles": ...
    def __getitem__(self, place: int | slice) -> "NDArray[np.uint8] | PictureFiles":
        if isinstance(place, slice):
            return PictureFiles(self.members[place], self.channels, self.enough)
        picture = decode(self.members[place], self.channels, self.enough)
        if picture.has_more:
            self.with_more.add(self.members[place].label)
        if picture.has_12_bits:
            self.with_12_bits.add(self.members[place].label)
        return picture.pixels

    def reduced(self, enough: int) -> "PictureFiles":
        """Return the same files, decoded at a smaller size where that is quicker."""
        files = PictureFiles(self.members, self.channels, enough)
        files.with_more, files.with_12_bits = self.with_more, self.with_12_bits
        return files

    def name(self, place: int) -> str:
        """Return a file's name in messages."""
        return self.members[place].label


def has_pictures(members: Members) -> bool:
    """Return whether there are pictures in class folders of a training part."""
    return "train" in _find(members)[0]


def read_pictures(members: Members, reading: Reading, label: str) -> Content:
    """Return the parts that have pictures in class folders; a class folder's name is the label of all files in it.

    The parts are train/<class>/<file>, likewise val/ and test/; or <class>/<file> without parts.

    Raises:
        InputError: `data.image` has other channels than pictures have, or there is an archive in a class folder.
    """
    channels = reading.shape[0]
    if channels not in MODES:
        raise InputError("data.picture.channels", image=as_setting(reading.shape))
    parts, used = {}, set()
    found, assumed = _find(members)
    for part, classes in found.items():
        files = [(name, path, member) for name, inner in classes.items() for path, member in sorted(inner.items())]
        if not files:
            continue
        refuse_nested({path: member for _, path, member in files})
        pictures = [(name, member) for name, path, member in files if _is_picture(path)]
        used |= {id(member) for _, member in pictures}
        labels = np.array([name for name, _ in pictures], object)
        parts[part] = Part(PictureFiles([member for _, member in pictures], channels), labels, f"{label}/{part}")
    names = tuple(dict.fromkeys(name for classes in found.values() for name in classes))
    noted = tuple(f"{note.values['folder']}/" for note in assumed if note.code == UNLABELED)
    unused = [path for path, member in members.items() if id(member) not in used and not path.endswith("/")]
    unused = [path for path in unused if not path.startswith(noted) and path != CONTACT_SHEET]
    without_class = [path for path in unused if _is_picture(path) and PurePosixPath(path).suffix]
    others = set(unused) - set(without_class)
    groups = {"pictures_left_out": without_class, "left_out": others}
    notes = [Message(f"data.note.{code}", count=len(each), example=min(each)) for code, each in groups.items() if each]
    return Content(parts, names, (*assumed, *notes))


def picture_classes(members: Members) -> dict[int, str]:
    """Return the class of each picture in class folders by the `id` of its member; empty where there are none."""
    parts = _find(members)[0].values()
    return {id(member): name for classes in parts for name, inner in classes.items() for member in inner.values()}


def _is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in SUFFIXES and path[-1:] not in ("", "/")


def _find(members: Members) -> tuple[dict[str, Classes], list[Message]]:
    """Return the class folders of each part that has any, in the order of PARTS, and what was assumed."""
    folders, _ = below(members)
    parts: dict[str, defaultdict[str, Members]] = {part: defaultdict(dict) for part in PARTS}
    for name, inner in folders.items():
        if part := part_of(name):
            for label, files in below(_unwrapped(inner))[0].items():
                parts[part][label] |= {f"{name}/{path}": member for path, member in files.items()}
    found: dict[str, Classes] = {
        part: dict(classes) for part, classes in parts.items() if any(map(_has_pictures, classes.values()))
    }
    if "train" in found:
        return found, []
    classes, notes = _beside_parts(folders, found)
    is_labeled = len(classes) > 1 or any(map(str.isdigit, classes))
    if not is_labeled or not any(map(_has_direct_pictures, classes.values())):
        return {}, []
    if found:
        notes.append(Message("data.note.beside_parts", parts=[f"{part}/" for part in found]))
    return {"train": classes, **found}, notes


def _beside_parts(folders: Classes, found: Container[str]) -> tuple[Classes, list[Message]]:
    """Return the class folders that are in no training part, and notes on folders with the name of a part.

    Such a folder with class folders is in `found`. One with pictures of its own is unlabeled beside two classes; with
    fewer, and if its name is that of a training part, it is a class.
    """
    classes = {name: inner for name, inner in folders.items() if _has_direct_pictures(inner) or set(inner) == {""}}
    classes = {name: inner for name, inner in classes.items() if part_of(name) not in found}
    plain = [name for name in classes if not part_of(name)]
    if not plain or any(part_of(name) == "train" and name not in classes for name in folders):
        return {}, []
    is_enough = len(plain) > 1 or plain[0].isdigit()
    unlabeled = [name for name in classes if is_enough and part_of(name) in ("val", "test")]
    named = [name for name in classes if part_of(name) and name not in unlabeled]
    notes = [Message(UNLABELED, folder=name, count=sum(map(_is_picture, folders[name]))) for name in unlabeled]
    notes += [Message("data.note.part_as_class", folder=name) for name in named]
    return {name: inner for name, inner in classes.items() if name not in unlabeled}, notes


def _has_pictures(members: Members) -> bool:
    return any(map(_is_picture, members))


def _has_direct_pictures(members: Members) -> bool:
    return any("/" not in path and _is_picture(path) for path in members)


def _unwrapped(members: Members) -> Members:
    """Return the members of the only folder, if it has no pictures but folders of pictures."""
    folders, _ = below(members)
    if len(folders) != 1:
        return members
    (inner,) = folders.values()
    return members if _has_direct_pictures(inner) else inner
