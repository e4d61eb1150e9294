"""The processes that train one model together end together: none waits for one that was lost.

Decisions: without this, the others would wait for it in a collective operation, up to half an hour, or fail with a
traceback about a connection. The process that started the others waits for each one in a thread, they look at
it every `POLL` seconds, and whoever notices a loss prints one line and ends its process, whatever that does. Processes
that torchrun and srun started are watched by these.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from subprocess import Popen

from ziffern.errors import InputError
from ziffern.text.catalog import Message

FIRST = "ZIFFERN_FIRST_PROCESS"  # the number of the process that started this one
VARIABLES = (FIRST, "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # of those started
POLL = 0.2  # seconds
GRACE = 10.0  # seconds for an error of this process itself, which may have ended the other one as well
CONNECTION = "gloo/transport"  # in the errors of torch.distributed on a CPU, which have no class of their own
_children: list["Popen[bytes]"] = []
_before: dict[str, str] = {}  # what these variables were
_training = threading.Event()
_hints: list[Callable[[], Message]] = []


@contextmanager
def together(hint: Callable[[], Message], is_job: bool) -> Iterator[None]:
    """Within the context, end this process once another one of the same training is lost.

    Args:
        hint: Returns how to continue.
        is_job: Whether the started processes run nothing else: they end after an error, and the next job starts others.

    Raises:
        InputError: The connection to a process that torchrun or srun started is lost.
    """
    _hints[:] = [hint]
    _training.set()
    if is_started():
        threading.Thread(target=_follow, args=(int(os.environ[FIRST]),), daemon=True).start()
    try:
        yield
        _end_training(is_job)
    except BaseException as error:
        is_lost = CONNECTION in str(error) or type(error).__name__.startswith("Dist")
        if is_lost and (_children or is_started()):
            time.sleep(2 * GRACE)  # the thread that notices the loss ends this process
        _end_training(is_job, has_failed=type(error).__name__ != "TrialPruned")  # which all processes raise
        if is_lost:
            raise InputError("machine.companions.connection", hint=hint()) from error
        raise


def _end_training(is_job: bool, has_failed: bool = False) -> None:
    """Stop watching; after a job, make this process as it was before it started others."""
    _training.clear()
    if not (is_job and _children):
        return
    if has_failed:
        kill()
    elif (distributed := sys.modules.get("torch.distributed")) and distributed.is_initialized():
        distributed.destroy_process_group()
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(_before)
    _children.clear()


def is_started() -> bool:
    """Return whether another process of the same training has started this one."""
    return os.environ.get(FIRST, str(os.getpid())) != str(os.getpid())


def announce() -> None:
    """Tell processes that are started next that this one is the first."""
    _before.clear()
    _before.update({name: os.environ[name] for name in VARIABLES if name in os.environ})
    os.environ[FIRST] = str(os.getpid())


def watch(children: Sequence["Popen[bytes]"]) -> None:
    """End this process and its children if one of these is lost; they are numbered from 1."""
    _children[:] = children
    for number, child in enumerate(children, 1):
        threading.Thread(target=_watch, args=(number, child), daemon=True).start()


def kill(number: int = signal.SIGKILL) -> None:
    """Send a signal to the processes that this one has started, whose end is then no loss."""
    _training.clear()
    for child in _children:
        child.send_signal(number)


def _watch(number: int, child: "Popen[bytes]") -> None:
    code = child.wait()
    if code > 0:
        time.sleep(GRACE)
    if code < 0:
        _end("killed", 128 - code, number=number, signal=_name(-code))
    elif code:
        _end("failed", code, number=number, code=code)


def _follow(first: int) -> None:
    while os.getppid() == first:
        if not _training.is_set():
            return
        time.sleep(POLL)
    _end("first", 1)


def _end(kind: str, exit_code: int, **values: object) -> None:
    if not _training.is_set():
        return
    if kind != "first" or os.environ.get("LOCAL_RANK") == "1":  # one of those that notice it prints
        error = InputError(f"machine.companions.{kind}", **values, hint=_hints[0]())
        print(f"error: {error}", file=sys.stderr, flush=True)
    kill()
    os._exit(exit_code)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)
