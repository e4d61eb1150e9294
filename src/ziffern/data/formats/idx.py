"""Read IDX files, the format of MNIST, plain or compressed by gzip.

Decisions: the files are recognized by their names, as MNIST, EMNIST and other people write them, at the top, in raw/,
or each in a folder of its own, as 7-Zip unpacks them; what is left of a name is the name of a data set, and only one is
accepted; gzip is recognized by its first bytes, because downloads lose their suffix; no more is unpacked than the
header declares plus one byte, so that a decompression bomb does no harm; a file must contain exactly what its header
declares, since a truncated download would otherwise pass as a smaller data set. Format: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import io
import math
import re
import struct
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import PARTS, Content, Part, Reading
from ziffern.data.formats.layout import part_of
from ziffern.data.formats.members import MAX_BYTES, Member, Members, refuse_bomb
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import reason

UBYTE = 0x08
MAX_ITEMS = 10_000_000
FILE_NAME = re.compile(
    r"(?P<stem>.*?)[-_. ]*(?P<kind>images|labels)[-_. ]*(?:idx[13][-_. ]*ubyte|idx[13]|ubyte)(?:\.gz)?", re.IGNORECASE
)


def read_idx(raw: bytes, name: str, ndim: int) -> NDArray[np.uint8]:
    """Return the array in an IDX file of unsigned bytes, plain or gzip; messages name it by `name`.

    It has `ndim` axes: 3 for images (N, rows, columns), 1 for labels (N,).

    Raises:
        InputError: The magic number is not 0x08 with `ndim` axes; the header declares more than 10 million
            items or 4 GiB; there are too few or too many bytes; or the gzip stream is damaged.
    """
    is_packed = raw.startswith(b"\x1f\x8b")
    stream = gzip.GzipFile(fileobj=io.BytesIO(raw)) if is_packed else io.BytesIO(raw)

    def read(size: int) -> bytes:
        try:
            return stream.read(size)
        except Exception as error:  # gzip, zlib, EOF and struct errors alike
            raise InputError("data.idx.gzip", path=name, reason=reason(error)) from None

    magic, length = bytes([0, 0, UBYTE, ndim]), 4 + 4 * ndim
    header = read(length)
    if not header.startswith(magic):
        raise InputError("data.idx.magic", path=name, start=header[:4].hex(), magic=magic.hex())
    if len(header) != length:
        raise InputError("data.idx.header", path=name, size=len(header), expected=length)
    shape = struct.unpack(f">{ndim}I", header[4:])
    if shape[0] > MAX_ITEMS:
        raise InputError("data.idx.items", path=name, items=shape[0], limit=MAX_ITEMS)
    size = math.prod(shape)
    if is_packed:
        refuse_bomb(size, len(raw), name)
    content = read(min(size, MAX_BYTES) + 1)  # a damaged header may declare 2**96
    if len(content) != size:
        code = "data.idx.too_long" if len(content) > size else "data.idx.cut"
        raise InputError(code, path=name, size=len(content), declared=size)
    return np.frombuffer(content, np.uint8).reshape(shape)


def read_idx_pair(images: Member, labels: Member) -> Part:
    """Return a part from its file of images and its file of labels.

    Raises:
        InputError: As `read_idx`; or the counts differ.
    """
    pixels = read_idx(images.read(), images.label, ndim=3)  # (N, H, W)
    classes = read_idx(labels.read(), labels.label, ndim=1)  # (N,)
    if len(pixels) != len(classes):
        raise InputError("data.idx.counts", path=labels.label, labels=len(classes), images=len(pixels))
    return Part(pixels, classes, labels.label)


def find_idx(members: Members) -> dict[str, dict[str, list[str]]]:
    """Return the paths of IDX files by data set and by role, such as train_images or val_labels; the best path first.

    They may be at the top or in raw/, directly or in one folder per file or part. The shortest path is the best, and a
    plain file is better than its .gz. The name of MNIST's own files is "".
    """
    files: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(members, key=lambda path: (path.count("/"), path.lower().endswith(".gz"), path)):
        *folders, name = path.removeprefix("raw/").split("/")
        match = FILE_NAME.fullmatch(name)
        if match and (not folders or (len(folders) == 1 and _belongs(folders[0]))):
            part = part_of(match["stem"]) or (part_of(folders[0]) if folders else None) or "train"
            files[_set_name(match["stem"])][f"{part}_{match['kind'].lower()}"].append(path)
    return {name: dict(roles) for name, roles in files.items()}


def _belongs(folder: str) -> bool:
    """Return whether a folder has the name of a file or of a part."""
    return part_of(folder) is not None or re.search("images|labels", folder, re.IGNORECASE) is not None


def _set_name(stem: str) -> str:
    """Return the words of a name that are not the name of a part."""
    return " ".join(word for word in re.findall(r"[a-z0-9]+", stem.lower()) if part_of(word) is None)


def read_idx_files(members: Members, _reading: Reading, label: str) -> Content:
    """Return the parts of the only data set among the files that `find_idx` finds.

    Raises:
        InputError: As `read_idx_pair`; there are two data sets, or one file of a pair is missing.
    """
    sets = find_idx(members)
    if len(sets) > 1:
        examples = [min(min(paths) for paths in roles.values()) for roles in sets.values()]
        raise InputError("data.idx.sets", path=label, sets=len(sets), examples=examples)
    (roles,) = sets.values()
    best = {role: paths[0] for role, paths in roles.items()}
    parts = [part for part in PARTS if part == "train" or any(role.startswith(part) for role in best)]
    for part in parts:
        for kind in ("images", "labels"):
            if f"{part}_{kind}" not in best:
                raise InputError("data.idx.missing", path=label, role=Message(f"data.idx.{part}_{kind}"))
    unused = sorted(path for path in members.keys() - set(best.values()) if not path.endswith("/"))
    notes = [Message("data.note.files_left_out", count=len(unused), example=unused[0])] if unused else []
    pairs = {part: (members[best[f"{part}_images"]], members[best[f"{part}_labels"]]) for part in parts}
    return Content({part: read_idx_pair(*pair) for part, pair in pairs.items()}, notes=tuple(notes))
