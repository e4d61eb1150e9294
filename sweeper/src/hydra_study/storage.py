"""The storage of a study, and a lock on it that is released when its holder dies."""

import hashlib
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hydra_study.errors import SweepError

JOURNAL = "study.journal"
LONG_WAIT = 30  # seconds of waiting before a line is printed
LOCK_SQL = {  # advisory locks: released with the connection
    "postgresql": "SELECT pg_advisory_xact_lock(:key)",
    "mysql": "SELECT GET_LOCK(:key, :seconds)",
    "mariadb": "SELECT GET_LOCK(:key, :seconds)",
}
RETRIED = (OSError, SQLAlchemyError, StorageInternalError)
DAMAGED = (ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError, RecursionError)
T = TypeVar("T")


class Journal(JournalFileBackend):
    """A journal file that survives a full disk and a kill in the middle of a write.

    Optuna's own appends to a half-written line, which no process can read any more, and its lock outlives a
    killed holder by 30 s; the kernel releases this one.
    """

    def __init__(self, path: Path) -> None:
        self._path, lock = path, FileLock(f"{path}.lock")
        super().__init__(str(path), lock)  # type: ignore[arg-type] # acquire() and release() are all it calls
        self._file_lock = lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append whole lines, or nothing."""
        with self._file_lock:
            size = self._whole()
            try:
                super().append_logs(logs)
            except OSError:
                os.truncate(self._path, size)
                raise

    def _whole(self) -> int:
        """Cut off a half-written last line, and return the file's size."""
        with self._path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                return 0
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.seek(0)
                size = file.read().rfind(b"\n") + 1
                file.truncate(size)
            return size


class Storage:
    """A study's storage: how to open it, and its lock.

    Args:
        url: None or a path for a journal file, otherwise an SQLAlchemy address.
        folder: The sweep folder, where the journal and the locks of files lie.
        grace_period: Seconds without a heartbeat after which a worker is considered dead; needs a database.

    Raises:
        SweepError: The address cannot be used.
    """

    def __init__(self, url: str | None, folder: Path, grace_period: int) -> None:
        self.grace_period, self.folder = grace_period, folder
        self.url = url if url and "://" in url else None
        if url and not self.url and ":/" in url:
            raise SweepError(f"hydra.sweeper.storage={url}: not an address: write sqlite:///FILE, with three slashes")
        self.path = (Path(url) if url and not self.url else folder / JOURNAL).absolute()  # a job may change folder
        self.backend = "journal"
        if self.url:
            self.backend = self._check(self.url)
        elif self.path.exists() and not self.path.is_file():
            raise SweepError(f"hydra.sweeper.storage: {self.path}: not a file")
        self.is_local = self.backend not in LOCK_SQL
        self.lock_file = self.path.with_name(self.path.name + ".sweep.lock")
        # Beside a local storage, so that all its users find them, and a folder that is moved takes them along.
        self.workers = (
            self.path.with_name(self.path.name + ".workers") if self.is_local else folder.absolute() / ".workers"
        )

    def _check(self, url: str) -> str:
        try:
            address = make_url(url)
        except (ArgumentError, ValueError):
            raise SweepError("hydra.sweeper.storage: not an address: write sqlite:///FILE, or leave it out") from None
        backend = address.get_backend_name()
        account = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
        _secrets.update(part for part in (account, *account.split("@")) if part)
        if backend == "sqlite":
            if not address.database or ":memory:" in address.database:
                raise SweepError(f"hydra.sweeper.storage={url}: must be a file that outlives the process")
            self.path = Path(address.database).absolute()
            self.url = address.set(database=str(self.path)).render_as_string(hide_password=False)
        elif backend not in LOCK_SQL:
            raise SweepError(f"hydra.sweeper.storage: {backend}: must be a journal file, sqlite, postgresql or mysql")
        try:
            address.get_dialect().import_dbapi()
        except (ImportError, SQLAlchemyError) as error:
            raise SweepError(
                f"hydra.sweeper.storage: {backend} needs a driver that is not installed: {error}"
            ) from None
        return backend

    def open(self) -> BaseStorage:
        """Open the storage; create its file or tables if they do not exist."""
        if self.url is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return JournalStorage(Journal(self.path))
            except DAMAGED as error:
                cause = str(error) or "a line contradicts others"
                raise SweepError(f"hydra.sweeper.storage: {self.path}: not a study's journal ({cause})") from error
        options: dict[str, Any] = {"pool_pre_ping": True}
        if self.backend == "sqlite":
            self.lock_file.parent.mkdir(parents=True, exist_ok=True)
            options["connect_args"] = {"timeout": 60}
        with self.lock("tables"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return get_storage(
                RDBStorage(
                    self.url,
                    engine_kwargs=options,
                    heartbeat_interval=max(1, self.grace_period // 4),
                    grace_period=self.grace_period,
                )
            )

    @contextmanager
    def lock(self, name: str, max_seconds: int | None = None) -> Iterator[Callable[[], None]]:
        """Hold the lock `name`, to the exclusion of all other processes on any machine.

        Args:
            name: Its name.
            max_seconds: Seconds to wait for it; None waits as long as it takes.

        Raises:
            OSError or SQLAlchemyError: It was held by others for longer than that.

        Yields:
            A function that raises SQLAlchemyError if the lock was lost with the connection that held it.
        """
        if self.is_local:
            self.lock_file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.lock_file)
            try:
                while not lock.is_locked:
                    try:
                        lock.acquire(timeout=LONG_WAIT if max_seconds is None else max_seconds)
                    except Timeout:
                        if max_seconds is not None:
                            raise
                        print(f"waiting for the process that holds {self.lock_file}", flush=True)
                yield lambda: None
            finally:
                lock.release(force=True)  # also if an interrupt came before the lock was counted
            return
        digest = hashlib.sha256(name.encode()).digest()[:8]
        key = int.from_bytes(digest, signed=True) if self.backend == "postgresql" else digest.hex()
        engine = create_engine(str(self.url), poolclass=NullPool)
        with engine.connect() as connection:
            values: dict[str, Any] = {"key": key}
            if self.backend != "postgresql":
                values["seconds"] = 2147483 if max_seconds is None else max_seconds
            elif max_seconds is not None:
                connection.execute(text(f"SET LOCAL lock_timeout = '{max_seconds}s'"))
            if connection.execute(text(LOCK_SQL[self.backend]), values).scalar() == 0:  # MySQL: timed out
                raise TimeoutError(f"lock {name}")
            yield lambda: connection.execute(text("SELECT 1")).close()


_secrets: set[str] = set()  # parts of the passwords of this process's storages


def hidden(text: str) -> str:
    """Return a message with possible parts of a password masked: a driver quotes what it cannot parse."""
    for part in sorted(_secrets, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def patiently(do: Callable[[], T], seconds: float, show: Callable[[str], None] = print) -> T:
    """Return the result of `do`, trying again for `seconds` while its storage is unreachable or full.

    Raises:
        SweepError: The storage stayed so for longer.
    """
    end, wait = time.monotonic() + seconds, 0.1
    while True:
        try:
            return do()
        except RETRIED as error:
            reason = hidden(str(getattr(error, "orig", None) or error).strip().splitlines()[0])
            if time.monotonic() > end:
                raise SweepError(
                    f"the study's storage: {reason}: once it is available again, the same command continues the study"
                ) from error
            if wait > 1:  # a short wait is not worth a line
                show(f"waiting for the study's storage ({reason})")
            time.sleep(wait)
            wait = min(2 * wait, 10)
