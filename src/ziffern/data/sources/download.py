"""Download a data set of torchvision: whole, or not at all.

Decisions: the files go into a temporary folder first and those that are read are moved to their places, each
at once, so that an interrupted download leaves nothing half-written; each mirror that answers is tried on its
own, because torchvision passes on to the next one after some failures only, and files that one mirror gave
whole (their checksums say so) are not asked of the next; a transfer that stalls has failed.
"""

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ziffern.data.sources.network import reachable
from ziffern.data.sources.torchvision_sets import TorchvisionSet
from ziffern.text.printable import printable, reason

STALL_SECONDS = 8.0  # a download that receives nothing for so long has failed


def download(wanted: TorchvisionSet, folder: Path) -> None:
    """Put the files of `wanted` into `folder`, which is made where it does not exist.

    Raises:
        ConnectionError: No mirror answers, or none gives the files whole.
        OSError: The folder cannot be written to.
    """
    kinds = _reachable_kinds(wanted.kind)
    created = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary, _patience(STALL_SECONDS):
            print(f"downloading {wanted.name} to {printable(folder)} ...", flush=True)
            _fetch(wanted, kinds, Path(temporary))
            for name in wanted.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(temporary, name), folder / name)  # noqa: PTH105
    except BaseException:
        if created:
            with contextlib.suppress(OSError):  # not empty: another process is downloading too
                folder.rmdir()
        raise


def _fetch(wanted: TorchvisionSet, kinds: Sequence[Any], folder: Path) -> None:
    failures = []
    for kind in kinds:
        try:
            wanted.open(kind, folder, download=True)
        except (OSError, RuntimeError, HTTPException) as error:
            failures.append(reason(error))
        else:
            return
    raise ConnectionError("; ".join(failures))


def _reachable_kinds(kind: Any) -> list[Any]:
    """Return the class once for each mirror that answers, knowing that mirror only."""
    if "mirrors" in vars(kind):
        first = kind.resources[0][0]
        found = reachable([f"{mirror}{first}" for mirror in kind.mirrors])
        return [type(kind.__name__, (kind,), {"mirrors": [address.removesuffix(first)]}) for address in found]
    reachable([_first_address(kind)])
    return [kind]


def _first_address(kind: Any) -> str:
    if "url" in vars(kind):  # EMNIST: one archive
        return str(kind.url)
    files = vars(kind).get("split_list") or {"train": kind.resources["train"][0]}  # USPS, QMNIST
    return str(files["train"][0])


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Let no socket made meanwhile wait longer than `seconds` for the next bytes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
