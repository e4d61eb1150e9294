"""Interrupts: SIGTERM is handled like Ctrl-C, so that a process that is ended puts its trial back into the queue.

Decision: a signal is recorded in addition to raising KeyboardInterrupt, since a job, or a library's cleanup, may
replace that exception. Only the main thread may set handlers; in other threads signals stay as they are.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
received: list[int] = []  # signals to the sweep of this process


@contextmanager
def handled(handler: Any, *numbers: int) -> Iterator[None]:
    """Handle the signals `numbers` by `handler` within the context."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, signal.SIG_DFL if was is None else was)


@contextmanager
def interruptible() -> Iterator[None]:
    """Record each signal and raise KeyboardInterrupt for it; handlers that others installed stay."""
    usual = (signal.default_int_handler, signal.SIG_DFL)
    received.clear()
    process = os.getpid()

    def interrupt(number: int, _frame: object) -> None:
        if os.getpid() != process:  # a child that a job has forked
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        received.append(number)
        raise KeyboardInterrupt

    with handled(interrupt, *(number for number in SIGNALS if signal.getsignal(number) in usual)):
        try:
            yield
        except Exception:
            if received:
                raise KeyboardInterrupt from None
            raise


def undisturbed() -> AbstractContextManager[None]:
    """Ignore signals within the context."""
    return handled(signal.SIG_IGN, *SIGNALS)
