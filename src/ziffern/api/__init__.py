"""The Python interface, which `import ziffern` offers: train, load, predict, read, compare."""

from ziffern.api.functions import compare, load, load_run, train
from ziffern.api.predictions import Predictions
from ziffern.api.reading import read
from ziffern.api.run import TrainedRun
from ziffern.reading.result import Reading
from ziffern.runs.comparison import Comparison
from ziffern.runs.run import Run

__all__ = ["Comparison", "Predictions", "Reading", "Run", "TrainedRun", "compare", "load", "load_run", "read", "train"]
