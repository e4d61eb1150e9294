"""Check within seconds whether a download can start, even where the network drops packets."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException

from ziffern.text.catalog import Message
from ziffern.text.printable import reason

PROBE_SECONDS = 5.0


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
