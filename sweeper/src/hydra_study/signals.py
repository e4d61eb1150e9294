"""Interrupts: SIGTERM is handled like Ctrl-C, so that a process that is ended puts its trial back into the queue.

Decision: a signal is recorded in addition to raising KeyboardInterrupt, since a job, or a library's cleanup, may
replace that exception. Only the main thread may set handlers; in other threads signals stay as they are. A process that
a job forks gets the former handlers back, and signals wait until it has them: Python forgets those that reach a child
at its start, and a handler written in Python does not run while the child waits for a lock. `multiprocessing.Pool` ends
its children by SIGTERM, and would wait for ever.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
received: list[int] = []  # signals to the sweep of this process
_former: dict[int, Any] = {}  # handlers that `interruptible` has replaced
_forks = threading.local()  # the signals that were blocked before


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
    replaced: dict[int, Any] = {number: handler for number in SIGNALS if (handler := signal.getsignal(number)) in usual}

    def interrupt(number: int, _frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    with handled(interrupt, *replaced):
        _former.update(replaced)
        try:
            yield
        except Exception:
            if received:
                raise KeyboardInterrupt from None
            raise
        finally:
            for number in replaced:
                del _former[number]


def undisturbed() -> AbstractContextManager[None]:
    """Ignore signals within the context."""
    return handled(signal.SIG_IGN, *SIGNALS)


def _hold() -> None:
    _forks.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _former)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forks.mask)


def _restore() -> None:
    for number, handler in _former.items():
        signal.signal(number, handler)
    _release()


os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_restore)
