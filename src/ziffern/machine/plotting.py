"""Imports matplotlib before anybody else does, since the import fails where the backend of another environment is set.

A notebook passes its own backend (MPLBACKEND) on to every program that it starts. Our figures are drawn without one.
"""

import os
from importlib.util import find_spec

_backend = os.environ.get("MPLBACKEND", "")
_is_missing = _backend.startswith("module://") and find_spec(_backend.removeprefix("module://").split(".")[0]) is None
if _is_missing:
    del os.environ["MPLBACKEND"]
try:
    import matplotlib  # noqa: F401
finally:
    if _is_missing:
        os.environ["MPLBACKEND"] = _backend
