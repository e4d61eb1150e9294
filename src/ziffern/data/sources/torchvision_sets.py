"""The data sets of torchvision, in torchvision's own folder layout.

Decisions: torchvision has file formats, mirrors and checksums, so its classes read and download, except for CIFAR,
which they would unpickle; the class, its arguments and its files are in the YAML file of a data set, so that a new data
set needs no code; whether a data set is complete follows from its files, never from the text of an exception.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.conversion import scaled
from ziffern.data.dataset import DIGITS, LabeledImages
from ziffern.data.formats.cifar import read_cifar, read_cifar_names
from ziffern.data.parts import Part, join
from ziffern.data.spec import MNIST_SHAPE, Shape
from ziffern.errors import InputError
from ziffern.files.untrusted import unreadable
from ziffern.text.printable import reason

CIFAR = ("CIFAR10", "CIFAR100")
KINDS = (  # these hold all images in memory, and unpickle nothing
    *("MNIST", "FashionMNIST", "KMNIST", "EMNIST", "QMNIST", "USPS", "SVHN", "STL10"),
    *CIFAR,
)
RESERVED = ("root", "download", "transform", "target_transform", "transforms")  # arguments not allowed in YAML


@dataclass(frozen=True)
class TorchvisionSet:
    """One data set.

    Its fields are the arguments of `ziffern.data.sources.Torchvision`, with `kind` as `class_name`, one of KINDS.

    Raises:
        InputError: An unknown class, an argument that is not allowed, or a file outside the folder.
    """

    name: str
    class_name: str
    files: tuple[str, ...]
    train: Mapping[str, Any]
    test: Mapping[str, Any]
    transpose: bool = False
    first_label: int = 0
    margin: int = 0

    def __post_init__(self) -> None:
        if self.class_name not in KINDS:
            raise InputError("data.torchvision.kind", kind=self.class_name, known=KINDS)
        for argument in (*self.train, *self.test):
            if argument in RESERVED:
                raise InputError("data.torchvision.argument", argument=argument)
        for file in self.files:
            if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
                raise InputError("data.torchvision.outside", file=file)

    @property
    def kind(self) -> Any:
        """The class in torchvision.datasets."""
        import torchvision.datasets

        return getattr(torchvision.datasets, self.class_name)

    def missing(self, folder: Path) -> list[str]:
        """Return the files that are not in `folder`."""
        return [name for name in self.files if not (folder / name).is_file()]

    def open(self, kind: Any, folder: Path, download: bool) -> list[Any]:
        """Return torchvision's training and test data set; `kind` is the class or a subclass."""
        return [kind(str(folder), download=download, **more) for more in (self.train, self.test)]

    def read(self, folder: Path, image: Shape | None = None) -> LabeledImages:
        """Return both parts, merged, training part first; images are converted to the shape `image`.

        Raises:
            InputError: A file is unreadable or damaged, or a part does not have one label per image.
        """
        try:
            train, test, names = self._cifar(folder) if self.class_name in CIFAR else self._published(folder)
        except PermissionError as error:
            raise unreadable(error.filename, error) from error
        except Exception as error:  # torchvision's parsers may raise any error
            raise InputError("data.torchvision.damaged", folder=folder, name=self.name, reason=reason(error)) from error
        return join(self.name, train, test, tuple(names), image)

    def _cifar(self, folder: Path) -> tuple[Part, Part, tuple[str, ...]]:
        kind = self.kind
        folder = folder / kind.base_folder
        parts = [read_cifar(folder, [name for name, _ in files]) for files in (kind.train_list, kind.test_list)]
        names = read_cifar_names(folder / kind.meta["filename"], kind.meta["key"])
        return _checked(parts[0]), _checked(parts[1]), names

    def _published(self, folder: Path) -> tuple[Part, Part, list[str]]:
        # Parsing detects damage; the checksums were compared when the files were downloaded.
        kind = type(self.class_name, (self.kind,), {"_check_integrity": lambda _: True})
        train, test = self.open(kind, folder, download=False)
        names = [name.split(" - ")[0] for name in getattr(train, "classes", DIGITS)]
        return self._part(train), self._part(test), names[self.first_label :]

    def _part(self, dataset: Any) -> Part:
        images = np.asarray(dataset.data)  # (N, H, W), (N, C, H, W) or (N, H, W, C)
        labels = np.asarray(dataset.targets if hasattr(dataset, "targets") else dataset.labels, np.int64)
        if labels.ndim > 1:  # QMNIST: the class, and seven columns about the writer
            labels = labels[:, 0]
        return _checked(Part(self._upright(images), labels - self.first_label))

    def _upright(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return images upright and, with a margin, framed as in MNIST."""
        if self.transpose:
            images = np.ascontiguousarray(images.swapaxes(-1, -2))
        return scaled(images[:, None], MNIST_SHAPE[1:], self.margin) if self.margin else images


def _checked(part: Part) -> Part:
    if len(part.labels) != len(part.images):
        raise ValueError(f"{len(part.labels)} labels for {len(part.images)} images")
    return part
