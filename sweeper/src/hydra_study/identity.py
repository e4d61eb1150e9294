"""The identity of a search besides its space: the sampler, the pruner and the composed job configuration.

The parts are stored with the study as flat plain values, so that a launch that differs can name the setting.
"""

import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

OTHER_CODE = "with other source code of its job: hydra.sweeper.ignore_code=true continues it all the same"
MAX_SHOWN = 100  # characters of a value in a message


def is_excepted(name: str, may_differ: Sequence[str]) -> bool:
    """Return whether a setting may differ from one launch to the next; `logger.*` covers everything below `logger`."""
    return any(fnmatchcase(name, pattern) for pattern in may_differ)


def job_settings(configs: Sequence[DictConfig], is_left_out: Callable[[str], bool]) -> dict[str, Any]:
    """Return the composed configurations of a search's example jobs as one flat mapping.

    Interpolations are not resolved. A setting that is not the same in all jobs becomes `{"any of": [its values]}`.
    Settings for which `is_left_out` is true, and Hydra's own, are left out.
    """
    values: dict[str, dict[str, Any]] = {}  # by name and by JSON: to Python, 1 and true are equal
    for config in configs:
        with read_write(config), open_dict(config):
            config.pop("hydra", None)
        for name, value in _flat(OmegaConf.to_container(config, resolve=False)):
            if not is_left_out(name):
                values.setdefault(name, {}).setdefault(json.dumps(value, sort_keys=True), value)
    distinct = {name: list(by_json.values()) for name, by_json in values.items()}
    return {name: several[0] if len(several) == 1 else {"any of": several} for name, several in distinct.items()}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf with its dotted name; a list is a leaf."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, json.loads(json.dumps(value, default=str))


def difference(
    was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "", may_differ: Sequence[str] = ()
) -> tuple[str, str] | None:
    """Return the first setting that differs, as its former `name=value` and its present value; None without any."""
    for name in dict.fromkeys([*was, *now]):
        if is_excepted(name, may_differ):
            continue
        then, today = (
            json.dumps(settings[name], sort_keys=True) if name in settings else "" for settings in (was, now)
        )
        if then != today:
            shown = f"{prefix}{name}={_short(then)}" if then else f"no {prefix}{name}"
            return shown, _short(today) or f"no {prefix}{name}"
    return None


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def code_version(task: Callable[..., Any]) -> str | None:
    """Return a hash of the source code of a job; None if there is no file.

    It covers the whole package of the job's function; for a script, this and the modules below its folder that are
    imported when a sweep starts.
    """
    function = inspect.unwrap(task)
    module = sys.modules.get(function.__module__)
    file = Path(getattr(module, "__file__", None) or "")
    if module is None or not file.is_file():
        return None
    top = (module.__package__ or module.__name__).partition(".")[0]
    package = Path(getattr(sys.modules.get(top), "__file__", None) or "")
    if package.name == "__init__.py":
        root, files = package.parent, set(package.parent.rglob("*.py"))
    else:
        imported = (Path(getattr(item, "__file__", None) or "") for item in list(sys.modules.values()))
        root = file.resolve().parent
        files = {file} | {path for path in imported if path.suffix == ".py" and _is_own(path, root)}
    digest = hashlib.sha256(function_name(task).encode())
    for path in sorted(path for path in files if path.is_file()):
        name = os.path.relpath(path.resolve(), root.resolve())
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def function_name(task: Callable[..., Any]) -> str:
    """Return the name of a job's function, or of the class of an object that is called."""
    function = inspect.unwrap(task)
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _is_own(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root) and not {"site-packages", "dist-packages"} & {*path.parts}
