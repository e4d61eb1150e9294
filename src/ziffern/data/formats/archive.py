"""Read a ZIP's members in memory, never extracting one to disk, and refuse whatever could do harm.

Decisions: the whole directory is checked before the first byte is unpacked; only "stored" and "deflate"
are accepted, because Python caps the output of no other method; a bomb is judged by the declared sizes,
which zipfile never exceeds, against the archive's own size on disk, which overlapping members cannot fake.
"""

import os
import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ziffern.data.formats.members import MAX_BYTES, MAX_FILES, Member, Members, is_ignored, unreadable
from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular
from ziffern.text.printable import one_line

FREE_BYTES = 100 * 10**6  # below this no ratio is suspicious: a sheet of zeros packs 1000 : 1
MAX_RATIO = 100
ENCRYPTED = 0x2041  # the flags of ordinary, strong and directory encryption
CLIMBS = re.compile(r"^$|^/|^[A-Za-z]:|\\|\x00|(^|/)\.\.(/|$)")
NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".npz")


@contextmanager
def open_zip(path: Path) -> Iterator[Members]:
    """Yield a ZIP's files by path, without the ignored ones; they can be read inside the `with` only.

    Raises:
        InputError: The file is unreadable, no ZIP or damaged; a name climbs out of the archive; a member is
            a link, encrypted, listed twice or packed in a rare way; or unpacking would exhaust the memory.
    """
    label = one_line(path)
    try:
        file = open_regular(path, MAX_BYTES)
    except OSError as error:
        raise unreadable(label, error) from None
    with file, open_zip_file(file, label) as members:
        yield members


@contextmanager
def open_zip_file(file: BinaryIO, label: str, max_bytes: int = MAX_BYTES) -> Iterator[Members]:
    """Yield the files of an open ZIP that messages call `label`, unpacking to `max_bytes` at most; see `open_zip`."""
    with _open_archive(file, label) as archive:
        size = os.fstat(file.fileno()).st_size
        refuse_bomb(sum(info.file_size for info in archive.infolist()), size, label, max_bytes)
        yield _members(archive, label)


def refuse_bomb(declared: int, packed: int, label: str, max_bytes: int = MAX_BYTES) -> None:
    """Check that content of `declared` bytes may be unpacked from `packed` bytes.

    Raises:
        InputError: More than `max_bytes`, or more than 100 MB at a ratio above 100.
    """
    if declared > max_bytes:
        raise InputError(
            f"{label}: would unpack to {declared:,} bytes, at most {max_bytes:,} fit: give a smaller data set"
        )
    if declared > FREE_BYTES and declared > MAX_RATIO * packed:
        ratio = f"{declared / max(packed, 1):,.0f} times its size"
        raise InputError(
            f"{label}: would unpack to {declared:,} bytes, {ratio}, at most {MAX_RATIO} times are allowed "
            "(a ZIP bomb?): unpack it yourself if you trust it, and give the folder"
        )


def refuse_nested(members: Members) -> None:
    """Check that no member is an archive itself.

    Raises:
        InputError: One is, judged by its name.
    """
    for path, member in members.items():
        if path.lower().endswith(NESTED):
            raise InputError(f"{member.label}: is an archive inside the data, none may be: unpack it there first")


def _open_archive(file: BinaryIO, label: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except Exception as error:  # zipfile leaks struct, Unicode and other errors for damaged directories
        reason = one_line(error) or type(error).__name__
        raise InputError(f"{label}: is no ZIP, or damaged ({reason}): download or pack it again") from None


def _members(archive: zipfile.ZipFile, label: str) -> Members:
    infos = archive.infolist()
    if len(infos) > MAX_FILES:
        raise InputError(f"{label}: has {len(infos):,} members, at most {MAX_FILES:,} are allowed: pack fewer files")
    members: Members = {}
    for info in infos:
        where = f"{label}:{one_line(info.orig_filename)}"
        _check(info, where)
        path = PurePosixPath(info.filename).as_posix()
        if info.is_dir() or is_ignored(path):
            continue
        if path in members:
            raise InputError(f"{where}: is listed twice, a path may occur once: pack the archive again")
        members[path] = Member(where, info.file_size, partial(_read, archive, info, where))
    return members


def _check(info: zipfile.ZipInfo, where: str) -> None:
    if CLIMBS.search(info.orig_filename):
        raise InputError(f"{where}: leads out of the archive, paths must be relative and use /: pack it again")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise InputError(f"{where}: is a symbolic link, only files are allowed: pack the file itself")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{where}: is a device or pipe, only files are allowed: pack it again without it")
    if info.flag_bits & ENCRYPTED:
        raise InputError(f"{where}: is encrypted, none may be: pack the archive again without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(
            f"{where}: is packed with method {info.compress_type}, only 0 (stored) and 8 (deflate) are "
            "allowed: pack the archive again as an ordinary ZIP"
        )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> bytes:
    try:
        raw = archive.read(info)
    except Exception as error:  # zlib, struct, EOF, CRC and OS errors alike: this member is damaged
        reason = one_line(error) or type(error).__name__
        raise InputError(f"{where}: is damaged ({reason}): download or pack the archive again") from None
    if len(raw) != info.file_size:
        raise InputError(f"{where}: has {len(raw)} of {info.file_size} bytes: download or pack the archive again")
    return raw
