"""Use files that people put into the data folder by hand, in place of those that torchvision would download.

Decisions: a file may be compressed by gzip, as it is published, and may be in the usual folder, in the data folder
itself or in its raw/; MNIST, FashionMNIST and KMNIST have files of the same names, so outside the usual folder the path
must not name another of them; nothing is written into the user's folder, and no more is unpacked than of any archive.
"""

import contextlib
import gzip
import re
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ziffern.data.formats.members import MAX_BYTES, refuse_bomb
from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular, reading
from ziffern.text.printable import one_line, reason

SAME_NAMES = {"FashionMNIST": "fashion", "KMNIST": "kmnist"}  # and MNIST: the word in the path that names it
NAMED_PARTS = 3  # of a path
BLOCK = 2**20  # bytes at once
GZIP = b"\x1f\x8b"


def find_files(folder: Path, kind: str, files: Sequence[str]) -> dict[str, Path]:
    """Return where each of `files`, paths below `folder`, is; those that are nowhere are omitted.

    `kind` is the name of a class in torchvision.datasets.
    """
    found = {}
    for name in files:
        for path in _places(folder, kind, Path(name)):
            if path.is_file():
                found[name] = path
                break
    return found


def _places(folder: Path, kind: str, file: Path) -> Iterator[Path]:
    yield folder / file
    if "-idx" not in file.name:
        return
    dotted = file.name.replace("-idx", ".idx")
    for place in (folder / file.parent, *([folder, folder / "raw"] if _may_be_outside(folder, kind) else [])):
        for name in (file.name, dotted):
            yield from (place / name, place / f"{name}.gz", place / file.name / name)  # the last by 7-Zip


def _may_be_outside(folder: Path, kind: str) -> bool:
    """Return whether files of these names directly in the folder are of this data set."""
    names = re.sub("[^a-z]", "", "".join(folder.resolve().parts[-NAMED_PARTS:]).lower())
    named = {other for other, word in SAME_NAMES.items() if word in names}
    return kind in named if kind in SAME_NAMES else kind != "MNIST" or not named


@contextlib.contextmanager
def laid_out(files: Mapping[str, Path]) -> Iterator[Path]:
    """Yield a temporary folder with the files by relative path, unpacked where they are compressed.

    Raises:
        InputError: A file is unreadable, damaged, or would unpack to too much.
    """
    with tempfile.TemporaryDirectory(prefix="ziffern-") as temporary:
        for name, path in files.items():
            target = Path(temporary, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with reading(path), open_regular(path, MAX_BYTES) as file:
                is_packed = file.read(len(GZIP)) == GZIP
            if is_packed:
                _unpack(path, target)
            else:
                target.symlink_to(path.resolve())
        yield Path(temporary)


def _unpack(path: Path, target: Path) -> None:
    packed, written = path.stat().st_size, 0
    with open_regular(path, MAX_BYTES) as file, gzip.GzipFile(fileobj=file) as stream, target.open("wb") as output:
        while True:
            try:
                block = stream.read(BLOCK)
            except (OSError, EOFError, zlib.error) as error:
                raise InputError("data.idx.gzip", path=path, reason=reason(error)) from None
            if not block:
                return
            written += len(block)
            refuse_bomb(written, packed, one_line(path))
            output.write(block)
