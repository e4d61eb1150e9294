"""Pages from files of all kinds, one at a time: PDF, pictures, folders, zips, bytes, arrays.

Decisions: what a file is shows its content, and its name only chooses which files of a folder or zip are pages; a path
that was given must exist, but a broken page is a `PageProblem`, and all others are still read; nothing is dropped in
silence: what is no page is counted in `notes`, and a page that is given twice is read twice; links in folders are not
followed.
"""

import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ziffern.data.formats.folders import MAX_DEPTH
from ziffern.data.formats.members import MAX_BYTES, is_ignored, open_zip_file, refuse_bomb
from ziffern.errors import InputError
from ziffern.files.untrusted import open_below, open_regular, reading
from ziffern.reading.page import Page, PageProblem, Results
from ziffern.reading.pdf import pdf_pages
from ziffern.reading.pictures import HEIC, heic_pages, picture_page, picture_pages
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line, reason

__all__ = ["Page", "PageProblem", "Pages", "pages_of"]

MAX_FILES = 100_000  # of a folder or zip
MAX_MEMBER = 2**28  # bytes of a file in a zip, which is unpacked in memory
NAMES = re.compile(r".*\.(pdf|png|jpe?g|tiff?|hei[cf]|bmp|gif|webp|p[bgpn]m|zip)", re.IGNORECASE)
HEAD = 1024  # bytes; a PDF may begin with others


class Pages(Iterator[Page | PageProblem]):
    """The pages of some sources, in order, each decoded when its turn comes.

    `notes` says what was left out of folders and zips; it is complete when all pages were read. `files` is their
    number; a zip is one.
    """

    def __init__(self, sources: Sequence[Any]) -> None:
        self._left_out = Counter[str]()
        self._examples = dict[str, str]()
        self.files = self._begun = 0
        for source in sources:
            is_folder = isinstance(source, str | Path) and Path(source).is_dir()
            count = sum(1 for _ in islice(self._names(Path(source)), MAX_FILES)) if is_folder else 1
            if not count:
                raise InputError("reading.pages.empty", path=source, notes=self.notes or Message("data.local.no_file"))
            self.files += count
        self._left_out.clear()
        self._pages = (page for place, source in enumerate(sources, 1) for page in self._of(source, place))

    def __next__(self) -> Page | PageProblem:
        return next(self._pages)

    def begun(self, _page: object = None) -> int:
        """Return how many of the files were begun since the last call."""
        begun, self._begun = self._begun, 0
        return begun

    @property
    def notes(self) -> list[Message]:
        """What was left out: hidden files, other files, and folders that are too deep."""
        counts = sorted(self._left_out.items())
        return [Message(f"reading.pages.note.{kind}", count=n, example=self._examples[kind]) for kind, n in counts]

    def _of(self, source: Any, place: int) -> Results:
        is_folder = isinstance(source, str | Path) and Path(source).is_dir()
        self._begun += not is_folder
        match source:
            case bytes():
                return self._file(io.BytesIO(source), f"bytes {place}")
            case str() | Path():
                path = Path(source)
                return _guarded(self._folder(path), one_line(path)) if is_folder else self._opened(path)
        name = f"{'image' if isinstance(source, Image.Image) else 'array'} {place}"
        return _guarded(_in_memory(source, name), name)

    def _opened(self, path: Path, below: str = "") -> Results:
        """Yield the pages of a file, or of one `below` a folder, on the way to which no link is followed."""
        label = one_line(path / below)
        try:
            with reading(label):
                file = open_below(path, below, MAX_BYTES) if below else open_regular(path, MAX_BYTES)
        except InputError as error:
            code = "reading.pages.link" if error.code == "files.link" else ""
            yield PageProblem(label, 1, InputError(code, path=label) if code else error)
            return
        with file:
            yield from self._file(file, label)

    def _folder(self, root: Path) -> Results:
        for name in self._names(root):
            self._begun += 1
            yield from self._opened(root, name)

    def _names(self, root: Path) -> Iterator[str]:
        """Yield the files below a folder that may be pages, in natural order, those of a folder before its folders."""
        total = 0
        for folder, folders, files in os.walk(root, onerror=lambda error: self._leave_out("locked", [error.filename])):
            below = Path(folder).relative_to(root)
            if len(below.parts) >= MAX_DEPTH:
                self._leave_out("deep", folders)
                folders.clear()
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            folders[:] = sorted(set(self._visible(folders)) - set(links), key=_natural)
            for name in sorted(self._pages_among(files + links, links), key=_natural):
                total += 1
                if total > MAX_FILES:
                    raise InputError("reading.pages.files", path=root, limit=MAX_FILES)
                yield (below / name).as_posix()

    def _pages_among(self, names: list[str], links: Sequence[str] = ()) -> list[str]:
        visible = self._visible(names)
        chosen = [name for name in visible if NAMES.fullmatch(name) or name in links]
        self._leave_out("unknown", sorted(set(visible) - set(chosen)))
        return chosen

    def _visible(self, names: list[str]) -> list[str]:
        visible = [name for name in names if not is_ignored(name)]
        self._leave_out("hidden", sorted(set(names) - set(visible)))
        return visible

    def _leave_out(self, kind: str, names: list[str]) -> None:
        if names:
            self._left_out[kind] += len(names)
            self._examples.setdefault(kind, one_line(names[0]))

    def _file(self, file: BinaryIO, label: str, packed: int = 0) -> Results:
        """Yield the pages of an open file; `packed` is its size in bytes if it is in a zip."""
        head = file.read(HEAD)
        file.seek(0)
        if head.startswith(b"PK"):
            return _guarded(self._zip(file, label, packed), label)
        kind = pdf_pages if b"%PDF-" in head else heic_pages if head[4:12] in HEIC else picture_pages
        return _guarded(kind(file, label), label)

    def _zip(self, file: BinaryIO, label: str, packed: int) -> Results:
        if packed:
            raise InputError("data.archive.nested", path=label)
        with open_zip_file(file, label) as members:
            if len(members) > MAX_FILES:
                raise InputError("reading.pages.files", path=label, limit=MAX_FILES)
            names = self._pages_among([name for name in members if not name.endswith("/")])
            if not names:
                raise InputError("reading.pages.empty", path=label, notes=self.notes or Message("data.local.no_file"))
            for name in sorted(names, key=_natural):
                member, inner = members[name], one_line(f"{label}/{name}")
                try:
                    refuse_bomb(member.size, member.packed, inner, MAX_MEMBER)
                    raw = member.read()
                except InputError as error:
                    yield PageProblem(inner, 1, error)
                    continue
                yield from self._file(io.BytesIO(raw), inner, member.packed or 1)


def pages_of(sources: Sequence[Any]) -> Pages:
    """Return the pages of some sources, decoded one at a time, and problems in place of those that cannot be read.

    Args:
        sources: Paths of files and folders, contents of files, arrays (H, W) or (H, W, 3 or 4), PIL images.

    Raises:
        InputError: There are no sources, or a path does not exist; a folder has no pages.
    """
    if not sources:
        raise InputError("reading.pages.none")
    for source in sources:
        if isinstance(source, str | Path):
            with reading(source):
                try:
                    Path(source).stat()
                except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
                    raise InputError("data.inputs.missing", path=Path(source)) from None
    return Pages(sources)


def _in_memory(source: Any, label: str) -> Results:
    if not isinstance(source, Image.Image):
        array = np.asarray(source)
        try:
            source = Image.fromarray(array if array.ndim > 1 else array[None, None, None])
        except (TypeError, ValueError):
            shape = str(list(array.shape))
            raise InputError("reading.pages.array", name=label, shape=shape, dtype=str(array.dtype)) from None
    yield picture_page(source.copy(), label, 1)


def _guarded(pages: Results, label: str) -> Results:
    """Yield the pages, and one problem where they end by an error."""
    number = 1
    try:
        for page in pages:
            number = page.number + 1
            yield page
    except InputError as error:
        yield PageProblem(label, number, error)
    except UnidentifiedImageError:
        yield PageProblem(label, number, InputError("reading.pages.unknown", path=label))
    except Exception as error:  # each decoder has errors of its own for broken files
        yield PageProblem(label, number, InputError("reading.pages.damaged", path=label, reason=reason(error)))


def _natural(path: str) -> tuple[str, str]:
    """Return a key that sorts 2.png before 10.png."""
    return re.sub("[0-9]+", lambda match: match[0].zfill(20), PurePosixPath(path).as_posix()), path
