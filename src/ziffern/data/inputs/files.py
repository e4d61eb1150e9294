"""Open files, folders and archives whose images are to be predicted, with labels or without.

Decisions: a file's content shows what it is, except that a name of a picture is trusted, so that messages about a
damaged one are right; all guards are those of the readers of training data; every picture of a folder counts once, in
natural order; where a source has several arrays or tables, none is chosen: the message lists what `PATH:NAME` takes.
"""

import gzip
import io
import re
from contextlib import ExitStack
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ziffern.data.formats.arrays import read_array
from ziffern.data.formats.decoding import pictures_start
from ziffern.data.formats.folders import file_member, folder_members
from ziffern.data.formats.idx import FILE_NAME, UBYTE, read_idx
from ziffern.data.formats.members import MAX_BYTES, Member, Members, open_zip, open_zip_file, refuse_bomb
from ziffern.data.formats.pictures import SUFFIXES, picture_classes
from ziffern.data.inputs.arrays import array_images
from ziffern.data.inputs.containers import Content, npz_images, table_images
from ziffern.data.inputs.groups import Pictures, Rows, Source
from ziffern.data.inputs.preparing import Wanted
from ziffern.data.orientation import has_emnist_name
from ziffern.errors import InputError
from ziffern.files.untrusted import reading
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

CONTAINER = re.compile(r".*\.(csv|tsv|npz|npy)(\.gz)?", re.IGNORECASE)
PIECE = 2**20  # bytes read at once


class Opener:
    """Opens sources one after another; `groups` are their images, `notes` what was assumed or left out.

    Args:
        wanted: The images that the model needs.
        stack: Closes the archives.
    """

    def __init__(self, wanted: Wanted, stack: ExitStack) -> None:
        self.wanted, self.stack = wanted, stack
        self.groups: list[Rows | Pictures] = []
        self.notes: list[Message] = []
        self.has_ids = True  # all names are ids of a table

    def add_picture(self, name: str, source: Source) -> None:
        """Add a picture; those in succession are in one group, so that their batches are full."""
        last, self.has_ids = self.groups[-1] if self.groups else None, False
        if isinstance(last, Pictures) and last.is_alone:
            last.items.append((name, source))
        else:
            self.groups.append(Pictures([(name, source)], is_alone=True))

    def add_array(self, array: NDArray[Any], label: str, name: str, prefix: str) -> None:
        """Add the images of an array; messages call it `label:name`."""
        images, notes = array_images(array, self.wanted.shape, label, name)
        self._add(Content(images, notes), label, prefix)

    def _add(self, content: Content, label: str, prefix: str) -> None:
        images, names = content.images, content.ids or map(str, range(len(content.images)))
        self.has_ids = self.has_ids and content.ids is not None
        self.notes += content.notes
        if has_emnist_name(label) and images.shape[-1] == images.shape[-2]:  # as in training, where no digits decide it
            images = images.swapaxes(-1, -2)
            self.notes.append(Message("data.inputs.note.transposed", path=label))
        whole = [prefix + name for name in names]
        is_cut_out = self.wanted.is_cut_out(images.shape)
        pictures = Pictures(list(zip(whole, images, strict=True)), content.labels) if is_cut_out else None
        self.groups.append(pictures or Rows(images, label, whole, content.labels))

    def add_path(self, path: Path, is_only: bool) -> None:
        """Add a file, or the pictures of a folder; `is_only`: names need not show which source they are from."""
        choice = ""
        with reading(path):
            try:
                is_folder = path.is_dir()
                if not is_folder and not path.exists():
                    whole, _, choice = str(path).rpartition(":")
                    path = Path(whole) if whole and Path(whole).is_file() else path
                size = path.stat().st_size
            except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
                raise InputError("data.inputs.missing", path=path) from None
        label = one_line(path)
        prefix = "" if is_only else f"{path}/" if is_folder else f"{path}:"
        if is_folder:
            deep: list[str] = []
            self._add_members(folder_members(path, deep), label, prefix)
            if deep:
                self.notes.append(Message("data.inputs.note.deep", count=len(deep), example=deep[0]))
        elif path.suffix.lower() in (".zip", ".npz"):
            self._add_archive(self.stack.enter_context(open_zip(path)), label, prefix, choice)
        else:
            self._add_file(file_member(path, size), str(path), prefix, choice)

    def add_stream(self, file: BinaryIO, prefix: str) -> None:
        """Add the content of an open file, such as standard input."""
        label = one_line(getattr(file, "name", "")) or "file"
        raw = b"".join(islice(iter(lambda: file.read(PIECE), b""), MAX_BYTES // PIECE + 1))
        if len(raw) > MAX_BYTES:
            raise InputError("files.too_long", path=label, limit=MAX_BYTES)
        self.add_bytes(raw, label, prefix)

    def add_bytes(self, raw: bytes, label: str, prefix: str) -> None:
        """Add the content of a file, called `label` in messages."""
        self._add_file(Member(label, len(raw), lambda: raw), label, prefix)

    def _add_file(self, member: Member, name: str, prefix: str, choice: str = "") -> None:
        suffix = PurePosixPath(name).suffix.lower()
        is_picture = suffix in SUFFIXES and suffix != ""
        raw = b"" if is_picture else member.read()
        head = _unpacked_head(raw)
        if choice and not raw.startswith(b"PK"):
            raise InputError("data.inputs.no_choice", path=member.label, name=choice)
        if is_picture or pictures_start(head):
            self.add_picture(name, member)
            return
        member = Member(member.label, len(raw), lambda: raw, member.packed)
        if raw.startswith(b"PK"):
            archive = self.stack.enter_context(open_zip_file(io.BytesIO(raw), member.label))
            if member.packed:
                refuse_bomb(sum(inner.size for inner in archive.values()), member.packed, member.label)
            self._add_archive(archive, member.label, prefix, choice)
        elif raw.startswith(b"\x93NUMPY"):
            self.add_array(read_array(member), member.label, "array", prefix)
        elif head.startswith(bytes([0, 0, UBYTE])):
            self.add_array(read_idx(raw, member.label, ndim=3), member.label, "array", prefix)
        elif b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")) and suffix not in (".csv", ".tsv"):
            raise InputError("data.inputs.unknown", path=member.label)
        else:
            self._add(table_images(member, self.wanted.shape), member.label, prefix)

    def _add_archive(self, members: Members, label: str, prefix: str, choice: str) -> None:
        if members and all(path.endswith(".npy") and "/" not in path for path in members):
            self._add(npz_images(members, self.wanted.shape, label, choice), label, prefix)
            return
        chosen = {path: member for path, member in members.items() if not choice or f"{path}/".startswith(f"{choice}/")}
        if choice and not chosen:
            raise InputError("data.inputs.no_member", path=label, name=choice, names=sorted(members)[:5])
        self._add_members(chosen, label, prefix, single=choice in chosen)

    def _add_members(self, members: Members, label: str, prefix: str, single: bool = False) -> None:
        """Add all pictures of a folder or archive or, if there are none, its only table or array."""
        files = sorted((path for path in members if not path.endswith("/")), key=_natural)
        containers = [path for path in files if CONTAINER.fullmatch(path) or _idx_kind(path) == "images"]
        plain = set(containers)
        containers = [path for path in containers if not (path.endswith(".gz") and path[:-3] in plain)]
        pictures = [path for path in files if PurePosixPath(path).suffix.lower() in SUFFIXES and not _idx_kind(path)]
        if containers and not any(PurePosixPath(path).suffix for path in pictures):
            if len(containers) > 1:
                raise InputError("data.inputs.several", path=label, count=len(containers), names=containers)
            used = {containers[0]}
            self._add_file(members[containers[0]], containers[0], prefix)
        elif pictures:
            used = set(pictures)
            classes = picture_classes(members) if any("/" in path for path in pictures) else {}
            labels = [classes.get(id(members[path])) for path in pictures]
            known = None if None in labels else np.array(labels, object)
            items: list[tuple[str, Source]] = [(prefix + path, members[path]) for path in pictures]
            self.groups.append(Pictures(items, known, single))
            self.has_ids = False
        else:
            raise InputError("data.inputs.nothing", path=label, files=files[:3] or Message("data.local.no_file"))
        if unused := [path for path in files if path not in used]:
            self.notes.append(Message("data.note.files_left_out", count=len(unused), example=unused[0]))


def _idx_kind(path: str) -> str | None:
    """Return whether a name is that of an IDX file of `images` or `labels`; None if it is no such name."""
    name = PurePosixPath(path).name if "idx" in path.lower() or "ubyte" in path.lower() else ""
    match = FILE_NAME.fullmatch(name)
    return match["kind"].lower() if match else None


def _natural(path: str) -> str:
    """Return a key that sorts 2.png before 10.png."""
    return re.sub("[0-9]+", lambda match: match[0].zfill(20), path)


def _unpacked_head(raw: bytes, size: int = 64) -> bytes:
    """Return the first bytes, also of a file that is compressed by gzip."""
    if not raw.startswith(b"\x1f\x8b"):
        return raw[:size]
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(raw)).read(size)
    except Exception:  # gzip, zlib, EOF and struct errors alike; the reader reports it
        return b""
