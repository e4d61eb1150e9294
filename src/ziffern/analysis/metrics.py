"""The registry of metrics: each is declared here once and appears wherever results of a run are shown.

Decisions: a metric has a key in metrics.json, a kind (how it is checked and written), a direction, and a function that
computes it from `Evidence`; its label and explanation are `metrics.<key>` in the text catalogs. Training and the reader
of a run folder compute from the same evidence, so a value that was changed by hand is detected. Values that the files
of a run folder do not contain, such as the number of parameters, are passed in by training. No heavy import here,
because the command line reads the directions before training starts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ziffern.analysis.outcome import Outcome

COLUMNS = ("epoch", "train/loss", "train/acc", "val/loss", "val/acc", "seconds")  # of history.csv, used by scores


class Kind(StrEnum):
    """The kind of a value."""

    SHARE = "share"  # in [0, 1], written as a percentage
    DIFFERENCE = "difference"  # of two shares, in [-1, 1], written in percentage points
    SCORE = "score"  # any number
    COUNT = "count"  # a whole number of at least 0
    SECONDS = "seconds"


class Place(Flag):
    """Where a metric is shown; metrics.json contains all of them."""

    NOWHERE = 0
    SUMMARY = auto()  # cards at the top of a run's report
    CONFIDENCE = auto()  # cards of the report's section on confidence
    COMPARISON = auto()
    TERMINAL = auto()
    TENSORBOARD = auto()
    EVERYWHERE = SUMMARY | COMPARISON | TERMINAL | TENSORBOARD


def columns(rows: Sequence[Mapping[str, float]]) -> "dict[str, NDArray[np.float64]]":
    """Return the columns of history.csv, (E,) each, from its rows; empty if there are none."""
    import numpy as np

    return {name: np.array([row[name] for row in rows], np.float64) for name in COLUMNS}


@dataclass(frozen=True)
class Evidence:
    """The values from which the metrics of a run are computed."""

    history: "Mapping[str, NDArray[np.float64]]"  # columns of history.csv, (E,) each
    kept_epoch: int  # whose weights were kept, counted from 1; 0 if there is none
    outcome: "Outcome | None" = None  # predictions on the test part
    train_counts: "NDArray[np.int64] | None" = None  # (C,) training images of each class
    temperature: float | None = None  # fitted on validation images; None if the model was not calibrated


@dataclass(frozen=True)
class Metric:
    """A metric of a finished run."""

    key: str  # in metrics.json: `stage/name`, or a name alone if it belongs to no part of the data
    kind: Kind
    compute: Callable[[Evidence], float | None]  # None if the evidence is incomplete
    direction: Literal["maximize", "minimize"] | None = None  # of better values; None if neither are better
    places: Place = Place.EVERYWHERE
    is_required: bool = False  # whether every metrics.json has it, those of earlier versions included

    @property
    def stage(self) -> str:
        """The part of the data that it belongs to, such as train, val or test; empty for none."""
        return self.key.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The key as catalogs and TensorBoard write it: `test_acc`."""
        return self.key.replace("/", "_")


def _outcome(compute: "Callable[[Outcome], float]") -> Callable[[Evidence], float | None]:
    return lambda evidence: None if evidence.outcome is None else compute(evidence.outcome)


def _calibrated(compute: "Callable[[Outcome], float]") -> Callable[[Evidence], float | None]:
    """Return a function of the predictions at the fitted temperature."""

    def at_temperature(run: Evidence) -> float | None:
        return None if run.outcome is None or not run.temperature else compute(run.outcome.at(run.temperature))

    return at_temperature


def _kept(column: str) -> Callable[[Evidence], float | None]:
    def of_kept_epoch(run: Evidence) -> float | None:
        rows = (run.history["epoch"] == run.kept_epoch).nonzero()[0]  # (1,), or empty
        return float(run.history[column][rows[0]]) if len(rows) else None

    return of_kept_epoch


def _epochs(run: Evidence) -> int:
    return len(run.history["epoch"])


def _gap(run: Evidence) -> float | None:
    from ziffern.analysis.fit import accuracy_gap

    return accuracy_gap(run.history["train/acc"], run.history["val/acc"]) if _epochs(run) else None


def _baseline(run: Evidence) -> float | None:
    """Return the accuracy of always predicting the class with the most training images."""
    outcome, counts = run.outcome, run.train_counts
    if outcome is None or counts is None or len(counts) != outcome.probability.shape[1]:
        return None
    return float((outcome.target == counts.argmax()).mean())


def _seconds(run: Evidence) -> float | None:
    return round(float(run.history["seconds"].sum()), 3) if _epochs(run) else None


def _training_alone(run: Evidence) -> None:
    """Return None: no file of a run folder contains it, so training passes it in."""


COSTS = Place.SUMMARY | Place.COMPARISON | Place.TERMINAL
CONFIDENCE = Place.CONFIDENCE | Place.TENSORBOARD
METRICS: tuple[Metric, ...] = (  # in the order in which they are shown
    Metric("test/acc", Kind.SHARE, _outcome(lambda outcome: outcome.accuracy), "maximize"),
    Metric("test/f1", Kind.SHARE, _outcome(lambda outcome: outcome.macro_f1), "maximize"),
    Metric("test/acc_low", Kind.SHARE, _outcome(lambda outcome: outcome.interval[0]), places=Place.NOWHERE),
    Metric("test/acc_high", Kind.SHARE, _outcome(lambda outcome: outcome.interval[1]), places=Place.NOWHERE),
    Metric("test/correct", Kind.COUNT, _outcome(lambda outcome: outcome.correct), places=Place.NOWHERE),
    Metric("test/total", Kind.COUNT, _outcome(lambda outcome: outcome.total), places=Place.NOWHERE),
    Metric("test/loss", Kind.SCORE, _training_alone, "minimize", Place.TENSORBOARD),
    Metric("test/ece", Kind.SHARE, _outcome(lambda outcome: outcome.reliability.ece), "minimize", CONFIDENCE),
    Metric("test/nll", Kind.SCORE, _outcome(lambda outcome: outcome.nll), "minimize", CONFIDENCE),
    Metric("test/brier", Kind.SCORE, _outcome(lambda outcome: outcome.brier), "minimize", CONFIDENCE),
    Metric("temperature", Kind.SCORE, lambda run: run.temperature, places=Place.CONFIDENCE),
    Metric("test/ece_calibrated", Kind.SHARE, _calibrated(lambda each: each.reliability.ece), "minimize", CONFIDENCE),
    Metric("test/nll_calibrated", Kind.SCORE, _calibrated(lambda each: each.nll), "minimize", CONFIDENCE),
    Metric("not_digit/auroc", Kind.SHARE, _training_alone, "maximize", Place.CONFIDENCE),
    Metric("not_digit/false_positives", Kind.SHARE, _training_alone, "minimize", Place.CONFIDENCE),
    Metric("baseline/acc", Kind.SHARE, _baseline, places=Place.SUMMARY | Place.TERMINAL),
    Metric("val/acc", Kind.SHARE, _kept("val/acc"), "maximize", is_required=True),
    Metric("val/loss", Kind.SCORE, _kept("val/loss"), "minimize", Place.TENSORBOARD, is_required=True),
    Metric("train/acc", Kind.SHARE, _kept("train/acc"), "maximize", Place.NOWHERE),
    Metric("train/loss", Kind.SCORE, _kept("train/loss"), "minimize", Place.NOWHERE),
    Metric("gap", Kind.DIFFERENCE, _gap, places=Place.COMPARISON),
    Metric("params", Kind.COUNT, _training_alone, "minimize", COSTS, is_required=True),
    Metric("train_seconds", Kind.SECONDS, _seconds, "minimize", COSTS, is_required=True),
    Metric("epochs", Kind.COUNT, _epochs, places=Place.COMPARISON, is_required=True),
    Metric("best_epoch", Kind.COUNT, lambda run: run.kept_epoch, places=Place.NOWHERE, is_required=True),
)


def registered(place: Place | None = None) -> list[Metric]:
    """Return the metrics, or those shown at a place, in their order."""
    return [metric for metric in METRICS if place is None or place in metric.places]


def objectives() -> dict[str, str]:
    """Return the direction of each metric that a search may improve: validation scores and costs, never the test."""
    return {metric.key: metric.direction for metric in METRICS if metric.direction and metric.stage in ("val", "")}


def measure(evidence: Evidence) -> dict[str, float]:
    """Return each metric for which the evidence gives a finite value, by key."""
    values = ((metric.key, metric.compute(evidence)) for metric in METRICS)
    return {key: value for key, value in values if value is not None and math.isfinite(value)}
