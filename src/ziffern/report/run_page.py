"""The report of one run: what was trained on what, how it went, what came out, and what to try next.

Decisions: scores are worked out anew from history and predictions, so one that was changed by hand in metrics.json is
noticed, and told; a run that was killed gets a report of what is there; the verdict and what to try next rest on
training and validation alone.
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
from ziffern.analysis.fit import WINDOW, Fit, Verdict, diagnose
from ziffern.analysis.outcome import Outcome
from ziffern.analysis.suggestions import Suggestion, suggest
from ziffern.report.language import LANGUAGES, Language
from ziffern.report.messages import translated
from ziffern.runs import Run

MOST_SHOWN = 60  # misclassified digits on the page
MOST_OF_A_CONFUSION = 8
ROUNDING = 0.002  # seconds are written with three decimals, scores with seven
SURE = 0.99  # accuracy of the answers that the reader is told the coverage of
COLUMNS = ("epoch", "train/loss", "train/acc", "val/loss", "val/acc", "seconds")
PUBLISHED = {  # figures that recipes give, and how they are written
    "test/acc": "percent",
    "val/acc": "percent",
    "baseline/acc": "percent",
    "params": "number",
    "epochs": "number",
    "train_seconds": "duration",
    "gap": "points",
}


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


def write_report(run: Run, path: Path | None = None, language: str | None = None) -> Path:
    """Write the report of a run and return its path.

    Args:
        run: Finished or not.
        path: Where to; report.html in the run folder where None.
        language: en or de; where None, that of the run's own report.

    Raises:
        InputError: The folder is no run, or a file in it was changed or is damaged.
    """
    from ziffern.report.page import write_page

    own = run.config.get("report")  # also tells whether this is a run at all
    words = Language(language or (own if own in LANGUAGES else "en"))
    path = path or run.folder / "report.html"
    write_page(path, "run.html", words, page_context(Findings(run), words))
    return path


def page_context(found: Findings, t: Language) -> dict[str, Any]:
    """Return what the template shows."""
    from ziffern.report.pictures import as_seen

    run, about, outcome, material = found.run, found.about, found.outcome, found.run.material
    settings = run.settings
    f1 = outcome.classes.f1 if outcome else np.zeros(0)
    weakest = outcome.weakest if outcome else []
    return {
        "found": found,
        "about": about | found.figures,
        "outcome": outcome,
        "material": material,
        "title": t("title", model=about.get("model") or run.folder.name, data=about.get("data/name", "")),
        "published": _published(found, t),
        "notes": _notes(found, t),
        "charts": _charts(found, t),
        "verdict": _verdict(found, t),
        "trends": _trends(found, t),
        "seen": [as_seen(image, material.mean, material.std) for image in material.example_image] if material else [],
        "sure_share": coverage_at(outcome.risk_coverage, 1 - SURE) if outcome else math.nan,
        "sure": SURE,
        "guess": math.log(max(1, len(found.class_names))),
        "macro": macro,
        "heat": _heat(outcome.confusion) if outcome else None,
        "weak_names": ", ".join(f"{found.class_names[place]} ({t.percent(f1[place])})" for place in weakest),
        "shown": found.mistakes[:MOST_SHOWN],
        "settings": {key: settings[key] for key in sorted(settings) if key != "model"},
    }


def _verdict(found: Findings, t: Language) -> str:
    """Return what the verdict means, and that a good fit was still learning where it was."""
    means = t(f"verdict_means.{found.fit.verdict.name}")
    return f"{means} {t('fit.learning')}" if found.fit.still_improving else means


def _trends(found: Findings, t: Language) -> str:
    """Return where both losses were heading, in a sentence or two."""
    fit, losses = found.fit, found.history["val/loss"]
    if found.epochs < WINDOW:
        return t("fit.too_few")
    said = t("fit.trends", train=t(f"trend.{fit.train_trend}"), val=t(f"trend.{fit.val_trend}"))
    if 0 < fit.best_epoch < found.epochs and losses[fit.best_epoch - 1] > 0:
        more = losses[-1] / losses[fit.best_epoch - 1] - 1
        said += " " + t("fit.lowest", epoch=t.number(fit.best_epoch), more=t.percent(more, 0))
    return said


def _charts(found: Findings, t: Language) -> dict[str, str]:
    """Return each chart that there is something for, as SVG."""
    from ziffern.report import charts

    drawn = {}
    for name in ("acc", "loss") if found.epochs else ():
        train, val = found.history[f"train/{name}"], found.history[f"val/{name}"]
        drawn[name] = charts.learning_curve(train, val, found.kept_epoch, name == "acc", t)
    if material := found.run.material:
        drawn["shares"] = charts.share_chart(material.counts.sum(0), material.class_names, t)
    if outcome := found.outcome:
        drawn["reliability"] = charts.reliability_chart(outcome.reliability, t)
        drawn["risk"] = charts.risk_chart(outcome.risk_coverage, t)
    return drawn


def _published(found: Findings, t: Language) -> dict[str, Any]:
    """Return the published figures beside the run's own, a row each, and what to mind; empty without."""
    published = found.run.published
    if not published:
        return {}
    here = found.about | found.figures | {"gap": found.fit.gap}
    rows = []
    for key, kind in PUBLISHED.items():
        if key in published:
            write = getattr(t, kind)
            rows.append([t(f"names.{key.replace('/', '_')}"), write(published[key]), write(here.get(key))])
    verdict = str(published.get("verdict")).upper()
    if verdict in Verdict.__members__:
        rows.append([t("cards.fit"), t(f"verdict.{verdict}"), t(f"verdict.{found.fit.verdict.name}")])
    caution = ""
    if "test/acc" in published and published.get("test/total"):
        share, total = published["test/acc"], published["test/total"]
        chance = 1.96 * math.sqrt(share * (1 - share) / total)  # of a binomial proportion
        caution = t("published.caution", total=t.number(total), chance=t.number(100 * chance, 2))
    return {"source": published["source"], "rows": rows, "caution": caution}


def _heat(confusion: NDArray[np.int64]) -> Callable[[int], int]:
    """Return how a count of mistakes is coloured, from 0 to 75 per cent of the full colour."""
    most = int((confusion * (1 - np.eye(len(confusion), dtype=np.int64))).max())
    return lambda count: round(75 * int(count) / most) if most else 0


def _notes(found: Findings, t: Language) -> list[str]:
    """Return what must not be missed."""
    about = found.about
    notes = [translated(str(about[key]), t.code) for key in ("data/note", "data/leak") if about.get(key)]
    if members := found.run.members:
        notes.append(t("notes.ensemble", count=t.number(len(members)), members=", ".join(members)))
    if not found.run.is_finished:
        ended = "notes.pruned" if found.run.was_pruned else "notes.unfinished"
        notes.append(t(ended, epochs=found.epochs, of=about.get("max_epochs", "?")))
    elif found.outcome is None:
        notes.append(t("notes.untested"))
    if found.contradictions:
        notes.append(t("notes.contradiction", names=", ".join(found.contradictions)))
    return notes
