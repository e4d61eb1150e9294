"""Several workers in one process, which take turns, so that their trials can meet and compute together.

Decisions: each worker is a greenlet and an ordinary worker otherwise: whoever reads `_worker` alone has read all that
happens to a trial. Only `meet` and `pause` let another worker go on, so nothing that holds a lock is ever left in its
middle. What Python has once a process and a trial must have for itself changes hands there; the file descriptors 1
and 2 do not: what is no Python prints where the sweep does. Whatever ends one worker early (an interrupt, a storage
out of reach) ends the others as a SIGTERM would, so that they release their trials; then it is raised.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from greenlet import getcurrent, greenlet
from hydra.core.hydra_config import HydraConfig

from hydra_plugins.hydra_optuna_queue._signals import SIGNALS

TERMINATED = 128 + signal.SIGTERM
_meeting: "Meeting | None" = None  # of this process's sweep


def current_meeting() -> "Meeting | None":
    """Return where the trials of this process meet; None where each has a process for itself."""
    return _meeting if _meeting is not None and _meeting.process == os.getpid() else None


class _Belongings:
    """What Python has once a process, as it is now."""

    def __init__(self) -> None:
        root = logging.getLogger()
        self.folder, self.argv, self.streams = os.getcwd(), sys.argv, (sys.stdout, sys.stderr)  # noqa: PTH109
        self.environment, self.config = dict(os.environ), HydraConfig.instance().cfg
        self.logging = root.level, root.handlers[:], _handlers()[:]
        self.signals = [signal.getsignal(number) for number in SIGNALS]

    def put_back(self) -> None:
        """Make it as it was."""
        os.chdir(self.folder)
        sys.argv, (sys.stdout, sys.stderr) = self.argv, self.streams
        HydraConfig.instance().cfg = self.config
        for name in os.environ.keys() | self.environment.keys():
            if name not in self.environment:
                del os.environ[name]
            elif os.environ.get(name) != self.environment[name]:
                os.environ[name] = self.environment[name]
        root = logging.getLogger()
        level, root.handlers[:], _handlers()[:] = self.logging
        if root.level != level:
            root.setLevel(level)
        for number, handler in zip(SIGNALS, self.signals, strict=True):
            signal.signal(number, handler)


def _handlers() -> list[Any]:
    """Return those that `logging.config` closes when a job sets its own up; Python has no public name for them."""
    found: list[Any] = getattr(logging, "_handlerList")  # noqa: B009
    return found


@dataclass
class _Comer:
    key: Hashable
    work: Any
    error: Exception | None = None


class Meeting:
    """Where the trials of one process meet, and the loop that gives their workers turns."""

    def __init__(self) -> None:
        self.process = os.getpid()  # a forked one has the memory of this one, and none of its workers
        self._hub = getcurrent()
        self._home = _Belongings()
        self._came: dict[greenlet, _Comer] = {}
        self._until: dict[greenlet, float] = {}  # who pauses, and how long

    def meet(self, key: Hashable, work: Any, together: Callable[[list[Any]], None]) -> None:
        """Return when all works of an equal key were given to one call of `together`.

        That is when every other trial of this process has come to a meeting too; those that have ended, and workers
        that wait for a trial, are not waited for. The call is that of the first trial.

        Raises:
            Exception: What `together` raised, in each trial whose work it was given.
        """
        mine = self._came[getcurrent()] = _Comer(key, work)
        if group := self._leave():
            try:
                together([comer.work for comer in group])
            except Exception as error:
                for comer in group:
                    comer.error = error
        if mine.error is not None:
            raise mine.error

    def pause(self, seconds: float) -> None:
        """Let the others go on for `seconds` or longer."""
        self._until[getcurrent()] = time.monotonic() + seconds
        self._leave()

    def _leave(self) -> list[_Comer]:
        """Give the turn away; return, when it comes again, the group to work for."""
        mine = _Belongings()
        self._home.put_back()
        try:
            group: list[_Comer] = self._hub.switch()
            return group
        finally:
            mine.put_back()

    def run(self, workers: Sequence[Callable[[], object]]) -> None:
        """Run workers until all have ended."""
        global _meeting  # noqa: PLW0603
        turns = [greenlet(worker) for worker in workers]
        _meeting = self
        try:
            while turns := [turn for turn in turns if not turn.dead]:
                self._round(turns)
        except BaseException:
            for turn in turns:
                while turn and not turn.dead:  # one that has not begun is false
                    with suppress(BaseException):
                        turn.throw(SystemExit(TERMINATED))
            raise
        finally:
            _meeting = None

    def _round(self, turns: list[greenlet]) -> None:
        """Give each worker that does not pause a turn, in which all but the first of a group find their work done."""
        came, self._came = self._came, {}
        groups: dict[Hashable, list[_Comer]] = {}
        for comer in came.values():
            groups.setdefault(comer.key, []).append(comer)
        now = time.monotonic()
        awake = [turn for turn in turns if self._until.get(turn, now) <= now]
        for turn in awake:
            self._until.pop(turn, None)
            turn.switch(*([groups.pop(came[turn].key, [])] if turn in came else []))
        if not awake:
            time.sleep(min(self._until.values()) - now)
