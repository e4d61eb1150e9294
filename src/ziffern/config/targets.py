"""Which classes a configuration may name.

Decisions: a `_target_` may come from a file that somebody else wrote, so only classes defined in the packages listed
here are called, and only where their kind belongs; Hydra's own block list would allow
`pathlib.Path.unlink`.
"""

import importlib
import inspect
import os
import pkgutil
from typing import Any

from ziffern.config import suggestion
from ziffern.errors import InputError

ALLOWED = ("ziffern.", "torch.nn.", "torch.optim.", "pytorch_lightning.")
EXTRA = "ZIFFERN_TARGETS"  # the environment variable with more prefixes, comma-separated; a file cannot set it
KINDS = {  # base classes allowed in each part of the configuration; elsewhere, any of these
    "model": ("torch.nn.Module", "torch.optim.Optimizer", "torch.optim.lr_scheduler.LRScheduler"),
    "data": (
        "pytorch_lightning.LightningDataModule",
        *(f"ziffern.data.sources.source.{name}" for name in ("Embedded", "Local", "Torchvision")),
    ),
    "callbacks": ("pytorch_lightning.Callback",),
    "logger": ("pytorch_lightning.loggers.Logger",),
    "trainer": (
        *("pytorch_lightning.Trainer", "pytorch_lightning.strategies.Strategy"),
        "pytorch_lightning.profilers.Profiler",
    ),
}


def allowed_class(target: Any, key: str) -> type:
    """Return the class that a `_target_` names; `key` is its place in the configuration, such as `model.net._target_`.

    Raises:
        InputError: It does not exist, is not a class of an allowed package, or does not belong there.
    """
    allowed = ALLOWED + tuple(f"{extra.strip('. ')}." for extra in os.environ.get(EXTRA, "").split(",") if extra)
    name = str(target)
    if not name.startswith(allowed):
        raise InputError("config.target.other_package", key=key, target=name, allowed=ALLOWED, variable=EXTRA)
    module, _, attribute = name.rpartition(".")
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        known = dir(importlib.import_module(module)) if isinstance(error, AttributeError) else []
        near = suggestion(attribute, known)
        raise InputError("config.target.missing", key=key, target=name, reason=error, near=near) from error
    # The package that defines it counts, not the path: `ziffern.runs.run.shutil` is not ours.
    if not inspect.isclass(value) or not f"{value.__module__}.".startswith(allowed):
        raise InputError("config.target.not_a_class", key=key, target=name)
    names = KINDS.get(key.partition(".")[0]) or [name for kinds in KINDS.values() for name in kinds]
    if value.__module__.startswith(ALLOWED) and not issubclass(value, tuple(map(pkgutil.resolve_name, names))):
        raise InputError("config.target.wrong_place", key=key, target=name)
    return value
