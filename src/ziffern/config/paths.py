"""Settings that are paths: `~` is the home folder, and relative paths start in the launch folder.

Decision: the name of a setting determines whether it is a path, also in classes of the user's own.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

NAME = re.compile(r"(^|[._])(dir|path|root|file|dirpath|uri|init_from)$")
SQLITE = "sqlite:///"  # a relative path follows, or the fourth slash of an absolute one


def expanded(path: str) -> str:
    """Return a path with `~` at its start replaced by the home folder."""
    return os.path.expanduser(path)  # noqa: PTH111  # leaves ~x as it is where there is no user x


def resolve_paths(cfg: DictConfig, launch: Path) -> None:
    """Expand `~` in every setting that is a path, and make relative ones start at `launch` if it is another folder."""
    moved = launch != Path.cwd()
    for node, key, value in list(_texts(cfg)):
        path = expanded(value)
        if moved and path.startswith(SQLITE) and not path.startswith(f"{SQLITE}/"):
            path = f"{SQLITE}{launch / path.removeprefix(SQLITE)}"
        elif moved and "://" not in path:
            path = str(launch / path)
        if path != value:
            with open_dict(node):
                node[key] = path


def expand_home(node: DictConfig, key: str) -> None:
    """Expand `~` at the start of one setting."""
    value = OmegaConf.to_container(node, resolve=False)[key]  # type: ignore[call-overload, index]
    if isinstance(value, str) and value.startswith("~"):
        node[key] = expanded(value)


def _texts(node: Any) -> Iterator[tuple[DictConfig, str, str]]:
    """Yield each path that is written out, with its mapping and key; interpolations follow their own setting."""
    if isinstance(node, DictConfig):
        for key in map(str, node):
            if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
                continue
            if isinstance(value := node[key], str) and NAME.search(key) and "${" not in value and value:
                yield node, key, value
            yield from _texts(value)
    elif isinstance(node, ListConfig):
        for item in node:
            yield from _texts(item)
