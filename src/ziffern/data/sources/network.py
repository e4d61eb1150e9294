"""Whether a download can begin, answered within seconds even where the network swallows packets."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException

from ziffern.text.printable import reason

PROBE_SECONDS = 5.0


def reachable(addresses: Sequence[str], seconds: float = PROBE_SECONDS) -> list[str]:
    """Return those of the http(s) `addresses` that answer anything at all within `seconds`.

    All are asked at once, each in a thread of its own that nobody waits for longer: a name look-up that
    hangs has no time limit that could be set.

    Raises:
        ConnectionError: None of them answers; the message has the reasons.
    """
    answers: dict[str, str] = {}

    def ask(address: str) -> None:
        try:
            with urllib.request.urlopen(address, timeout=seconds) as response:
                response.read(1)  # some answer the request and then stall
                answers[address] = ""
        except urllib.error.HTTPError:
            answers[address] = ""  # an answer; whether the file is there shows in the download
        except (OSError, HTTPException, ValueError) as error:
            answers[address] = reason(getattr(error, "reason", error))

    threads = [threading.Thread(target=ask, args=(address,), daemon=True) for address in addresses]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    found = [address for address in addresses if answers.get(address) == ""]
    if not found:
        reasons = {answers.get(address, "no answer in time") for address in addresses}
        raise ConnectionError(f"no mirror answers: {', '.join(sorted(reasons))}")
    return found
