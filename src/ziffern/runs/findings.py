"""What follows from a run: scores, verdict, mistakes, and what to try next.

Decisions: scores are worked out anew from history and predictions, so one that was changed by hand in metrics.json is
noticed, and told; a run that was killed has the findings of what is there; the verdict and what to try next rest on
training and validation alone.
"""

import math
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.fit import Fit, diagnose
from ziffern.analysis.outcome import Outcome
from ziffern.analysis.suggestions import Suggestion, suggest
from ziffern.runs.run import Run

MOST_OF_A_CONFUSION = 8
ROUNDING = 0.002  # seconds are written with three decimals, scores with seven
COLUMNS = ("epoch", "train/loss", "train/acc", "val/loss", "val/acc", "seconds")


@dataclass(frozen=True)
class Digit:
    """A misclassified image with what was said of it."""

    image: NDArray[np.uint8]  # (C, H, W)
    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Findings:
    """What can be said of a run, from whatever is in its folder.

    Raises:
        InputError: From each property: the folder is no run, or a file in it was changed or is damaged.
    """

    run: Run

    @cached_property
    def about(self) -> dict[str, Any]:
        """What was trained on what; empty for a run that never started."""
        return self.run.description

    @cached_property
    def history(self) -> dict[str, NDArray[np.float64]]:
        """The columns of the history, (E,) each; empty where no epoch was finished."""
        rows = self.run.history if self.run.has_history else []
        return {name: np.array([row[name] for row in rows]) for name in COLUMNS}

    @property
    def epochs(self) -> int:
        """Epochs finished."""
        return len(self.history["epoch"])

    @cached_property
    def fit(self) -> Fit:
        """The verdict on the fit."""
        return diagnose(*(self.history[name] for name in ("train/loss", "train/acc", "val/loss", "val/acc")))

    @cached_property
    def kept_epoch(self) -> int:
        """The epoch whose weights were kept, counted from 1: the first of the best; 0 where there is none."""
        if not self.epochs:
            return 0
        if str(self.run.config.get("monitor")) == "val/loss":
            return int(self.history["val/loss"].argmin()) + 1
        return int(self.history["val/acc"].argmax()) + 1

    @cached_property
    def outcome(self) -> Outcome | None:
        """What it said of the test part; None where it was not tested."""
        return self.run.predictions.outcome if self.run.is_tested else None

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """C names; numbers where the run did not come to write them."""
        classes = self.outcome.probability.shape[1] if self.outcome else 10
        names = self.run.material.class_names if self.run.material else ()
        return names if len(names) == classes or not self.outcome else tuple(map(str, range(classes)))

    @cached_property
    def suggestions(self) -> list[Suggestion]:
        """What to try next."""
        if self.run.members or not (self.epochs or self.run.is_finished):  # stopped, and whoever did so knows
            return []
        train_acc = float(self.history["train/acc"][-1]) if self.epochs else math.nan
        return suggest(self.fit, self.epochs, train_acc, self.run.settings)

    @cached_property
    def mistakes(self) -> list[Digit]:
        """The misclassified digits whose pictures were kept, the most confident first."""
        if self.outcome is None:
            return []
        said, predictions = self.outcome, self.run.predictions
        return [
            Digit(
                image,
                self.class_names[said.target[place]],
                self.class_names[said.predicted[place]],
                float(said.confidence[place]),
            )
            for place, image in zip(predictions.mistake, predictions.mistake_image, strict=True)
        ]

    def confused(self, true: int, predicted: int) -> list[Digit]:
        """Return pictures of one confusion."""
        names = self.class_names[true], self.class_names[predicted]
        return [digit for digit in self.mistakes if (digit.true, digit.predicted) == names][:MOST_OF_A_CONFUSION]

    @cached_property
    def figures(self) -> dict[str, float]:
        """Metrics as predictions, history and counts give them, as far as they do."""
        found: dict[str, float] = {"epochs": self.epochs}
        if self.epochs:
            found |= {"best_epoch": self.kept_epoch, "train_seconds": float(self.history["seconds"].sum())}
            kept = self.kept_epoch - 1
            found |= {key: float(self.history[key][kept]) for key in ("val/acc", "val/loss", "train/acc", "train/loss")}
        material, outcome = self.run.material, self.outcome
        if material is not None:
            counts = material.counts.sum(1).tolist()
            found |= {f"data/{part}": count for part, count in zip(("train", "val", "test"), counts, strict=True)}
        if outcome is not None:
            found |= {"test/acc": outcome.accuracy, "test/correct": outcome.correct, "test/total": outcome.total}
            found |= {"test/acc_low": outcome.interval.low, "test/acc_high": outcome.interval.high}
        if material is not None and outcome is not None and len(material.class_names) == outcome.probability.shape[1]:
            found["baseline/acc"] = float(np.mean(outcome.target == material.counts[0].argmax()))
        return found

    @property
    def contradictions(self) -> list[str]:
        """Names of final metrics that differ from what the run's other files give."""
        metrics = self.run.metrics if self.run.is_finished else {}
        given = {key: metrics[key] for key in self.figures.keys() & metrics.keys()}
        if not self.epochs:  # an untrained model's scores are in no history
            given.pop("best_epoch", None)
        return sorted(
            key
            for key, value in given.items()
            if value is None or not math.isclose(value, self.figures[key], abs_tol=ROUNDING)
        )

    @property
    def threads(self) -> int | None:
        """CPU threads that its results depend on; None where a GPU trained it, or where they are not known."""
        return self.run.threads if self.run.environment.get("device", "cpu") == "cpu" else None

    @property
    def is_continued(self) -> bool:
        """Whether `command` takes an unfinished run up where it stopped."""
        return not self.run.is_finished and (self.run.folder / "checkpoints/last.ckpt").is_file()

    @property
    def command(self) -> str:
        """The command that trains it again; or that takes it up again where it did not come to its end."""
        more = [f"ckpt_path={self.run.folder / 'checkpoints/last.ckpt'}"] if self.is_continued else []
        return shlex.join([*self._typed, *more])

    def changed(self, override: str) -> str:
        """Return the command that trains it with another setting, an override as it is typed."""
        (plain,) = shlex.split(override)
        key = plain.partition("=")[0]
        return shlex.join([*(item for item in self._typed if item.partition("=")[0] != key), plain])

    @cached_property
    def _typed(self) -> list[str]:
        """The command of this run alone, in words."""
        start = str(self.run.environment.get("command", "")).split(" ")[:2]
        known = start if start in (["ziffern", "train"], ["python", "train.py"]) else ["python", "train.py"]
        overrides = self.run.overrides
        if overrides is None:
            overrides = [f"model={self.about['model']}"] if self.about.get("model") else []
        typed = [item for item in overrides if not item.startswith("ckpt_path=")]
        if self.threads and f"threads={self.threads}" not in typed:
            typed = [*(item for item in typed if not item.startswith("threads=")), f"threads={self.threads}"]
        return [*known, *typed]
