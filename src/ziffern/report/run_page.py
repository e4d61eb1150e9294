"""The report of one run: what was trained on what, how it went, what came out, and what to try next.

Decisions: everything is worked out anew from history and predictions, so a figure changed by hand in metrics.json
is noticed, and told; a run that was killed gets a report of what is there; the verdict rests on training and
validation alone.
"""

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.calibration import coverage_at
from ziffern.analysis.classes import macro
from ziffern.analysis.fit import Fit, diagnose
from ziffern.analysis.outcome import Outcome
from ziffern.analysis.suggestions import Suggestion, suggest
from ziffern.errors import InputError
from ziffern.report.language import Language
from ziffern.runs import Run

MOST_SHOWN = 60  # misclassified digits on the page
MOST_OF_A_CONFUSION = 8
SURE = 0.99  # accuracy of the answers that the reader is told the coverage of


@dataclass(frozen=True)
class Digit:
    """A misclassified image with what was said of it."""

    image: NDArray[np.uint8]  # (28, 28)
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
        rows = self.run.history if (self.run.folder / "history.csv").is_file() else []
        try:
            return {name: np.array([row[name] for row in rows]) for name in COLUMNS}
        except KeyError as error:
            raise InputError(f"{self.run.folder / 'history.csv'}: no column {error}: it was changed by hand") from error

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
        """The epoch whose weights were kept, counted from 1; 0 where there is none."""
        score = self.history["val/loss" if self.run.config.get("monitor") == "val/loss" else "val/acc"]
        if not self.epochs:
            return 0
        best = score.argmin() if self.run.config.get("monitor") == "val/loss" else score.argmax()
        return int(self.about.get("best_epoch", best + 1))

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
        train_acc = float(self.history["train/acc"][-1]) if self.epochs else math.nan
        sure = self.outcome.reliability if self.outcome else None
        return suggest(self.fit, self.epochs, train_acc, self.run.settings, sure)

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

    @property
    def contradictions(self) -> list[str]:
        """Names of final metrics that differ from what predictions and history give."""
        if not self.run.is_finished:
            return []
        expected: dict[str, float] = {"epochs": self.epochs}
        if self.outcome is not None:
            expected |= {"test/acc": self.outcome.accuracy, "test/correct": self.outcome.correct}
            expected |= {"test/total": self.outcome.total}
        if 0 < self.kept_epoch <= self.epochs:
            expected["val/acc"] = float(self.history["val/acc"][self.kept_epoch - 1])
        metrics = self.run.metrics
        return [key for key, value in expected.items() if not math.isclose(metrics.get(key, -1), value, abs_tol=1e-6)]

    @property
    def command(self) -> str:
        """The command that trains it again; with its last checkpoint where it did not come to its end."""
        command = str(self.run.environment.get("command", "python train.py"))
        last = self.run.folder / "checkpoints/last.ckpt"
        if self.run.is_finished or not last.is_file():
            return command
        kept = [part for part in shlex.split(command) if not part.startswith("ckpt_path=")]
        return shlex.join([*kept, f"ckpt_path={last}"])


COLUMNS = ("epoch", "train/loss", "train/acc", "val/loss", "val/acc", "seconds")


def write_report(run: Run, path: Path | None = None, language: str = "en") -> Path:
    """Write the report of a run and return its path.

    Args:
        run: Finished or not.
        path: Where to; report.html in the run folder where None.
        language: en or de.

    Raises:
        InputError: The folder is no run, or a file in it was changed or is damaged.
    """
    from ziffern.report.page import write_page

    words = Language(language)
    path = path or run.folder / "report.html"
    write_page(path, "run.html", words, _context(Findings(run), words))
    return path


def _context(found: Findings, t: Language) -> dict[str, Any]:
    """Return what the template shows."""
    from ziffern.report import charts
    from ziffern.report.pictures import as_seen

    run, about, outcome, material = found.run, found.about, found.outcome, found.run.material
    curves = {}
    if found.epochs:
        for name in ("acc", "loss"):
            train, val = found.history[f"train/{name}"], found.history[f"val/{name}"]
            curves[name] = charts.learning_curve(train, val, found.kept_epoch, name == "acc", t)
    seen = [as_seen(image, material.mean, material.std) for image in material.example_image] if material else []
    settings = run.settings
    return {
        "found": found,
        "about": about,
        "outcome": outcome,
        "material": material,
        "title": t("title", model=about.get("model") or run.folder.name, data=about.get("data/name", "")),
        "published": run.config.get("published"),
        "notes": _notes(found, t),
        "curves": curves,
        "seen": seen,
        "shares": charts.share_chart(material.counts.sum(0), material.class_names, t) if material else "",
        "reliability": charts.reliability_chart(outcome.reliability, t) if outcome else "",
        "risk": charts.risk_chart(outcome.risk_coverage, t) if outcome else "",
        "sure_share": coverage_at(outcome.risk_coverage, 1 - SURE) if outcome else math.nan,
        "sure": SURE,
        "macro": macro,
        "heat": _heat(outcome.confusion) if outcome else None,
        "weak_names": ", ".join(f"{found.class_names[c]} ({t.percent(outcome.classes.f1[c])})" for c in outcome.weakest)
        if outcome
        else "",
        "shown": found.mistakes[:MOST_SHOWN],
        "settings": {key: settings[key] for key in sorted(settings) if key != "model"},
        "max_epochs": about.get("max_epochs", settings.get("trainer.max_epochs")),
    }


def _heat(confusion: NDArray[np.int64]) -> Callable[[int], int]:
    """Return how a count of mistakes is coloured, from 0 to 75 per cent of the full colour."""
    most = int((confusion * (1 - np.eye(len(confusion), dtype=np.int64))).max())
    return lambda count: round(75 * int(count) / most) if most else 0


def _notes(found: Findings, t: Language) -> list[str]:
    """Return what must not be missed."""
    about = found.about
    notes = [str(about[key]) for key in ("data/note", "data/leak") if about.get(key)]
    if not found.run.is_finished:
        notes.append(t("notes.unfinished", epochs=found.epochs, of=about.get("max_epochs", "?")))
    elif found.outcome is None:
        notes.append(t("notes.untested"))
    if found.contradictions:
        notes.append(t("notes.contradiction", names=", ".join(found.contradictions)))
    return notes
