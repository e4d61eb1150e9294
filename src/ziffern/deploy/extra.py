"""Packages that only some commands need."""

from importlib.util import find_spec

from ziffern.errors import InputError


def require(extra: str, *packages: str) -> None:
    """Check that the packages of an extra of pyproject.toml are installed.

    Raises:
        InputError: One is missing; the message has the command that installs it.
    """
    for package in packages:
        if find_spec(package) is None:
            raise InputError("deploy.extra.missing", package=package, extra=extra)
