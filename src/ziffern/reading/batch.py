"""The folder of a batch: `reading.json`, the registered pages, and the crops of fields.

Decision: it is written under another name and renamed when it is complete, so that a killed reading leaves nothing that
looks finished; it is locked while it is written, so that the next reading of this name removes what a killed one left;
a folder that exists is never replaced, since people may have checked it.
"""

import fcntl
import glob
import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ziffern.errors import InputError
from ziffern.files.atomic import writing
from ziffern.reading.folder import READING
from ziffern.reading.result import Reading

MAX_PAGE, MAX_CROP = 1400, 800  # pixels of the longest side of a stored picture
QUALITY = 80  # of JPEG
PARTS = frozenset({"pages", "crops"})  # of a folder, from its beginning


class BatchFolder:
    """A new batch folder; nothing is at `path` until `finish`, and until then its files are in the folder `partial`.

    Raises:
        InputError: The path exists already.
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise InputError("reading.batch.exists", path=path)
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(path)
            self.partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
            self.partial.chmod(0o755)
            self._lock = ExitStack()
            with suppress(OSError):  # some file systems have no locks; what a killed reading leaves stays there
                self._lock.enter_context(_locked(self.partial))
            for name in sorted(PARTS):
                (self.partial / name).mkdir()

    def add_page(self, number: int, gray: NDArray[np.uint8]) -> str:
        """Write the picture of a page, and return its name."""
        return self._add(f"pages/{number:05}.jpg", gray, MAX_PAGE)

    def add_crop(self, page: int, number: int, gray: NDArray[np.uint8]) -> str:
        """Write the picture of a field, and return its name."""
        return self._add(f"crops/{page:05}-{number:03}.png", gray, MAX_CROP)

    def _add(self, name: str, gray: NDArray[np.uint8], limit: int) -> str:
        import cv2

        scale = limit / max(gray.shape)
        if scale < 1:
            gray = np.asarray(cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if name.endswith("jpg") else []
        content = cv2.imencode(name[-4:], gray, options)[1]
        with writing(self.path / name):
            (self.partial / name).write_bytes(content.tobytes())
        return name

    def finish(self, result: Reading) -> None:
        """Write `reading.json`, and give the folder its name."""
        with writing(self.path):
            (self.partial / READING).write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
            os.rename(self.partial, self.path)  # noqa: PTH104 # Path.rename replaces an empty folder, too
            self._lock.close()

    def discard(self) -> None:
        """Remove what was written, unless the folder is finished."""
        shutil.rmtree(self.partial, ignore_errors=True)
        self._lock.close()


def _locked(folder: Path) -> ExitStack:
    """Lock a folder until the stack is closed, or this process ends. Raises OSError."""
    with ExitStack() as stack:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, place)
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return stack.pop_all()


def _remove_abandoned(path: Path) -> None:
    """Remove the partial folders of killed readings; those of running ones are locked before they have any content."""
    for old in path.parent.glob(f".{glob.escape(path.name)}-????????"):
        with suppress(OSError):
            if PARTS <= {below.name for below in old.iterdir()} <= PARTS | {READING, "report.html"}:
                with _locked(old):
                    shutil.rmtree(old)
