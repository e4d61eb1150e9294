"""Read IDX files, the format of MNIST, plain or compressed by gzip.

Decisions: gzip is recognized by its first bytes, because downloads lose their suffix; no more is unpacked than the
header declares plus one byte, so that a decompression bomb does no harm; a file must contain exactly what its header
declares, since a truncated download would otherwise pass as a smaller data set. Format: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import io
import math
import re
import struct

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Content, Part, Reading
from ziffern.data.formats.members import MAX_BYTES, Member, Members, refuse_bomb
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import reason

UBYTE = 0x08
MAX_ITEMS = 10_000_000
FILE_NAME = re.compile(
    r"(?P<folder>(?:MNIST/)?(?:raw/)?)(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(?:\.gz)?"
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


def find_idx(members: Members) -> dict[str, Member]:
    """Return the IDX files among members under train_images, train_labels, test_images and test_labels.

    They may be at the top, in raw/ or in MNIST/raw/; the first of these folders that has any is used, and a plain file
    is preferred to its .gz. Roles without a file are omitted.
    """
    matches = [(match, path) for path in members if (match := FILE_NAME.fullmatch(path))]
    files: dict[str, Member] = {}
    top = min((len(match["folder"]) for match, _ in matches), default=0)
    for match, path in sorted(matches, key=lambda pair: pair[1], reverse=True):  # reverse: the plain file wins
        if len(match["folder"]) == top:
            part = "train" if match["part"] == "train" else "test"
            files[f"{part}_{match['kind']}"] = members[path]
    return files


def read_idx_files(members: Members, _reading: Reading, label: str) -> Content:
    """Return the training part and, if it has files, the test part, from the files that `find_idx` finds.

    Raises:
        InputError: As `read_idx_pair`; or one file of a pair is missing.
    """
    files = find_idx(members)
    parts = ["train", "test"] if any(role.startswith("test") for role in files) else ["train"]
    for role in [f"{part}_{kind}" for part in parts for kind in ("images", "labels")]:
        if role not in files:
            raise InputError("data.idx.missing", path=label, role=Message(f"data.idx.{role}"))
    return Content({part: read_idx_pair(files[f"{part}_images"], files[f"{part}_labels"]) for part in parts})
