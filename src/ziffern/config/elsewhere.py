"""What replaces the names of lightning-hydra-template and of Lightning, which users type out of habit."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ziffern.errors import InputError

TABLE = Path(__file__).with_suffix(".yaml")


def replacement(name: str, shown: str = "") -> InputError | None:
    """Return the error that names the replacement, or why there is nothing to set; None for other names.

    Args:
        name: A setting, such as `paths.data_dir`, an option, such as `logger=many_loggers`, or a `_target_`.
        shown: How the message names it, if not by itself.
    """
    table, shown = _table(), shown or name
    prefix, rest = name, ""
    while prefix:
        if fix := table["moved"].get(prefix):
            return InputError("config.elsewhere.replaced", name=shown, fix=fix + rest)
        if fix := table["replaced"].get(prefix):
            kind = "replaced" if isinstance(fix, str) else "choice"
            return InputError(f"config.elsewhere.{kind}", name=shown, fix=fix)
        if why := table["absent"].get(prefix):
            return InputError(f"config.elsewhere.{why}", name=shown)
        prefix = prefix.rpartition(".")[0]
        rest = name[len(prefix) :]
    return None


@cache
def _table() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return table
