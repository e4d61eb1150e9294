"""The report of one run: its model and data, its training, its results, and suggestions."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from ziffern.analysis.fit import WINDOW
from ziffern.analysis.metrics import METRICS, Metric, Place, registered
from ziffern.records.messages import message_text, message_texts
from ziffern.report.charts import run as charts
from ziffern.report.page import as_seen, write_page
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.text.language import LANGUAGES, Language
from ziffern.text.metrics import explanation, label, written

NOTES = ("debug", "data/note", "data/leak", "data/limit", "ended")  # recorded messages that are shown first
MAX_MISTAKES = 60  # misclassified images on the page
SURE = 0.99  # accuracy for which the report gives the coverage


def write_report(run: Run, path: Path | None = None, language: str | None = None) -> Path:
    """Write the report of a run and return its path.

    Args:
        run: The run, finished or not.
        path: The file to write; report.html in the run folder if None.
        language: en or de; if None, the setting `report` of the run.

    Raises:
        InputError: The folder is not a run, or a file in it is damaged.
    """
    setting = run.config.get("report")  # read in any case: raises if this is not a run
    t = Language(language or (setting if setting in LANGUAGES else "en"))
    path = path or run.folder / "report.html"
    write_page(path, "run.html", t, page_context(Findings(run), t))
    return path


def page_context(findings: Findings, t: Language) -> dict[str, Any]:
    """Return the context of the run template."""
    run, about, outcome, material = findings.run, findings.about, findings.outcome, findings.run.material
    settings = run.settings
    f1 = outcome.classes.f1 if outcome else np.zeros(0)
    weakest = outcome.weakest if outcome else []
    verdict = t(f"verdict_means.{findings.fit.verdict.name}")
    classes = len(findings.class_names)
    guess = {}
    if outcome:
        guess = {"guess_nll": t.number(math.log(classes), 2), "guess_brier": t.number(1 - 1 / classes, 2)}
    recorded = (message_text(about, key, t.code) for key in NOTES)

    def meaning(metric: Metric) -> str:
        text = "means"
        if metric.key == "test/acc" and findings.results.get("data/leak"):
            text = "means_seen" if findings.saw_test else "means_leak"
        return explanation(metric, findings.results, t, text, classes=t.number(classes), **guess)

    return {
        "findings": findings,
        "about": findings.results,
        "outcome": outcome,
        "material": material,
        "title": t("title", model=about.get("model") or run.folder.name, data=about.get("data/name", "")),
        "summary": [metric for metric in registered(Place.SUMMARY) if _has_card(metric, findings)],
        "confidence": [
            metric for metric in registered(Place.CONFIDENCE) if findings.results.get(metric.key) is not None
        ],
        "meaning": meaning,
        "sure": SURE,
        "published": run.published,
        "metrics": [metric for metric in METRICS if metric.key in run.published and metric.places],
        "label": label,
        "written": written,
        "notes": [*filter(None, recorded), *(note.in_language(t.code) for note in findings.notes)],
        "data_notes": message_texts(about, "data/notes", t.code),
        "charts": _charts(findings, t),
        "verdict": f"{verdict} {t('fit.learning')}" if findings.fit.still_improving else verdict,
        "window": WINDOW,
        "seen": [as_seen(image, material.mean, material.std) for image in material.example_image] if material else [],
        "most_confused": max((pair.count for pair in outcome.confusions), default=1) if outcome else 1,
        "weak_names": ", ".join(f"{findings.class_names[place]} ({t.percent(f1[place])})" for place in weakest),
        "shown": findings.mistakes[:MAX_MISTAKES],
        "settings": {key: settings[key] for key in sorted(settings) if key != "model"},
    }


def _has_card(metric: Metric, findings: Findings) -> bool:
    """Return whether the report has a card on a metric of the summary."""
    if metric.stage == "val" and findings.outcome:  # the test replaces it
        return False
    return metric.key in findings.results and (metric.key != "train_seconds" or findings.epochs > 0)


def _charts(findings: Findings, t: Language) -> dict[str, str]:
    """Return each chart for which there are values, as SVG."""
    drawn = {}
    for name in ("acc", "loss") if findings.epochs else ():
        train, val = findings.history[f"train/{name}"], findings.history[f"val/{name}"]
        drawn[name] = charts.learning_curve(train, val, findings.kept_epoch, name == "acc", t)
    if material := findings.run.material:
        drawn["shares"] = charts.share_chart(material.counts.sum(0), material.class_names, t)
    if outcome := findings.outcome:
        temperature = findings.about.get("temperature")
        calibrated = outcome.at(temperature).reliability if temperature else None
        drawn["reliability"] = charts.reliability_chart(outcome.reliability, calibrated, t)
        drawn["risk"] = charts.risk_chart(outcome.risk_coverage, t)
    return drawn
