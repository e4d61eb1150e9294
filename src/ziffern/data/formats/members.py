"""Files by relative path, the common interface of all readers; and those in a ZIP. Folders are in `folders`.

Decisions: a member is read only when it is needed, so that a wrong path costs no memory; paths are in Unicode's
composed form (NFC), since the same name may be written in two ways; an empty folder is a member whose path ends with a
slash, since it may be a class; names in messages pass `one_line`, since those in a foreign archive may contain line
breaks or terminal codes.

A ZIP is read in memory, without extracting to disk: its whole directory is checked before the first byte is unpacked;
only "stored" and "deflate" are accepted, because Python cannot limit the output of other methods; a bomb is detected by
comparing the declared sizes, which zipfile never exceeds, to the archive's size on disk, which overlapping members
cannot fake.
"""

import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular, reading
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line, reason

MAX_BYTES = 4 * 2**30
MAX_FILES = 2_000_000
DATA = re.compile(
    r".*(\.(png|jpe?g|bmp|gif|tiff?|p[bgpn]m|webp|csv|tsv|txt|npz|gz)|-ubyte|\.idx[13]-ubyte)", re.IGNORECASE
)
SYSTEM_FILES = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
FREE_BYTES = 100 * 10**6  # smaller content may have any ratio: zeros compress 1000 : 1
MAX_RATIO = 100
ENCRYPTED = 0x2041  # the flags of ordinary, strong and directory encryption
CLIMBS = re.compile(r"^$|^/|^[A-Za-z]:|\x00|(^|/)\.\.(/|$)")
MAX_NAME, MAX_PATH = 255, 4096  # characters, as in file systems; the patterns of readers need much longer for more
LONG_NAME = re.compile(f"[^/]{{{MAX_NAME + 1}}}")
NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".npz")


@dataclass(frozen=True, slots=True)  # of which there may be a million
class Member:
    """One file; `read` returns its content, or raises InputError."""

    label: str  # its name in messages; one printable line
    size: int  # in bytes, as the folder or the archive declares it
    read: Callable[[], bytes]
    packed: int = 0  # in bytes, in an archive; 0 outside of one


Members = dict[str, Member]  # POSIX path below the folder or ZIP → file; or an empty folder, if it ends with a slash


def is_ignored(path: str) -> bool:
    """Return whether a path is hidden, or a file that an operating system creates by itself."""
    return any(part.startswith(".") or part.lower() in SYSTEM_FILES for part in PurePosixPath(path).parts)


@contextmanager
def open_zip(path: Path) -> Iterator[Members]:
    """Yield the files of a ZIP by path, without the ignored ones; they can only be read inside the `with` block.

    Raises:
        InputError: The file is unreadable, not a ZIP, or damaged; a path leads out of the archive; a member is a link,
            encrypted, listed twice or compressed by a rare method; or unpacking would exhaust memory.
    """
    with reading(path):
        file = open_regular(path, MAX_BYTES)
    with file, open_zip_file(file, one_line(path)) as members:
        yield members


@contextmanager
def open_zip_file(file: BinaryIO, label: str, max_bytes: int = MAX_BYTES) -> Iterator[Members]:
    """Yield the files of an open ZIP of at most `max_bytes` unpacked, called `label` in messages; see `open_zip`."""
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # zipfile leaks struct, Unicode and other errors for damaged directories
        why: object = Message("data.archive.no_zip") if "not a zip file" in str(error) else reason(error)
        raise InputError("data.archive.damaged", path=label, reason=why) from None
    with archive:
        infos = archive.infolist()
        size = file.seek(0, os.SEEK_END)
        refuse_bomb(sum(info.file_size for info in infos), size, label, max_bytes)
        if len(infos) > MAX_FILES:
            raise InputError("data.archive.too_many", path=label, members=len(infos), limit=MAX_FILES)
        members: Members = {}
        for info in infos:
            where = f"{label}:{one_line(info.orig_filename)}"
            _check(info, where)
            path = unicodedata.normalize("NFC", PurePosixPath(_with_slashes(info.filename)).as_posix())
            if is_ignored(path):
                continue
            if info.is_dir() or info.filename.endswith("\\"):
                path += "/"
            if path in members:
                raise InputError("data.archive.twice", path=where)
            members[path] = Member(
                where, info.file_size, partial(_read_member, archive, info, where), min(info.compress_size, size)
            )
        yield _without_filled(members)


def _without_filled(members: Members) -> Members:
    """Return the members without the folders that contain others; paths of parents are not kept, for the memory."""
    empty = {path for path in members if path.endswith("/")}
    for path in members if empty else ():
        end = path.rstrip("/").rfind("/")
        while end > 0:
            empty.discard(path[: end + 1])
            end = path.rfind("/", 0, end)
    return {path: member for path, member in members.items() if not path.endswith("/") or path in empty}


def refuse_bomb(declared: int, packed: int, label: str, max_bytes: int = MAX_BYTES) -> None:
    """Check that `packed` bytes may be unpacked to `declared` bytes.

    Raises:
        InputError: More than `max_bytes`, or more than 100 MB at a ratio above 100.
    """
    if declared > max_bytes:
        raise InputError("data.archive.too_large", path=label, size=declared, limit=max_bytes)
    if declared > FREE_BYTES and declared > MAX_RATIO * packed:
        ratio = round(declared / max(packed, 1))
        raise InputError("data.archive.bomb", path=label, size=declared, ratio=ratio, limit=MAX_RATIO)


def refuse_nested(members: Members) -> None:
    """Check that no member is itself an archive.

    Raises:
        InputError: One is, judged by its name.
    """
    for path, member in members.items():
        if path.lower().endswith(NESTED):
            raise InputError("data.archive.nested", path=member.label)


def _check(info: zipfile.ZipInfo, where: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    problems = {
        "climbs": CLIMBS.search(_with_slashes(info.orig_filename)),
        "long": len(info.orig_filename) > MAX_PATH or LONG_NAME.search(_with_slashes(info.orig_filename)),
        "link": kind == stat.S_IFLNK,
        "special": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "encrypted": info.flag_bits & ENCRYPTED,
        "method": info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
    }
    for problem, exists in problems.items():
        if exists:
            raise InputError(f"data.archive.{problem}", path=where, method=info.compress_type, limit=MAX_NAME)


def _with_slashes(name: str) -> str:
    """Return a path in an archive; PowerShell wrote backslashes."""
    return name.replace("\\", "/")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> bytes:
    try:
        raw = archive.read(info)
    except Exception as error:  # zlib, struct, EOF, CRC and OS errors alike: this member is damaged
        raise InputError("data.archive.member_damaged", path=where, reason=reason(error)) from None
    if len(raw) != info.file_size:
        raise InputError("data.archive.cut", path=where, size=len(raw), declared=info.file_size)
    return raw
