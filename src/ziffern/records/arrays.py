"""The arrays of a run folder: data.npz and predictions.npz.

Decisions: an npz is a ZIP, so the checks of an untrusted ZIP come first; sizes are read from its directory and from
each array's header before anything is unpacked; no array holds objects, so nothing is unpickled.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from ziffern.data.formats.archive import open_zip_file
from ziffern.data.formats.arrays import read_array
from ziffern.text.printable import one_line

MAX_UNPACKED = 2**30  # bytes of all arrays together
MAX_CLASSES = 256  # a report has a table of classes × classes
MAX_NAME = 100  # characters of a class name


def read_arrays(file: BinaryIO, path: Path, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return those of the `wanted` arrays that an open npz file holds.

    Raises:
        InputError: It is damaged, or it would unpack to more than 1 GiB or to far more than its size.
    """
    with open_zip_file(file, one_line(path), MAX_UNPACKED) as members:
        return {name: read_array(members[f"{name}.npy"]).copy() for name in wanted if f"{name}.npy" in members}
