"""Open files, folders and archives whose images are to be predicted, with labels or without.

Decisions: a file's content shows what it is, except that a name of a picture is trusted, so that messages about a
damaged one are right; all guards are those of the readers of training data; every picture of a folder counts once, in
natural order; where a source has several arrays or tables, none is chosen: the message lists what `PATH:NAME` takes.
"""

import gzip
import io
import re
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part, Reading
from ziffern.data.formats.arrays import array_roles, read_array
from ziffern.data.formats.decoding import pictures_start
from ziffern.data.formats.folders import file_member, folder_members
from ziffern.data.formats.idx import FILE_NAME, UBYTE, read_idx
from ziffern.data.formats.levels import ROWS, class_labels
from ziffern.data.formats.members import MAX_BYTES, Member, Members, open_zip, open_zip_file, refuse_bomb
from ziffern.data.formats.pictures import SUFFIXES, picture_classes
from ziffern.data.formats.table_columns import INDEXES, Columns, find_columns, named_label
from ziffern.data.formats.table_ends import Ends
from ziffern.data.formats.table_text import Table, open_table
from ziffern.data.formats.table_values import read_pixels
from ziffern.data.formats.tables import FEW_COLUMNS, OTHER, UNCLEAR, scaled_to_full_range
from ziffern.data.inputs.arrays import array_images
from ziffern.data.inputs.groups import Pictures, Rows, Source
from ziffern.data.inputs.preparing import Wanted
from ziffern.data.orientation import has_emnist_name
from ziffern.errors import InputError
from ziffern.files.untrusted import reading
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

CONTAINER = re.compile(r".*\.(csv|tsv|npz|npy)(\.gz)?", re.IGNORECASE)
Labels = NDArray[Any] | None
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

    def add_array(self, array: NDArray[Any], label: str, name: str, prefix: str, labels: Labels = None) -> None:
        """Add the images of an array; messages call it `label:name`."""
        images, notes = array_images(array, self.wanted.shape, label, name)
        self.notes += notes
        self._add_images(images, label, [f"{prefix}{place}" for place in range(len(images))], labels)

    def _add_images(
        self, images: NDArray[np.uint8], label: str, names: Sequence[str], labels: Labels, ids: bool = False
    ) -> None:
        self.has_ids = self.has_ids and ids
        if has_emnist_name(label) and images.shape[-1] == images.shape[-2]:  # as in training, where no digits decide it
            images = images.swapaxes(-1, -2)
            self.notes.append(Message("data.inputs.note.transposed", path=label))
        is_cut_out = self.wanted.is_cut_out(images.shape)
        pictures = Pictures(list(zip(names, images, strict=True)), labels) if is_cut_out else None
        self.groups.append(pictures or Rows(images, label, names, labels))

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
            self._add_table(member, prefix)

    def _add_archive(self, members: Members, label: str, prefix: str, choice: str) -> None:
        if members and all(path.endswith(".npy") and "/" not in path for path in members):
            self._add_arrays(members, label, prefix, choice)
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

    def _add_arrays(self, members: Members, label: str, prefix: str, choice: str) -> None:
        """Add the only array of images of an npz, or the chosen one, and the labels that belong to it."""
        arrays = {path.removesuffix(".npy"): member for path, member in members.items()}
        roles = array_roles(arrays)
        names = [name for fitting in roles.values() for name in fitting.get("images", [])]
        if not names:
            shapes = {name: read_array(member).shape for name, member in arrays.items()}
            axes = ROWS + any(len(shape) > ROWS for shape in shapes.values())
            names = [name for name, shape in shapes.items() if len(shape) >= axes]
        if choice and choice not in arrays:
            raise InputError("data.inputs.no_member", path=label, name=choice, names=sorted(arrays))
        if not choice and len(names) != 1:
            code = "data.inputs.several_arrays" if names else "data.inputs.no_array"
            raise InputError(code, path=label, names=names or sorted(arrays), example=(names or [""])[-1])
        name = choice or names[0]
        images, labels = read_array(arrays[name]), None
        beside = [fitting.get("labels", []) for fitting in roles.values() if name in fitting.get("images", [])]
        known = beside[0] if beside and len(beside[0]) == 1 else []
        for answers in known:
            labels, _ = class_labels(read_array(arrays[answers]), len(images), arrays[answers].label)
        if unused := sorted(arrays.keys() - {name, *known}):
            self.notes.append(Message("data.note.arrays_left_out", count=len(unused), names=unused))
        self.add_array(images, label, name, prefix, labels)

    def _add_table(self, member: Member, prefix: str) -> None:
        """Add the rows of a table; their names are the ids in it or, without ids, numbers from 0."""
        table = open_table(member)
        try:
            columns = find_columns(table, Reading(image=self.wanted.shape))
        except InputError as error:
            if error.code not in (*UNCLEAR, OTHER):
                raise
            code = "unknown" if table.width < FEW_COLUMNS else "unclear"
            raise InputError(f"data.inputs.{code}", path=table.label) from error
        label, ids = _label_and_ids(table, columns)
        wanted = [column for column in (label, ids) if column is not None]
        images, texts, is_scaled = read_pixels(table, columns, wanted)
        cells = dict[int | None, NDArray[Any]](zip(wanted, texts, strict=True))
        notes = [Message("data.note.pixels_scaled", path=table.label)] if is_scaled else []
        notes += [note for note in columns.notes if note.code == "data.note.pixel_order"]
        if unused := set(range(table.width)) - set(columns.pixels) - set(wanted):
            values = {"path": table.label, "columns": [table.column_name(column) for column in sorted(unused)]}
            notes.append(Message("data.note.columns", count=len(unused), **values))
        part = scaled_to_full_range({"": Part(images, np.zeros(len(images)), table.label)}, notes)[""]
        self.notes += notes
        numbers = range(len(images))
        names = [f"{prefix}{cell or place}" for cell, place in zip(cells.get(ids, numbers), numbers, strict=True)]
        if ids is not None:
            self.notes.append(Message("data.inputs.note.ids", path=table.label, column=table.column_name(ids)))
        self._add_images(np.asarray(part.images), table.label, names, cells.get(label), ids is not None)


def _label_and_ids(table: Table, columns: Columns) -> tuple[int | None, int | None]:
    """Return the columns of labels and of ids, None without one."""
    label = columns.label
    if label is not None and table.names and named_label(table, None) is None and Ends(table).is_index(label):
        return None, label  # the only column beside the pixels, such as `filename`
    rest = [column for column in range(table.width) if column not in (label, *columns.pixels)]
    ids = [column for column in rest if not table.names or table.names[column].casefold() in INDEXES]
    return label, ids[0] if ids else None


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
