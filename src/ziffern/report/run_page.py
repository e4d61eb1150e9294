"""The report of one run: what was trained on what, how it went, what came out, and what to try next.

Decisions: scores are worked out anew from history and predictions, so one that was changed by hand in metrics.json is
noticed, and told; a run that was killed gets a report of what is there; the verdict and what to try next rest on
training and validation alone.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.calibration import coverage_at
from ziffern.analysis.classes import macro
from ziffern.analysis.fit import WINDOW, Verdict
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.text.language import LANGUAGES, Language
from ziffern.text.messages import translated

MOST_SHOWN = 60  # misclassified digits on the page
SURE = 0.99  # accuracy of the answers that the reader is told the coverage of
PUBLISHED = {  # figures that recipes give, and how they are written
    "test/acc": "percent",
    "val/acc": "percent",
    "baseline/acc": "percent",
    "params": "number",
    "epochs": "number",
    "train_seconds": "duration",
    "gap": "points",
}


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
