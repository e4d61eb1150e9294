"""The findings on a run: scores, verdict, mistakes, and suggestions.

Decisions: scores are computed again from history and predictions, so a value that was changed by hand in metrics.json
is detected and reported; a killed run has the findings that its files allow; verdict and suggestions are based on
training and validation alone.
"""

import math
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.fit import Fit, diagnose, exceeds
from ziffern.analysis.metrics import Evidence, columns, measure
from ziffern.analysis.outcome import Outcome
from ziffern.analysis.suggestions import Suggestion, suggest
from ziffern.config.command import assignment
from ziffern.runs.run import Run
from ziffern.text.catalog import Message
from ziffern.text.printable import printable

ROUNDING = 0.002  # tolerance: seconds are written with three decimals, scores with seven


@dataclass(frozen=True)
class Mistake:
    """A misclassified image with its true and its predicted class."""

    image: NDArray[np.uint8]  # (C, H, W)
    true: str
    predicted: str
    confidence: float
    name: str = ""  # of its file


@dataclass(frozen=True)
class Findings:
    """The findings on a run, finished or not.

    Raises:
        InputError: From each property: the folder is not a run, or a file in it is damaged.
    """

    run: Run

    @cached_property
    def about(self) -> dict[str, Any]:
        """Model, data and settings; empty if the run never started."""
        return self.run.description

    @cached_property
    def history(self) -> dict[str, NDArray[np.float64]]:
        """The columns of the history, (E,) each; empty if no epoch was completed."""
        return columns(self.run.history)

    @property
    def epochs(self) -> int:
        """The number of completed epochs, E."""
        return len(self.history["epoch"])

    @cached_property
    def fit(self) -> Fit:
        """The verdict on the fit."""
        curves = (self.history[name] for name in ("train/loss", "train/acc", "val/loss", "val/acc"))
        return diagnose(*curves, is_at_baseline=self.is_at_baseline)

    @cached_property
    def is_at_baseline(self) -> bool:
        """Whether the accuracy on the validation or test part is not clearly above the most frequent class's share.

        The class is that with the most training images. False for a run without data.npz, of which this is unknown.
        """
        if self.run.material is None:
            return False
        train, val, _ = self.run.material.counts
        total, frequent, scores = int(val.sum()), train.argmax(), []
        if self.epochs and total:
            scores.append((float(self.history["val/acc"][self.kept_epoch - 1]), total, val[frequent] / total))
        if self.outcome:
            baseline = float((self.outcome.target == frequent).mean())
            scores.append((self.outcome.accuracy, self.outcome.total, baseline))
        return not all(exceeds(*score) for score in scores)

    @cached_property
    def kept_epoch(self) -> int:
        """The epoch whose weights were kept, counted from 1: the first of the best ones; 0 if there is none."""
        if not self.epochs:
            return 0
        if self.run.evaluation and self.run.evaluation["checkpoint"] == "last":
            return self.epochs
        if str(self.run.config.get("monitor")) == "val/loss":
            return int(self.history["val/loss"].argmin()) + 1
        return int(self.history["val/acc"].argmax()) + 1

    @cached_property
    def outcome(self) -> Outcome | None:
        """The predictions on the test part; None if the run was not tested."""
        return self.run.predictions.outcome if self.run.is_tested else None

    @property
    def saw_test(self) -> bool:
        """Whether the model, or the weights it started from, saw tested images, other than by validating on them."""
        validates_on_test = not self.run.evaluation and str(self.about.get("data/split")).startswith(
            "official val = test"
        )
        return bool(self.about.get("data/leak")) and not validates_on_test

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """C names; numbers if the run stopped before they were written."""
        classes = self.outcome.probability.shape[1] if self.outcome else 10
        names = self.run.material.class_names if self.run.material else ()
        return names if len(names) == classes or not self.outcome else tuple(map(str, range(classes)))

    @cached_property
    def suggestions(self) -> list[Suggestion]:
        """Settings to try next; none for an ensemble, an evaluation, or a run that stopped in its first epoch."""
        if self.run.members or self.run.evaluation or not (self.epochs or self.run.is_finished):
            return []
        train_acc = float(self.history["train/acc"][-1]) if self.epochs else math.nan
        return suggest(self.fit, self.epochs, train_acc, self.run.settings)

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The misclassified images that were kept, the most confident mistake first."""
        if self.outcome is None:
            return []
        outcome, names, predictions = self.outcome, self.class_names, self.run.predictions
        target, predicted, confidence = outcome.target, outcome.predicted, outcome.confidence
        return [
            Mistake(image, names[target[place]], names[predicted[place]], float(confidence[place]), printable(file))
            for place, image, file in zip(
                predictions.mistake, predictions.mistake_image, predictions.mistake_name.tolist(), strict=True
            )
        ]

    @cached_property
    def figures(self) -> dict[str, float]:
        """Metrics and counts, computed from predictions, history and data."""
        counts = self.run.material.counts if self.run.material else None  # (3, C)
        train_counts, temperature = None if counts is None else counts[0], self.about.get("temperature")
        figures = measure(Evidence(self.history, self.kept_epoch, self.outcome, train_counts, temperature))
        sums = [] if counts is None else counts.sum(1).tolist()
        return figures | dict(zip(("data/train", "data/val", "data/test"), sums, strict=False))

    @property
    def results(self) -> dict[str, Any]:
        """Description and metrics; `figures` replace the values in metrics.json."""
        return self.about | self.figures

    @cached_property
    def contradictions(self) -> list[str]:
        """Names of the values in metrics.json that differ from `figures`."""
        metrics = self.run.metrics if self.run.is_finished else {}
        keys = self.figures.keys() & metrics.keys()
        if not self.epochs:  # the history does not have the scores of an untrained model
            keys -= {"best_epoch"}
        return sorted(
            key
            for key in keys
            if metrics[key] is None or not math.isclose(metrics[key], self.figures[key], abs_tol=ROUNDING)
        )

    @property
    def notes(self) -> list[Message]:
        """Notes: the run is an ensemble, an evaluation, incomplete or not tested, or its metrics.json was changed."""
        notes = []
        if members := self.run.members:
            notes.append(Message("runs.note.ensemble", count=len(members), members=members))
        if evaluation := self.run.evaluation:
            notes.append(Message("runs.note.evaluation", **evaluation, data=str(self.about.get("data/name", "?"))))
        if source := self.run.settings.get("init_from"):
            fingerprint = str(self.about.get("init_from", "?"))
            notes.append(Message("runs.note.init_from", source=str(source), fingerprint=fingerprint))
        if not self.run.is_finished:
            code = "runs.note.was_pruned" if self.run.was_pruned else "runs.note.incomplete"
            notes.append(Message(code, epochs=self.epochs, max_epochs=self.about.get("max_epochs", "?")))
        elif self.outcome is None:
            notes.append(Message("runs.note.test_skipped"))
        if self.contradictions:
            notes.append(Message("runs.note.changed", names=self.contradictions))
        return notes

    @property
    def threads(self) -> int | None:
        """The CPU threads that the results depend on; None if a GPU trained it, or if they are unknown."""
        return self.run.threads if self.run.environment.get("device", "cpu") == "cpu" else None

    @property
    def is_resumable(self) -> bool:
        """Whether `command` continues an incomplete run from its last checkpoint."""
        return not self.run.is_finished and (self.run.folder / "checkpoints/last.ckpt").is_file()

    @property
    def command(self) -> str:
        """The command that trains it again, or continues it if it is incomplete."""
        checkpoint = [assignment("ckpt_path", self.run.folder / "checkpoints/last.ckpt")] if self.is_resumable else []
        return shlex.join([*self._command, *checkpoint])

    def command_with(self, override: str) -> str:
        """Return the command that trains it again with another setting, such as `trainer.max_epochs=5`."""
        key = override.partition("=")[0]
        return shlex.join([*(item for item in self._command if item.partition("=")[0].lstrip("+") != key), override])

    @cached_property
    def _command(self) -> list[str]:
        """The command of this run alone, also if it was part of a sweep."""
        start = str(self.run.environment.get("command", "")).split(" ")[:2]
        program = start if start in (["ziffern", "train"], ["python", "train.py"]) else ["python", "train.py"]
        overrides = self.run.overrides
        if overrides is None:
            overrides = [f"model={self.about['model']}"] if self.about.get("model") else []
        overrides = [item for item in overrides if not item.startswith("ckpt_path=")]
        if self.threads and f"threads={self.threads}" not in overrides:
            overrides = [*(item for item in overrides if not item.startswith("threads=")), f"threads={self.threads}"]
        return [*program, *overrides]
