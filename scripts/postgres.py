"""A temporary PostgreSQL server on the loopback interface, for tests and measurements."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest of Debian's first; None if it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    on_path = shutil.which("initdb")
    return debian[0].parent if debian else Path(on_path).parent if on_path else None


@contextmanager
def server() -> Iterator[str]:
    """Run a server with an empty database; yield its address for SQLAlchemy.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """
    programs = binaries()
    if programs is None:
        raise FileNotFoundError("PostgreSQL is not installed: apt-get install postgresql")
    # It refuses to run as root; Debian's package creates the user postgres.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder, socket.socket() as probe:
        Path(folder).chmod(0o777)
        data = f"{folder}/data"
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()

        def control(program: str, *arguments: str) -> None:
            subprocess.run(
                [*as_user, str(programs / program), *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL
            )

        control("initdb", "-D", data, "-U", "ziffern", "--auth=trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories={folder}"
        control("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://ziffern@127.0.0.1:{port}/postgres"
        finally:
            control("pg_ctl", "-D", data, "-m", "immediate", "stop")
