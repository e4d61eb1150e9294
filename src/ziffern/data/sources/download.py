"""Download a data set of torchvision, completely or not at all.

Decisions: files are downloaded to a temporary folder and then moved atomically, so that an interrupted download leaves
no partial files; each reachable mirror is tried separately, because torchvision tries the next one only after some
failures, and files with correct checksums are not requested again from the next; a stalled transfer counts as failed.
"""

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ziffern.data.sources.network import reachable
from ziffern.data.sources.torchvision_sets import TorchvisionSet
from ziffern.text.catalog import Message
from ziffern.text.printable import reason

STALL_SECONDS = 8.0  # without data for this long, a download has failed


def download(dataset: TorchvisionSet, folder: Path) -> None:
    """Download the files of a data set to `folder`, which is created if needed.

    Raises:
        ConnectionError: No mirror answers, or none delivers complete files.
        OSError: The folder cannot be written to.
    """
    kinds = _reachable_kinds(dataset.kind)
    created = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary, _patience(STALL_SECONDS):
            print(Message("data.network.downloading", name=dataset.name, folder=folder), flush=True)
            _fetch(dataset, kinds, Path(temporary))
            for name in dataset.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(temporary, name), folder / name)  # noqa: PTH105
    except BaseException:
        if created:
            with contextlib.suppress(OSError):  # not empty: another process is downloading too
                folder.rmdir()
        raise


def _fetch(dataset: TorchvisionSet, kinds: Sequence[Any], folder: Path) -> None:
    failures = []
    for kind in kinds:
        try:
            dataset.open(kind, folder, download=True)
        except (OSError, RuntimeError, HTTPException) as error:
            failures.append(reason(error))
        else:
            return
    raise ConnectionError("; ".join(failures))


def _reachable_kinds(kind: Any) -> list[Any]:
    """Return one class per reachable mirror, with only that mirror."""
    if "mirrors" in vars(kind):
        first = kind.resources[0][0]
        addresses = reachable([f"{mirror}{first}" for mirror in kind.mirrors])
        return [type(kind.__name__, (kind,), {"mirrors": [address.removesuffix(first)]}) for address in addresses]
    own = [address for base in kind.__mro__ for value in vars(base).values() for address in _addresses(value)]
    reachable(own[:1])
    return [kind]


def _addresses(node: Any) -> Iterator[str]:
    """Yield the web addresses in an attribute of a class, also inside lists and mappings."""
    if isinstance(node, str):
        yield from [node] if node.startswith(("http://", "https://")) else []
    elif isinstance(node, Mapping):
        yield from _addresses(list(node.values()))
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _addresses(item)


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Limit how long sockets opened in this block wait for data, in seconds."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
