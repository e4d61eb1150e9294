"""Reading a study from a database, which is never changed.

Decisions: Optuna's own storage creates its tables in any database that it opens, so it gets a connection that cannot
write; a SQLite file is untrusted, so views are refused, and the sizes of its tables and values and the work of a query
are limited.
"""

import sqlite3
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular
from ziffern.search.copies import StoredStudy
from ziffern.search.journal import MAX_TRIALS
from ziffern.text.catalog import Message

MAX_BYTES = 2**30
MAX_VALUE = 2**20  # bytes of a value in a SQLite file
MAX_TABLE = 2**28  # bytes of all values of a table
MAX_ROWS = 1_000_000  # of a table
MAX_STEPS = 500_000_000  # of SQLite's virtual machine, to read one study
STEPS_AT_ONCE = 1_000_000
HEADER, WAL = b"SQLite format 3\0", 2
TABLES = {"trials": MAX_TRIALS} | dict.fromkeys(
    (
        *("studies", "study_directions", "study_user_attributes", "study_system_attributes"),
        *("trial_params", "trial_values", "trial_intermediate_values"),
        *("trial_user_attributes", "trial_system_attributes", "trial_heartbeats"),
    ),
    MAX_ROWS,
)


def read_database(address: str, name: str) -> optuna.Study:
    """Return a checked copy of the study called `name` in a database, which is only read.

    The address is SQLAlchemy's, of sqlite, PostgreSQL or MySQL.

    Raises:
        InputError: It cannot be read, or there is no such study.
        OSError: A SQLite file cannot be opened.
    """
    is_file = address.startswith("sqlite:")
    source = sqlite_path(address) if is_file else Message("search.database.name")
    options: dict[str, Any] = {"execution_options": {"postgresql_readonly": True}}
    try:
        if is_file:
            connection = _connect(sqlite_path(address))
            address, options = "sqlite://", {"creator": lambda: connection}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna's warnings about invalid values, which the copy refuses
            storage = optuna.storages.RDBStorage(
                address, options, skip_table_creation=True, skip_compatibility_check=True
            )
            try:
                study = optuna.load_study(study_name=name, storage=storage)
                trials = study.get_trials(deepcopy=False)
                stored = StoredStudy(name, study.directions, study.user_attrs, study.metric_names, trials)
                return stored.checked_copy(source)
            finally:
                storage.engine.dispose()
    except InputError:
        raise
    except KeyError as error:
        raise InputError("search.database.no_study", source=source, name=name) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = str(getattr(error, "orig", None) or error).strip().partition("\n")[0] or type(error).__name__
        raise InputError("search.database.unreadable", source=source, why=cause) from error
    except Exception as error:  # Optuna may raise anything for a damaged value
        raise InputError("search.database.damaged", source=source, kind=type(error).__name__, why=error) from error


def sqlite_path(address: str) -> Path:
    """Return the file of a SQLite address.

    Raises:
        InputError: It names no file.
    """
    try:
        database = make_url(address).database
    except (SQLAlchemyError, ValueError) as error:
        raise InputError("search.storage.not_an_address") from error
    if not database or database == ":memory:" or database.startswith("file:"):
        raise InputError("search.storage.names_no_file", address=address)
    return Path(database)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a SQLite file read-only, with limits."""
    with open_regular(path, MAX_BYTES) as file:
        header = file.read(20)
    if not header.startswith(HEADER):
        raise InputError("search.database.not_sqlite", path=path)
    if header[19] == WAL:
        raise InputError("search.database.wal", path=path)
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
    connection.execute("PRAGMA trusted_schema = OFF")
    remaining = iter(range(MAX_STEPS // STEPS_AT_ONCE))
    connection.set_progress_handler(lambda: next(remaining, -1) == -1, STEPS_AT_ONCE)
    _check_tables(connection, path)
    return connection


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Raise InputError if tables of the study are too large, or are computed (views, virtual tables)."""
    computed = "SELECT name FROM sqlite_master WHERE type = 'view' OR (type = 'table' AND rootpage = 0)"
    if row := connection.execute(computed).fetchone():
        raise InputError("search.database.view", path=path, table=row[0])
    for table, limit in TABLES.items():
        query = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {limit + 1})"
        if connection.execute(query).fetchone()[0] > limit:
            raise InputError("search.database.too_many_rows", path=path, table=table, limit=limit)
        names = [row[1].replace('"', '""') for row in connection.execute(f"PRAGMA table_xinfo({table})")]
        sizes = " + ".join(f'coalesce(length(CAST("{name}" AS BLOB)), 0)' for name in names)
        size = connection.execute(f"SELECT total({sizes}) FROM {table}").fetchone()[0]
        if size > MAX_TABLE:
            raise InputError("search.database.too_large", path=path, table=table, size=int(size), limit=MAX_TABLE)
