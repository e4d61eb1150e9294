"""Find picture files in folders per class, and decode them.

Decisions: images are in the order of the sorted paths, the same on every machine; pictures are decoded one by one when
they are prepared, since photos of full size would not fit into memory; a picture's size is read from its header before
its pixels are decoded, as a guard against decompression bombs; a file in a class folder with the name of a picture that
is none is an error, and whatever else is not used is counted in a note.
"""

import io
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ziffern.data.content import PARTS, Content, Part, Reading
from ziffern.data.formats.layout import below, part_of
from ziffern.data.formats.members import Member, Members, refuse_bomb, refuse_nested
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import reason

FORMATS = ("PNG", "JPEG", "MPO", "BMP", "GIF", "TIFF", "PPM", "WEBP")  # MPO: photos of many phones
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".webp", ""}
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by the number of channels
MAX_FILE = 2**26  # bytes of a picture file
MAX_PIXELS = 2**27  # of a picture

Classes = dict[str, Members]  # the files of each class folder


class PictureFiles(Sequence[NDArray[np.uint8]]):
    """Picture files, each decoded when it is taken: (H, W) or (C, H, W) uint8.

    Args:
        members: The files.
        channels: 1, 3 or 4.

    Raises:
        InputError: From `[]`: a file is too large, not a picture, or damaged.
    """

    def __init__(self, members: Sequence[Member], channels: int = 1) -> None:
        self.members, self.channels = members, channels

    def __len__(self) -> int:
        return len(self.members)

    @overload
    def __getitem__(self, place: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, place: slice) -> "PictureFiles": ...
    def __getitem__(self, place: int | slice) -> "NDArray[np.uint8] | PictureFiles":
        if isinstance(place, slice):
            return PictureFiles(self.members[place], self.channels)
        return _decode(self.members[place], self.channels)


def has_pictures(members: Members) -> bool:
    """Return whether there are pictures in class folders of a training part."""
    return bool(_find(members).get("train"))


def read_pictures(members: Members, reading: Reading, label: str) -> Content:
    """Return the parts that have pictures in class folders; a class folder's name is the label of all files in it.

    The parts are train/<class>/<file>, likewise val/ and test/; or <class>/<file> without parts.

    Raises:
        InputError: `data.image` has other channels than pictures have, or there is an archive in a class folder.
    """
    channels = reading.shape[0]
    if channels not in MODES:
        raise InputError("data.picture.channels", image=str(list(reading.shape)))
    parts, used = {}, set()
    found = _find(members)
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
    unused = [path for path, member in members.items() if id(member) not in used and not path.endswith("/")]
    notes = [Message("data.note.left_out", count=len(unused), example=min(unused))] if unused else []
    return Content(parts, names, tuple(notes))


def _is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in SUFFIXES and path[-1:] not in ("", "/")


def _find(members: Members) -> dict[str, Classes]:
    """Return the class folders of each part that has any, in the order of PARTS."""
    folders, _ = below(members)
    parts: defaultdict[str, Members] = defaultdict(dict)
    for name, inner in folders.items():
        if part := part_of(name):
            parts[part] |= inner
    if "train" not in parts:
        classes = {name: inner for name, inner in folders.items() if _has_direct_pictures(inner) or set(inner) == {""}}
        is_labeled = len(classes) > 1 or any(map(str.isdigit, classes))
        return {"train": classes} if is_labeled and any(map(_has_direct_pictures, classes.values())) else {}
    found = {part: below(_unwrapped(parts[part]))[0] for part in PARTS if part in parts}
    return {part: classes for part, classes in found.items() if any(map(_has_pictures, classes.values()))}


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


def _decode(member: Member, channels: int) -> NDArray[np.uint8]:
    if member.size > MAX_FILE:
        raise InputError("data.picture.too_large", path=member.label, size=member.size, limit=MAX_FILE)
    raw = member.read()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns about odd headers; the checks here suffice
            with Image.open(io.BytesIO(raw), formats=FORMATS) as picture:
                _check_size(picture, len(raw), member.label)
                return _levels(ImageOps.exif_transpose(picture), channels)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("data.picture.none", path=member.label, known=FORMATS) from None
    except Exception as error:  # each of PIL's decoders has errors of its own for broken data
        raise InputError("data.picture.damaged", path=member.label, reason=reason(error)) from None


def _check_size(picture: Image.Image, packed: int, label: str) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InputError("data.picture.pixels", path=label, width=width, height=height, limit=MAX_PIXELS)
    refuse_bomb(width * height * len(MODES[4]), packed, label)


def _levels(picture: Image.Image, channels: int) -> NDArray[np.uint8]:
    """Return the pixels as (H, W), or (C, H, W) in color; transparent becomes black."""
    mode = MODES[channels]
    if picture.has_transparency_data and mode != "RGBA":
        whole = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", whole.size, "black"), whole)
    pixels = np.array(picture.convert(mode))  # (H, W) or (H, W, C)
    return pixels if channels == 1 else pixels.transpose(2, 0, 1)
