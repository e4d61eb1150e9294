"""Interrupts: a SIGTERM is to a sweep what Ctrl-C is, so that whoever ends it gives its trial back.

Decision: what was told is kept beside the KeyboardInterrupt, since a job, or a library's clean-up, may make anything
of that. Only the main thread may set handlers; elsewhere signals stay as they are.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
told: list[int] = []  # to the sweep of this process


@contextmanager
def handled(handler: Any, *numbers: int) -> Iterator[None]:
    """Let `handler` take the signals `numbers` within."""
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
    """Note each signal within, and raise KeyboardInterrupt for it; a handler of somebody else's stays."""
    usual = (signal.default_int_handler, signal.SIG_DFL)
    told.clear()
    process = os.getpid()

    def interrupt(number: int, _frame: object) -> None:
        if os.getpid() != process:  # a child that a job has forked
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        told.append(number)
        raise KeyboardInterrupt

    with handled(interrupt, *(number for number in SIGNALS if signal.getsignal(number) in usual)):
        try:
            yield
        except Exception:
            if told:
                raise KeyboardInterrupt from None
            raise


def undisturbed() -> AbstractContextManager[None]:
    """Let no signal in, as long as this lasts."""
    return handled(signal.SIG_IGN, *SIGNALS)
