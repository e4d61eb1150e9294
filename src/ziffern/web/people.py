"""The file of those who may use a shared page: names and hashed passwords.

Decisions: passwords are hashed with scrypt, at one fixed cost, so that checking an unknown name takes as long as
checking a known one. A line with a plain password is refused instead of converted: starting the page should not rewrite
the file, and the plain password would remain in backups unnoticed.
"""

import getpass
import hashlib
import hmac
import os
import re
import secrets
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from ziffern.errors import InputError
from ziffern.files.atomic import write_atomically
from ziffern.files.untrusted import read_bytes
from ziffern.text.catalog import Message
from ziffern.text.printable import printable

PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
MIN_PASSWORD = 8  # characters
MAX_PASSWORD = 1024  # characters
MAX_FILE = 2**20  # bytes
# One of OWASP's recommended settings (Password Storage Cheat Sheet): 32 MiB of memory, and 0.3 s on a slow core.
COST, BLOCK, PASSES, KEY = 2**15, 8, 3, 32
PREFIX = f"scrypt${COST.bit_length() - 1}${BLOCK}${PASSES}$"
HASHED = re.compile(re.escape(PREFIX) + r"([A-Za-z0-9+/]{22})==\$([A-Za-z0-9+/]{43})=")


def hashed(password: str, salt: bytes | None = None) -> str:
    """Return the hash of a password, `scrypt$15$8$3$SALT$KEY`; the salt is random unless given."""
    salt = secrets.token_bytes(16) if salt is None else salt
    memory = 2 * 128 * COST * BLOCK  # bytes; scrypt takes half of it
    key = hashlib.scrypt(password.encode(), salt=salt, n=COST, r=BLOCK, p=PASSES, dklen=KEY, maxmem=memory)
    return f"{PREFIX}{b64encode(salt).decode()}${b64encode(key).decode()}"


NOBODY = f"{PREFIX}{b64encode(bytes(16)).decode()}${b64encode(bytes(KEY)).decode()}"  # matches no password


def verify(people: Mapping[str, str], name: str, password: str) -> bool:
    """Return whether a password is right; this takes as long for an unknown name as for a known one."""
    known = people.get(name, NOBODY)
    salt = b64decode(known.split("$")[4])
    is_equal = hmac.compare_digest(hashed(password[:MAX_PASSWORD], salt).encode(), known.encode())
    return is_equal and name in people and len(password) <= MAX_PASSWORD


def read_people(path: Path) -> dict[str, str]:
    """Return the names and hashed passwords of a file of lines `NAME:scrypt$...`.

    Raises:
        InputError: The file cannot be read, or a line is not of that form.
    """
    people: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, password = line.rstrip().partition(":")
        where: dict[str, object] = {"path": path, "line": number}
        if not PERSON.fullmatch(name):
            raise InputError("web.people.name", **where, command=_command("NAME", path))
        if not HASHED.fullmatch(password):
            raise InputError("web.people.not_hashed", **where, name=name, command=_command(name, path))
        if _is_taken(name, people):
            raise InputError("web.people.twice", **where, name=name)
        people[name] = password
    if not people:
        raise InputError("web.people.nobody", path=path, command=_command("NAME", path))
    return people


def add_person(path: Path, name: str) -> bool:
    """Ask for a password, and write a person's line into a file, which only its owner can read afterwards.

    Returns:
        Whether the name is new; otherwise its password was replaced.

    Raises:
        InputError: The name or the password does not fit, or the file cannot be read.
        OSError: The file cannot be written.
    """
    if not PERSON.fullmatch(name):
        raise InputError("web.people.new_name", name=name)
    lines = _lines(path) if path.exists() else []
    names = [line.partition(":")[0] for line in lines]
    if name not in names and _is_taken(name, names):
        raise InputError("web.people.other_case", name=name)
    line = f"{name}:{hashed(_ask(name))}"
    kept = [line if known == name else old for old, known in zip(lines, names, strict=True)]
    text = "\n".join(kept if name in names else [*lines, line]) + "\n"

    def write(file: IO[bytes]) -> None:
        os.fchmod(file.fileno(), 0o600)
        file.write(text.encode())

    write_atomically(path, write)
    return name not in names


def _ask(name: str) -> str:
    """Return a password that was typed twice in a terminal, or is the first line of the standard input."""
    if sys.stdin.isatty():
        try:
            password = getpass.getpass(f"Password of {name}: ")
            again = getpass.getpass("The same again: ")
        except EOFError as error:
            raise InputError("web.people.no_password", name=name) from error
        if again != password:
            raise InputError("web.people.passwords_differ", name=name)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD or printable(password) != password:
        raise InputError("web.people.password", name=name, low=MIN_PASSWORD, high=MAX_PASSWORD)
    return password


def _is_taken(name: str, known: Mapping[str, str] | list[str]) -> bool:
    """Return whether a name is known, ignoring case: the two would share a folder on some systems."""
    return name.casefold() in (other.casefold() for other in known)


def _command(name: str, path: Path) -> str:
    return f"ziffern studio --add-person {name} --people {printable(path)}"


def _lines(path: Path) -> list[str]:
    try:
        return read_bytes(path, MAX_FILE).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error if isinstance(error, OSError) else Message("web.people.not_utf8")
        raise InputError("web.people.unreadable", path=path, why=why) from error
