"""The user's own packages, whose classes a configuration may name.

Decisions: a package is allowed by the setting `targets` of a run that is being started, or by an environment variable,
never by the configuration in a run folder; it may lie in the working directory, which is searched last, so that nothing
there replaces an installed package.
"""

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from ziffern.errors import InputError

EXTRA = "ZIFFERN_TARGETS"  # the environment variable with more packages, comma-separated; a file cannot set it
PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
RESULTS = (".hydra", "multirun.yaml", "metrics.json", "optimization_results.yaml")  # in folders that ziffern writes
_targets: ContextVar[tuple[str, ...]] = ContextVar("targets", default=())


def allow_targets(packages: object) -> None:
    """Allow the classes of these packages, the setting `targets`, from now on in this context.

    Raises:
        InputError: It is not a list of names of packages, or a package would not be found.
    """
    names = list(packages) if isinstance(packages, Iterable) and not isinstance(packages, str) else []
    is_list = all(isinstance(name, str) and PACKAGE.fullmatch(name) for name in names)
    if not is_list or (packages and not names):
        raise InputError("config.target.no_package", value=str(packages))
    _targets.set(tuple(names))
    own_prefixes()
    for top in (name.partition(".")[0] for name in names):
        spec, folder = importlib.util.find_spec(top), working_folder()
        if spec is None:
            raise InputError("config.target.absent", name=top, folder=folder)
        has_own = (folder / f"{top}.py").is_file() or any((folder / top).glob("*.py"))
        if has_own and not _is_within(spec, folder):
            raise InputError("config.target.shadowed", name=top, folder=folder)


def own_prefixes() -> tuple[str, ...]:
    """Return the prefixes of the user's own classes; makes the working directory importable."""
    names = [name.strip(". ") for name in os.environ.get(EXTRA, "").split(",")]
    prefixes = tuple(f"{name}." for name in (*names, *_targets.get()) if name)
    if prefixes and (folder := str(working_folder())) not in sys.path:
        sys.path.append(folder)
        importlib.invalidate_caches()
    return prefixes


def working_folder() -> Path:
    """Return the folder from which this process was started, also with hydra.job.chdir."""
    return Path(HydraConfig.get().runtime.cwd) if HydraConfig.initialized() else Path.cwd()


def is_own(package: object, file: Path) -> bool:
    """Return whether a configuration file may allow a package: one in the working directory, not in a run's files.

    Args:
        package: The value of the setting.
        file: The configuration file.
    """
    if not isinstance(package, str) or not PACKAGE.fullmatch(package):
        return False
    if any((folder / name).exists() for folder in file.resolve().parents for name in RESULTS):
        return False
    top, here = package.partition(".")[0], Path.cwd()
    sys.path.append(str(here))
    try:
        importlib.invalidate_caches()
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    finally:
        sys.path.pop()
    return spec is not None and _is_within(spec, here)


def _is_within(spec: ModuleSpec, folder: Path) -> bool:
    """Return whether all files of a package lie in a folder."""
    places = list(spec.submodule_search_locations or ([spec.origin] if spec.has_location and spec.origin else []))
    return bool(places) and all(Path(place).resolve().is_relative_to(folder.resolve()) for place in places)
