"""Read IDX files, the form in which MNIST is published, plain or packed with gzip.

Decisions: gzip is told by its first bytes, because downloads lose their suffix; never is more unpacked than
the header declares plus one byte, so that a bomb costs nothing; a file must hold exactly what its header
says, for a cut download would otherwise pass as a smaller data set. Format: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import io
import math
import re
import struct

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import IMAGE_SIZE
from ziffern.data.formats.archive import refuse_bomb
from ziffern.data.formats.members import MAX_BYTES, Member, Members
from ziffern.data.parts import Part, check_labels
from ziffern.errors import InputError
from ziffern.text.printable import one_line

UBYTE = 0x08
MAX_ITEMS = 10_000_000
AGAIN = "download the file again"
FILE_NAME = re.compile(
    r"(?P<folder>(?:MNIST/)?(?:raw/)?)(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(?:\.gz)?"
)


def read_idx(raw: bytes, name: str, ndim: int) -> NDArray[np.uint8]:
    """Return the array that an IDX file of unsigned bytes holds.

    Args:
        raw: The file's bytes, plain or gzip.
        name: How messages name the file.
        ndim: Its axes: 3 for images (N, rows, columns), 1 for labels (N,).

    Raises:
        InputError: The magic number is not 0x08 with `ndim` axes; the header declares more than 10 million
            items or 4 GiB; bytes are missing or too many; or the gzip stream is damaged.
    """
    if not raw.startswith(b"\x1f\x8b"):
        return _read_stream(io.BytesIO(raw), None, name, ndim)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            return _read_stream(stream, len(raw), name, ndim)
    except InputError:
        raise
    except Exception as error:  # gzip, zlib, EOF and struct errors alike
        raise InputError(f"{name}: the gzip stream is damaged ({one_line(error)}): {AGAIN}") from None


def read_idx_pair(images: Member, labels: Member, num_classes: int) -> Part:
    """Return a part from its file of images and its file of labels.

    Raises:
        InputError: As `read_idx`; or the images are not 28×28, the counts differ, a label is out of range.
    """
    pixels = read_idx(images.read(), images.label, ndim=3)  # (N, 28, 28)
    digits = read_idx(labels.read(), labels.label, ndim=1)  # (N,)
    if pixels.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
        size = f"{pixels.shape[1]}×{pixels.shape[2]}"
        raise InputError(f"{images.label}: images are {size}, expected 28×28: scale them to 28×28")
    if len(pixels) != len(digits):
        raise InputError(
            f"{labels.label}: {len(digits)} labels for {len(pixels)} images, expected as many: "
            "take both files from the same data set"
        )
    return Part(pixels, check_labels(digits, num_classes, labels.label))


def find_idx(members: Members) -> dict[str, Member]:
    """Return the IDX files among members under "train images", "train labels", "test images", "test labels".

    They may lie at the top, in raw/ or in MNIST/raw/; where several folders have some, the first of these
    counts, and an unpacked file before its .gz. Absent ones are absent; no such file at all gives {}.
    """
    matches = [(match, path) for path in members if (match := FILE_NAME.fullmatch(path))]
    found: dict[str, Member] = {}
    top = min((len(match["folder"]) for match, _ in matches), default=0)
    for match, path in sorted(matches, key=lambda pair: pair[1], reverse=True):  # reverse: the plain file wins
        if len(match["folder"]) == top:
            part = "train" if match["part"] == "train" else "test"
            found[f"{part} {match['kind']}"] = members[path]
    return found


def read_idx_files(files: dict[str, Member], num_classes: int, label: str) -> tuple[Part, Part | None]:
    """Return the training part and, where its files are there, the test part, of what `find_idx` found.

    Raises:
        InputError: As `read_idx_pair`; or one file of a pair is missing.
    """
    parts = ["train", "test"] if any(role.startswith("test") for role in files) else ["train"]
    for role in [f"{part} {kind}" for part in parts for kind in ("images", "labels")]:
        if role not in files:
            raise InputError(f"{label}: the IDX file of the {role} is missing, each part needs two: add it")
    train, *test = [read_idx_pair(files[f"{p} images"], files[f"{p} labels"], num_classes) for p in parts]
    return train, test[0] if test else None


def _read_stream(stream: io.BufferedIOBase, packed: int | None, name: str, ndim: int) -> NDArray[np.uint8]:
    shape = _read_shape(stream.read(4 + 4 * ndim), name, ndim)
    size = math.prod(shape)
    if packed is not None:
        refuse_bomb(size, packed, name)
    content = stream.read(min(size, MAX_BYTES) + 1)  # a damaged header may declare 2**96
    if len(content) != size:
        found = f"more than {size:,}" if len(content) > size else f"{len(content):,}"
        raise InputError(f"{name}: {found} bytes follow the header, which declares {size:,}: {AGAIN}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_shape(header: bytes, name: str, ndim: int) -> tuple[int, ...]:
    magic = bytes([0, 0, UBYTE, ndim])
    if not header.startswith(magic):
        raise InputError(f"{name}: starts with 0x{header[:4].hex()}, expected 0x{magic.hex()} (IDX): {AGAIN}")
    if len(header) != 4 + 4 * ndim:
        raise InputError(f"{name}: the header has {len(header)} bytes, expected {4 + 4 * ndim}: {AGAIN}")
    shape = struct.unpack(f">{ndim}I", header[4:])
    if shape[0] > MAX_ITEMS:
        raise InputError(f"{name}: declares {shape[0]:,} items, at most {MAX_ITEMS:,} are allowed: {AGAIN}")
    return shape
