"""Sources of images; each returns one `LabeledImages`.

Decisions: torchvision has file formats, mirrors and checksums, so its classes read and download, except for CIFAR,
which they would unpickle; the class, its arguments and its files are in the YAML file of a data set, so that a new data
set needs no code; whether a data set is complete follows from its files, never from the text of an exception. Only a
source with `fallback` may replace missing data by other data, which keeps its own name and has a note; damaged or
unreadable data is always an error.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from errno import EACCES
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part, Reading, join
from ziffern.data.conversion import scaled
from ziffern.data.dataset import DIGITS, LabeledImages
from ziffern.data.embedded import embedded_digits
from ziffern.data.for_paper import ForPaper
from ziffern.data.formats.cifar import read_cifar, read_cifar_names
from ziffern.data.sources.download import download
from ziffern.data.sources.laid_files import find_files, laid_out
from ziffern.data.sources.local import read_local
from ziffern.data.spec import MNIST_SHAPE, Shape
from ziffern.errors import InputError
from ziffern.files.untrusted import reading
from ziffern.text.catalog import Message
from ziffern.text.printable import reason

CIFAR = ("CIFAR10", "CIFAR100")
# These hold all images in memory, and unpickle nothing.
KINDS = ("MNIST", "FashionMNIST", "KMNIST", "EMNIST", "QMNIST", "USPS", "SVHN", "STL10", *CIFAR)
RESERVED = ("root", "download", "transform", "target_transform", "transforms")  # arguments not allowed in YAML


class Source(Protocol):
    """An object that returns a data set."""

    def load(self, folder: Path, num_classes: int | None, image: Shape | None = None) -> LabeledImages:
        """Return the data set in `folder`, or downloaded to it; the user expects `num_classes`, or any number of them.

        Images are converted to the shape `image` (channels, height and width); None requires 1×28×28.
        """


class Embedded:
    """The 5,000 real MNIST digits of `ziffern.data.embedded`."""

    def load(self, folder: Path, num_classes: int | None, image: Shape | None = None) -> LabeledImages:
        """Return the digits; there is no published test part."""
        images, labels = embedded_digits()
        return join("mnist5k", {"train": Part(images, labels)}, DIGITS, image)


class Local:
    """The user's own data: `folder` is the ZIP, folder, CSV, npz or IDX folder itself."""

    def load(self, folder: Path, num_classes: int | None, image: Shape | None = None, **reading: Any) -> LabeledImages:
        """Return the data set; see `ziffern.data.sources.local` for the accepted formats, `Reading` for `reading`."""
        return read_local(folder, Reading(num_classes, image, **reading))


class Torchvision:
    """A data set of torchvision, read from `folder`, or downloaded to it if missing.

    Args:
        dataset: Its name in the records of a run.
        kind: Its class in torchvision.datasets, one of KINDS.
        files: The files that this class reads, below the data folder.
        train: Further arguments of the class for the training part; by default train=True.
        test: Further arguments for the test part; by default train=False.
        transpose: Swap rows and columns, for data that is published transposed.
        first_label: Label of the first class.
        margin: Width in pixels of a black frame; the image is scaled to the rest of 28×28.
        fallback: Return the embedded 5,000 digits, with a note, if the data is neither in `folder` nor reachable.
        download: Download missing data.
        paper: Changes and adds images for a model that reads paper.

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
        paper: ForPaper | None = None,
    ) -> None:
        self.arguments = ({"train": True} if train is None else train, {"train": False} if test is None else test)
        if kind not in KINDS:
            raise InputError("data.torchvision.kind", kind=kind, known=KINDS)
        for arguments in self.arguments:
            for argument in RESERVED:
                if argument in arguments:
                    raise InputError("data.torchvision.argument", argument=argument)
        for file in map(PurePosixPath, files):
            if file.is_absolute() or ".." in file.parts:
                raise InputError("data.torchvision.outside", file=file)
        self.dataset, self.class_name, self.files = dataset, kind, tuple(files)
        self.transpose, self.first_label, self.margin = transpose, first_label, margin
        self.fallback, self.download, self.paper = fallback, download, paper

    def load(self, folder: Path, num_classes: int | None, image: Shape | None = None) -> LabeledImages:
        """Return both parts, merged, training part first."""
        with reading(f"data.dir={folder}"):
            if folder.exists() and not folder.is_dir():
                raise InputError("data.dir.is_file", folder=folder)
            if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
                raise PermissionError(EACCES, os.strerror(EACCES))
            files = find_files(folder, self.class_name, self.files)
        missing = [name for name in self.files if name not in files]
        if missing:
            state_code = "incomplete" if len(missing) < len(self.files) else "absent"
            state = Message(f"data.torchvision.{state_code}", name=self.dataset, folder=folder, file=missing[0])
            if not self.download:
                raise InputError("data.torchvision.not_downloaded", state=state)
            try:
                download(self.dataset, self.kind, self.files, self._open, folder)
            except ConnectionError as error:
                why = error.args[0] if error.args and isinstance(error.args[0], Message) else reason(error)
                if not self.fallback:
                    raise InputError("data.torchvision.unreachable", state=state, reason=why) from error
                digits = Embedded().load(Path(), len(DIGITS), image)
                return replace(digits, note=Message("data.note.fallback", state=state, reason=why))
            except OSError as error:
                raise InputError("data.torchvision.not_writable", state=state, reason=reason(error)) from error
        if missing or all(path == folder / name for name, path in files.items()):
            return self.read(folder, image)
        with laid_out(files) as usual:
            dataset = self.read(usual, image, folder)
        folders = sorted({str(path.parent) for name, path in files.items() if path.parent != (folder / name).parent})
        notes = [Message("data.note.elsewhere", name=self.dataset, folders=folders)] if folders else []
        return replace(dataset, notes=(*dataset.notes, *notes))

    @property
    def kind(self) -> Any:
        """The class in torchvision.datasets."""
        import torchvision.datasets

        return getattr(torchvision.datasets, self.class_name)

    def read(self, folder: Path, image: Shape | None = None, shown: Path | None = None) -> LabeledImages:
        """Return both parts from the files in `folder`; messages name `shown` instead.

        Raises:
            InputError: A file is unreadable or damaged, or a part does not have one label per image.
        """
        try:
            parts, names = self._cifar(folder) if self.class_name in CIFAR else self._published(folder)
            for part in parts.values():
                if len(part.labels) != len(part.images):
                    raise ValueError(f"{len(part.labels)} labels for {len(part.images)} images")  # noqa: TRY301
        except PermissionError as error:
            with reading(error.filename):
                raise
        except Exception as error:  # torchvision's parsers may raise any error
            code = "data.torchvision.damaged"
            raise InputError(code, folder=shown or folder, name=self.dataset, reason=reason(error)) from error
        return join(self.dataset, parts, names, image)

    def _open(self, kind: Any, folder: Path, download: bool) -> list[Any]:
        """Return torchvision's training and test data set; `kind` is the class or a subclass."""
        return [kind(str(folder), download=download, **arguments) for arguments in self.arguments]

    def _cifar(self, folder: Path) -> tuple[dict[str, Part], tuple[str, ...]]:
        kind = self.kind
        folder = folder / kind.base_folder
        batches = {"train": kind.train_list, "test": kind.test_list}
        parts = {part: read_cifar(folder, [name for name, _ in files]) for part, files in batches.items()}
        return parts, read_cifar_names(folder / kind.meta["filename"], kind.meta["key"])

    def _published(self, folder: Path) -> tuple[dict[str, Part], tuple[str, ...]]:
        # Parsing detects damage; the checksums were compared when the files were downloaded.
        kind = type(self.class_name, (self.kind,), {"_check_integrity": lambda _: True})
        train, test = self._open(kind, folder, download=False)
        names = [name.split(" - ")[0] for name in getattr(train, "classes", DIGITS)]
        parts = {"train": self._part(train), "test": self._part(test)}
        if self.paper:
            parts, more = self.paper.of(parts)
            names += more
        return parts, tuple(names[self.first_label :])

    def _part(self, dataset: Any) -> Part:
        images: NDArray[np.uint8] = np.asarray(dataset.data)  # (N, H, W) or (N, C, H, W)
        labels = np.asarray(dataset.targets if hasattr(dataset, "targets") else dataset.labels, np.int64)
        if labels.ndim > 1:  # QMNIST: the class, and seven columns about the writer
            labels = labels[:, 0]
        if self.transpose:
            images = np.ascontiguousarray(images.swapaxes(-1, -2))
        if self.margin:
            images = scaled(images[:, None], MNIST_SHAPE[1:], self.margin)
        return Part(images, labels - self.first_label)
