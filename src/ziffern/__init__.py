"""ziffern: train, compare, explain and use small classifiers of handwritten digits.

    import ziffern as zf

    run = zf.train("model=cnn", "trainer.max_epochs=3")
    print(run.metrics["test/acc"])
    print(run.predict("digits/").to_frame())
    print(zf.read("form.pdf", template="form.yaml").to_frame())

What is listed in `__all__` is the public interface: it changes only with a line in the changelog, and for one minor
version an old name stays. Everything else may change. Nothing heavy is imported before it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ziffern.api import Comparison, Predictions, Reading, Run, TrainedRun, compare, load, load_run, read, train
    from ziffern.errors import InputError

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "InputError",
    "Predictions",
    "Reading",
    "Run",
    "TrainedRun",
    "__version__",
    "compare",
    "load",
    "load_run",
    "read",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ziffern' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module("ziffern.errors" if name == "InputError" else "ziffern.api"), name)


def __dir__() -> list[str]:
    return __all__
