"""Which field each person gets next, so that no two look at the same one without need.

Decisions: a field is lent to a person for some minutes, in memory, since a restart only makes two people look at one;
the least certain fields are first; with double entry, a field is lent to as many people as it still needs.
"""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, get_args

from msgspec import structs

from ziffern.reading.constraints import Rules, tidied
from ziffern.reading.decisions import Decision, Decisions, Key, Kind
from ziffern.reading.folder import load_reading
from ziffern.reading.result import ACCEPTED, REVIEW, Limits

Name = Literal["review", "settle", "sample"]
LENT = 300.0  # seconds
ACTIVE = 300.0  # seconds after the last entry in which a person counts as at work
RECENT = 50  # entries of a person by which the speed is measured


class Progress(NamedTuple):
    """How far the doubtful fields are; `people` are names, numbers of entries, and median seconds of recent ones."""

    done: int
    total: int
    left: float | None  # seconds; None if unknown
    disputed: int
    people: list[tuple[str, int, float]]


class Queue:
    """The fields of a batch folder, shared out among people; it may be used from several threads.

    Raises:
        InputError: The folder holds no batch, or its decisions are damaged or about another one.
    """

    def __init__(self, folder: Path, double: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.clock, self.lock = folder, clock, threading.RLock()
        self.reading = load_reading(folder)
        self.decisions = Decisions(folder, self.reading, double)
        self.standing = self.decisions.standing
        limits, lists = self.reading.limits, {name: tuple(some) for name, some in self.reading.lists.items()}
        self.rules = {  # by field name
            name: Rules(**structs.asdict(limits.get(name, Limits())), values=lists.get(name))
            for name in limits.keys() | lists.keys()
        }
        self.fields = {(n, field.name): field for n, page in enumerate(self.reading.pages) for field in page.fields}
        doubtful, sample = ([key for key in self.fields if self._is(key, status)] for status in (REVIEW, ACCEPTED))
        doubtful.sort(key=lambda key: self.fields[key].probability)
        Random(0).shuffle(sample)
        self.rank = {key: place for place, key in enumerate((*doubtful, *sample))}
        self.total = len(doubtful)
        self.open: dict[Name, dict[Key, None]] = {name: {} for name in get_args(Name)}  # in order
        for key in self.rank:
            self._place(key)
        self._lent: defaultdict[Key, dict[str, float]] = defaultdict(dict)  # until when, by person

    def take(self, person: str, name: Name, held: Sequence[Key], count: int) -> list[Key]:
        """Lend a person further fields until there are `count` with those that their page holds, which stay lent."""
        with self.lock:
            now, room = self.clock(), max(0, count - len(held))
            free = (key for key in self.open[name] if key not in held and self._may(person, key, name, now))
            found: list[Key] = []
            later: list[Key] = []
            while len(found) < room and (key := next(free, None)):
                is_later = any(entry.person == person for entry in self.standing.of_field.get(key, ()))
                (later if is_later and name != "settle" else found).append(key)
            found += later[: room - len(found)]
            for key in (*held, *found):
                self._lent[key][person] = now + LENT
            return found

    def decide(self, person: str, key: Key, kind: Kind, value: str, seconds: float, name: Name) -> None:
        """Write a person's entry about a field, once even where their page repeats it for want of an answer.

        Raises:
            UnsavedError: It cannot be written.
        """
        if kind == "value" and (rules := self.rules.get(key[1])):
            value = tidied(rules, value)
        with self.lock:
            last = self.standing.of_person[person][-1:]
            if [(entry.key, entry.kind, entry.value, entry.seconds) for entry in last] == [(key, kind, value, seconds)]:
                return
            settles = name == "settle" and kind != "later" and self.standing.state(key) == "disputed"
            self._add(Decision(self.clock(), person, *key, kind, value, seconds, int(settles)))

    def undo(self, person: str, at: float) -> Key | None:
        """Take a person's last entry back, and lend them its field; return None if there is none.

        `at` tells their requests apart: one that their page repeats for want of an answer, also after a
        restart, takes nothing more back.

        Raises:
            UnsavedError: It cannot be written.
        """
        with self.lock:
            last, own = self.standing.undone.get(person), self.standing.of_person.get(person)
            if last and last.value == str(at):
                key = last.key
            elif own:
                key = own[-1].key
                self._add(Decision(self.clock(), person, *key, "undo", str(at)))
            else:
                return None
            self._lent[key][person] = self.clock() + LENT
            return key

    def progress(self) -> Progress:
        """Return how far people are."""
        with self.lock:
            now, people = self.clock(), []
            speed = 0.0  # entries per second, of all at work
            for person, entries in self.standing.of_person.items():
                if seconds := [entry.seconds for entry in entries[-RECENT:] if entry.kind != "later"]:
                    people.append((person, sum(entry.kind != "later" for entry in entries), statistics.median(seconds)))
                    speed += (now - entries[-1].at < ACTIVE) / max(people[-1][2], 0.1)
            left = len(self.open["review"])
            waiting = left * self.standing.needed / speed if speed else None
            return Progress(self.total - left, self.total, waiting, len(self.open["settle"]), people)

    def _is(self, key: Key, status: str) -> bool:
        return self.fields[key].status == status

    def _may(self, person: str, key: Key, name: Name, now: float) -> bool:
        answers = self.standing.answers(key)
        others = sum(who != person and until > now for who, until in self._lent.get(key, {}).items())
        if name == "settle":
            return others == 0
        return person not in answers and others < self.standing.needed - len(answers)

    def _add(self, decision: Decision) -> None:
        self.decisions.append(decision)
        self._lent[decision.key].pop(decision.person, None)
        self._place(decision.key)

    def _place(self, key: Key) -> None:
        """Put a field where it belongs after an entry."""
        state = self.standing.state(key)
        home: Name = "review" if self._is(key, REVIEW) else "sample"
        for name, is_here in ((home, state in ("open", "half") and key in self.rank), ("settle", state == "disputed")):
            queue = self.open[name]
            if not is_here:
                queue.pop(key, None)
            elif key not in queue:
                is_last = not queue or self._rank(next(reversed(queue))) < self._rank(key)
                queue[key] = None
                if not is_last:  # after an undo
                    self.open[name] = dict.fromkeys(sorted(queue, key=self._rank))

    def _rank(self, key: Key) -> int:
        return self.rank.get(key, len(self.rank))
