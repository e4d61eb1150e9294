"""What people decided about the fields of a batch: the file `verify.sqlite` in its folder, which only grows.

Decisions: an undo is an entry, too, so that nothing is lost; each entry is on the disk before it is confirmed (WAL,
synchronous=FULL); the file may be anyone's, so its schema must be exactly ours (no trigger, no view), and every entry
is checked; no entry is written once the folder holds another batch, such as one read anew under the same name.
"""

import os
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular
from ziffern.files.untrusted import reading as access
from ziffern.reading.folder import READING
from ziffern.reading.result import Name, Reading
from ziffern.text.printable import printable

Key = tuple[int, str]  # the index of a page, and the name of a field
Kind = Literal["value", "empty", "unreadable", "later", "undo"]
State = Literal["open", "half", "disputed", "done"]
MAX_VALUE = 2500  # characters; 60 ticked labels of 40
FILE, MAX_FILE, MAX_ENTRY = "verify.sqlite", 2**30, 2**16  # bytes
MAX_SECONDS = 3600.0
APPLICATION = 0x7A696666
DISK = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
}
SCHEMA = (
    "CREATE TABLE decisions (id INTEGER PRIMARY KEY, at REAL NOT NULL, person TEXT NOT NULL, page INTEGER NOT NULL, "
    "field TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, seconds REAL NOT NULL, settles INTEGER NOT NULL) "
    "STRICT"
)


class Decision(Struct, frozen=True):
    """One entry: `settles` is whether it decides between different entries of others."""

    at: Annotated[float, Meta(ge=0, le=1e11)]  # seconds since 1970
    person: Annotated[str, Meta(min_length=1, max_length=40)]
    page: Annotated[int, Meta(ge=0)]
    field: Name
    kind: Kind
    value: Annotated[str, Meta(max_length=MAX_VALUE)] = ""  # of an undo, which request it was
    seconds: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] = 0.0  # of looking at the field
    settles: Annotated[int, Meta(ge=0, le=1)] = 0

    @property
    def key(self) -> Key:
        """Which field it is about."""
        return self.page, self.field


class UnsavedError(InputError):
    """An entry could not be written, and does not stand."""


class Standing:
    """The decisions that stand; with `double`, a field needs those of two people."""

    def __init__(self, double: bool) -> None:
        self.needed = 2 if double else 1
        self.of_field: defaultdict[Key, list[Decision]] = defaultdict(list)
        self.of_person: defaultdict[str, list[Decision]] = defaultdict(list)
        self.undone: dict[str, Decision] = {}  # the last undo of each person

    def add(self, decision: Decision) -> None:
        """Add an entry, or take one back."""
        own = self.of_person[decision.person]
        if decision.kind != "undo":
            own.append(decision)
            self.of_field[decision.key].append(decision)
        elif own and own[-1].key == decision.key:
            entries = self.of_field[decision.key]
            del entries[next(n for n, entry in enumerate(entries) if entry is own[-1])]
            own.pop()
            self.undone[decision.person] = decision

    def answers(self, key: Key) -> dict[str, Decision]:
        """Return the last answer of each person about a field."""
        return {entry.person: entry for entry in self.of_field.get(key, ()) if entry.kind != "later"}

    def final(self, key: Key) -> Decision | None:
        """Return the decision that counts; None if there is none, too few, or they differ."""
        settled = [entry for entry in self.of_field.get(key, ()) if entry.settles]
        answers = list(self.answers(key).values())
        if settled or len(answers) < self.needed or self._differ(answers):
            return settled[-1] if settled else None
        return answers[-1]

    def state(self, key: Key) -> State:
        """Return how far a field is."""
        answers = list(self.answers(key).values())
        return "done" if self.final(key) else "disputed" if self._differ(answers) else "half" if answers else "open"

    def _differ(self, answers: list[Decision]) -> bool:
        return len({(entry.kind, entry.value) for entry in answers}) > 1


class Decisions:
    """The open file of a batch; with `double`, from now on each field needs two people.

    Raises:
        InputError: The file is damaged, or does not hold decisions about this reading.
    """

    def __init__(self, folder: Path, reading: Reading, double: bool = False) -> None:
        path, self._folder = folder / FILE, folder
        keys = {(number, field.name) for number, page in enumerate(reading.pages) for field in page.fields}
        try:
            with access(path), ExitStack() as stack:
                self._connection = stack.enter_context(closing(_open(path)))
                self.standing = Standing(_prepare(self._connection, path, _identity(reading), double))
                for decision in _entries(self._connection):
                    if decision.key not in keys:
                        raise InputError("reading.decisions.another", path=path)
                    self.standing.add(decision)
                self._files = self._present()
                self.close = stack.pop_all().close
        except sqlite3.OperationalError as error:
            raise InputError(f"reading.decisions.{_problem(error)}", path=path, reason=error) from error
        except (sqlite3.Error, sqlite3.Warning, msgspec.ValidationError, UnicodeError) as error:
            raise InputError("reading.decisions.damaged", path=path, reason=error) from error

    def append(self, decision: Decision) -> None:
        """Write an entry to the disk.

        Raises:
            UnsavedError: It cannot be written, or the folder has another reading now.
        """
        row = msgspec.structs.astuple(decision)
        try:
            is_replaced = self._present() != self._files
        except OSError:
            is_replaced = True
        if is_replaced:
            raise UnsavedError("reading.decisions.replaced", path=self._folder.resolve().name)
        try:
            self._connection.execute(f"INSERT INTO decisions VALUES (NULL{', ?' * len(row)})", row)
        except sqlite3.Error as error:
            raise UnsavedError("reading.decisions.unwritable", path=FILE, reason=error) from error
        self.standing.add(decision)

    def _present(self) -> list[tuple[int, ...]]:
        """Return inodes, and size and time of the reading, by which replaced files are recognized."""
        reading, own = (self._folder.joinpath(name).stat() for name in (READING, FILE))
        return [(reading.st_dev, reading.st_ino, reading.st_size, reading.st_mtime_ns), (own.st_dev, own.st_ino)]


def decided(folder: Path, reading: Reading) -> Standing:
    """Return the decisions about a reading; there are none if nobody has looked at it. Raises as `Decisions`."""
    if not os.path.lexists(folder / FILE):
        return Standing(False)
    with closing(Decisions(folder, reading)) as decisions:
        return decisions.standing


def _open(path: Path) -> sqlite3.Connection:
    for file in (path.with_name(FILE + end) for end in ("", "-wal", "-shm", "-journal")):
        if file.is_symlink():
            raise InputError("files.link", path=file, part=file.name)
        if file.exists():
            open_regular(file, MAX_FILE).close()
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection, path: Path, identity: int, double: bool) -> bool:
    """Check the file, or fill a new one; return whether each field needs two people."""
    run = connection.execute
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "synchronous=FULL"):
        run(f"PRAGMA {pragma}")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ENTRY)
    schema = run("SELECT type, sql FROM sqlite_master LIMIT 2").fetchall()
    application, version = (run(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if not schema and not application:
        run("PRAGMA journal_mode=WAL")
        marks = f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={identity | double}"
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA}; {marks}; COMMIT")
        return double
    if application != APPLICATION or schema != [("table", SCHEMA)]:
        raise InputError("reading.decisions.foreign", path=path)
    if run("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("quick_check")
    if version & ~1 != identity:
        raise InputError("reading.decisions.another", path=path)
    if double > version & 1:
        run(f"PRAGMA user_version={identity | 1}")
    return double or version & 1 == 1


def _entries(connection: sqlite3.Connection) -> Iterator[Decision]:
    names = [field.name for field in msgspec.structs.fields(Decision)]
    for row in connection.execute(f"SELECT {', '.join(names)} FROM decisions ORDER BY id"):
        decision = msgspec.convert(dict(zip(names, row, strict=True)), Decision)
        if printable(decision.person + decision.value) != decision.person + decision.value:
            raise sqlite3.DatabaseError(printable(decision.value))
        yield decision


def _problem(error: sqlite3.Error) -> str:
    return "unwritable" if getattr(error, "sqlite_errorcode", 0) & 0xFF in DISK else "damaged"


def _identity(reading: Reading) -> int:
    """Return an even number of 31 bits for what was read, which stays the same while people check it."""
    fields = [[page.source, page.number, [field.name for field in page.fields]] for page in reading.pages]
    return zlib.crc32(msgspec.json.encode([reading.created, fields])) >> 1 & ~1
