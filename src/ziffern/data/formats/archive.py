"""Read the members of a ZIP in memory, without extracting to disk, and refuse harmful archives.

Decisions: the whole directory is checked before the first byte is unpacked; only "stored" and "deflate" are accepted,
because Python cannot limit the output of other methods; a bomb is detected by comparing the declared sizes, which
zipfile never exceeds, to the archive's size on disk, which overlapping members cannot fake.
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

from ziffern.data.formats.members import MAX_BYTES, MAX_FILES, Member, Members, is_ignored
from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular, reading
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line, reason

FREE_BYTES = 100 * 10**6  # smaller content may have any ratio: zeros compress 1000 : 1
MAX_RATIO = 100
ENCRYPTED = 0x2041  # the flags of ordinary, strong and directory encryption
CLIMBS = re.compile(r"^$|^/|^[A-Za-z]:|\\|\x00|(^|/)\.\.(/|$)")
NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".npz")


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
        refuse_bomb(sum(info.file_size for info in infos), os.fstat(file.fileno()).st_size, label, max_bytes)
        if len(infos) > MAX_FILES:
            raise InputError("data.archive.too_many", path=label, members=len(infos), limit=MAX_FILES)
        members: Members = {}
        for info in infos:
            where = f"{label}:{one_line(info.orig_filename)}"
            _check(info, where)
            path = PurePosixPath(info.filename).as_posix()
            if info.is_dir() or is_ignored(path):
                continue
            if path in members:
                raise InputError("data.archive.twice", path=where)
            members[path] = Member(where, info.file_size, partial(_read, archive, info, where))
        yield members


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
    if CLIMBS.search(info.orig_filename):
        raise InputError("data.archive.climbs", path=where)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise InputError("data.archive.link", path=where)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError("data.archive.special", path=where)
    if info.flag_bits & ENCRYPTED:
        raise InputError("data.archive.encrypted", path=where)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError("data.archive.method", path=where, method=info.compress_type)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> bytes:
    try:
        raw = archive.read(info)
    except Exception as error:  # zlib, struct, EOF, CRC and OS errors alike: this member is damaged
        raise InputError("data.archive.member_damaged", path=where, reason=reason(error)) from None
    if len(raw) != info.file_size:
        raise InputError("data.archive.cut", path=where, size=len(raw), declared=info.file_size)
    return raw
