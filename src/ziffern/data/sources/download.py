"""Download a data set of torchvision, completely or not at all.

Decisions: files are downloaded to a temporary folder and then moved atomically, so that an interrupted download leaves
no partial files; each reachable mirror is tried separately, because torchvision tries the next one only after some
failures, and files with correct checksums are not requested again from the next; a stalled transfer counts as failed;
whether a download can start is known within seconds, even where the network drops packets.
"""

import contextlib
import os
import re
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ziffern.text.catalog import Message
from ziffern.text.printable import reason

PROBE_SECONDS = 5.0
STALL_SECONDS = 8.0  # without data for this long, a download has failed
Opening = Callable[[Any, Path, bool], object]  # class, folder, whether to download


def download(name: str, kind: Any, files: Sequence[str], opening: Opening, folder: Path) -> None:
    """Download the files of a data set to `folder`, which is created if needed.

    `opening` lets `kind`, its class in torchvision.datasets, or a subclass download to a folder.

    Raises:
        ConnectionError: No mirror answers, or none delivers complete files.
        OSError: The folder cannot be written to.
    """
    kinds = _reachable_kinds(kind)
    created = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(STALL_SECONDS)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
            print(Message("data.network.downloading", name=name, folder=folder), flush=True)
            failures = []
            for each in kinds:
                try:
                    opening(each, Path(temporary), True)
                    break
                except (OSError, RuntimeError, HTTPException) as error:
                    failures.append(reason(error))
            else:
                raise ConnectionError("; ".join(failures))  # noqa: TRY301
            for file in files:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(temporary, file), folder / file)  # noqa: PTH105
    except BaseException:
        if created:
            with contextlib.suppress(OSError):  # not empty: another process is downloading too
                folder.rmdir()
        raise
    finally:
        socket.setdefaulttimeout(patience)


def _reachable_kinds(kind: Any) -> list[Any]:
    """Return one class per reachable mirror, with only that mirror."""
    if "mirrors" in vars(kind):
        first = kind.resources[0][0]
        addresses = reachable([f"{mirror}{first}" for mirror in kind.mirrors])
        return [type(kind.__name__, (kind,), {"mirrors": [address.removesuffix(first)]}) for address in addresses]
    attributes = str([vars(base) for base in kind.__mro__])
    reachable(re.findall(r"'(https?://[^']+)'", attributes)[:1])  # in whichever attribute this class has its address
    return [kind]


def reachable(addresses: Sequence[str], seconds: float = PROBE_SECONDS) -> list[str]:
    """Return those http(s) `addresses` that answer at all within `seconds`.

    All are tried at once, each in its own thread, which is abandoned after that time, since a hanging name lookup has
    no timeout.

    Raises:
        ConnectionError: None of them answers; its argument is a Message with the reasons.
    """
    answers: dict[str, str] = {}

    def request(address: str) -> None:
        try:
            with urllib.request.urlopen(address, timeout=seconds) as response:
                response.read(1)  # some answer the request and then stall
                answers[address] = ""
        except urllib.error.HTTPError:
            answers[address] = ""  # an answer; the download will show whether the file exists
        except (OSError, HTTPException, ValueError) as error:
            answers[address] = reason(getattr(error, "reason", error))

    threads = [threading.Thread(target=request, args=(address,), daemon=True) for address in addresses]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    answering = [address for address in addresses if answers.get(address) == ""]
    if not answering:
        late = [Message("data.network.late")] if len(answers) < len(set(addresses)) else []
        raise ConnectionError(Message("data.network.silent", reasons=[*sorted(set(answers.values())), *late]))
    return answering
