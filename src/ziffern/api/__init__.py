"""The Python interface, which `import ziffern` offers: train, load, predict, read, compare.

Decision: each name is imported when it is used, because reading pages needs no torch, which takes seconds and 500 MB.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ziffern.api.functions import compare, load, load_run, train
    from ziffern.api.predictions import Predictions
    from ziffern.api.reading import read
    from ziffern.api.run import TrainedRun
    from ziffern.reading.result import Reading
    from ziffern.runs.comparison import Comparison
    from ziffern.runs.run import Run

_MODULES = {
    "Comparison": "ziffern.runs.comparison",
    "Predictions": "ziffern.api.predictions",
    "Reading": "ziffern.reading.result",
    "Run": "ziffern.runs.run",
    "TrainedRun": "ziffern.api.run",
    "compare": "ziffern.api.functions",
    "load": "ziffern.api.functions",
    "load_run": "ziffern.api.functions",
    "read": "ziffern.api.reading",
    "train": "ziffern.api.functions",
}
__all__ = ["Comparison", "Predictions", "Reading", "Run", "TrainedRun", "compare", "load", "load_run", "read", "train"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'ziffern.api' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
