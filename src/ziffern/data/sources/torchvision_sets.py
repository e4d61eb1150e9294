"""The data sets that torchvision reads, in the folder layout that torchvision itself uses.

Decisions: torchvision knows file formats, mirrors and checksums, so its classes read and download; whether a
data set is there is told by its files, never by the text of an exception; every set comes out as MNIST does,
upright and framed in 28×28, so that the same models take it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import LabelledImages
from ziffern.data.formats.members import unreadable
from ziffern.data.parts import Part, join
from ziffern.errors import InputError
from ziffern.text.printable import one_line, reason


@dataclass(frozen=True)
class TorchvisionSet:
    """One data set.

    Args:
        name: What the configuration and the run call it.
        class_name: Its class in torchvision.datasets.
        files: What that class reads, below the data folder.
        options: What else that class is to be told.
    """

    name: str
    class_name: str
    files: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Any:
        """The class in torchvision.datasets."""
        import torchvision.datasets

        return getattr(torchvision.datasets, self.class_name)

    def missing(self, folder: Path) -> list[str]:
        """Return those of the files that are not in `folder`."""
        return [name for name in self.files if not (folder / name).is_file()]

    def open(self, kind: Any, folder: Path, download: bool) -> list[Any]:
        """Return torchvision's training and test data set; `kind` is the class or a subclass of it."""
        return [kind(str(folder), train=train, download=download, **self.options) for train in (True, False)]

    def read(self, folder: Path) -> LabelledImages:
        """Return both parts, merged, training part first.

        Raises:
            InputError: A file is unreadable or damaged, or a part has not one label an image.
        """
        try:
            found = self.open(self.kind, folder, download=False)
            train, test = (self._part(part) for part in found)
        except PermissionError as error:
            raise unreadable(one_line(error.filename), error) from error
        except Exception as error:  # torchvision raises whatever its parsing ran into
            raise InputError(
                f"data.dir={one_line(folder)}: the {self.name} files there are damaged ({reason(error)}): "
                "delete them, and they are downloaded again"
            ) from error
        names = tuple(name.split(" - ")[0] for name in getattr(found[0], "classes", "0123456789"))
        return join(self.name, train, test, names)

    def _part(self, found: Any) -> Part:
        images, labels = _as_28(self.name, np.asarray(found.data)), np.asarray(found.targets, np.int64)
        if labels.ndim > 1:  # QMNIST: the class, and seven columns on who wrote the digit
            labels = labels[:, 0]
        if len(labels) != len(images):
            raise ValueError(f"{len(labels)} labels for {len(images)} images")
        return Part(images, labels)


def _idx(folder: str, *names: str, labels: str = "labels-idx1-ubyte") -> tuple[str, ...]:
    return tuple(f"{folder}/raw/{name}-{kind}" for name in names for kind in ("images-idx3-ubyte", labels))


SETS = {
    known.name: known
    for known in (
        TorchvisionSet("mnist", "MNIST", _idx("MNIST", "train", "t10k")),
        TorchvisionSet("fashion_mnist", "FashionMNIST", _idx("FashionMNIST", "train", "t10k")),
        TorchvisionSet("kmnist", "KMNIST", _idx("KMNIST", "train", "t10k")),
        TorchvisionSet(
            "emnist_digits", "EMNIST", _idx("EMNIST", "emnist-digits-train", "emnist-digits-test"), {"split": "digits"}
        ),
        TorchvisionSet("qmnist", "QMNIST", _idx("QMNIST", "qmnist-train", "qmnist-test", labels="labels-idx2-int")),
        TorchvisionSet("usps", "USPS", ("usps.bz2", "usps.t.bz2")),
    )
}


def _as_28(name: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return uint8 images (N, 28, 28), upright and framed as in MNIST."""
    if name == "emnist_digits":  # published transposed
        return np.ascontiguousarray(images.transpose(0, 2, 1))
    if name == "usps":  # 16×16 and filled to the edge: to a box of 20×20 with a margin of 4, as MNIST
        import torch
        from torch.nn.functional import interpolate, pad

        tensor = torch.from_numpy(images).unsqueeze(1).float()  # (N, 1, 16, 16)
        larger = interpolate(tensor, size=(20, 20), mode="bilinear", antialias=True)
        framed: NDArray[np.uint8] = pad(larger, (4, 4, 4, 4)).round().to(torch.uint8).squeeze(1).numpy()
        return framed
    return images
