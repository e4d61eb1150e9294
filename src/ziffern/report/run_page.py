"""The report of one run: its model and data, its training, its results, and suggestions."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from ziffern.analysis.fit import WINDOW
from ziffern.analysis.metrics import METRICS, Metric, Place, registered
from ziffern.analysis.outcome import macro
from ziffern.records.messages import message_text
from ziffern.report.charts import run as charts
from ziffern.report.page import as_seen, write_page
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.text.language import LANGUAGES, Language
from ziffern.text.metrics import explanation, label, written

NOTES = ("data/note", "data/leak", "data/limit", "ended")  # recorded messages that are shown first
MAX_MISTAKES = 60  # misclassified images on the page
SURE = 0.99  # accuracy for which the report gives the coverage
Card = tuple[str, str, str, str]  # name, value, explanation, style


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
    recorded = (message_text(about, key, t.code) for key in NOTES)
    return {
        "findings": findings,
        "about": findings.results,
        "outcome": outcome,
        "material": material,
        "title": t("title", model=about.get("model") or run.folder.name, data=about.get("data/name", "")),
        "cards": _cards(findings, t),
        "confidence_cards": _confidence_cards(findings, t),
        "published": run.published,
        "metrics": [metric for metric in METRICS if metric.key in run.published and metric.places],
        "label": label,
        "written": written,
        "notes": [*filter(None, recorded), *(note.in_language(t.code) for note in findings.notes)],
        "charts": _charts(findings, t),
        "verdict": _verdict(findings, t),
        "window": WINDOW,
        "seen": [as_seen(image, material.mean, material.std) for image in material.example_image] if material else [],
        "macro": macro,
        "most_confused": max((pair.count for pair in outcome.confusions), default=1) if outcome else 1,
        "weak_names": ", ".join(f"{findings.class_names[place]} ({t.percent(f1[place])})" for place in weakest),
        "shown": findings.mistakes[:MAX_MISTAKES],
        "settings": {key: settings[key] for key in sorted(settings) if key != "model"},
    }


def _card(metric: Metric, findings: Findings, t: Language) -> Card:
    results, classes = findings.results, len(findings.class_names)
    guess = {"guess_nll": t.number(math.log(classes), 2), "guess_brier": t.number(1 - 1 / classes, 2)}
    text = "means_leak" if metric.key == "test/acc" and results.get("data/leak") else "means"
    means = explanation(metric, results, t, text, classes=t.number(classes), **guess)
    return label(metric, t), written(metric, results.get(metric.key), t), means, ""


def _cards(findings: Findings, t: Language) -> list[Card]:
    """Return the cards at the top: scores, the verdict on the fit, and costs."""

    def is_shown(metric: Metric) -> bool:
        if metric.stage == "val" and findings.outcome:  # the test replaces it
            return False
        return metric.key in findings.results and (metric.key != "train_seconds" or findings.epochs > 0)

    metrics = [metric for metric in registered(Place.SUMMARY) if is_shown(metric)]
    scores = [_card(metric, findings, t) for metric in metrics if metric.stage]
    costs = [_card(metric, findings, t) for metric in metrics if not metric.stage]
    verdict = findings.fit.verdict
    fit = (t("fit.label"), t(f"verdict.{verdict.name}"), _verdict(findings, t), verdict.replace(" ", "-"))
    return [*scores, fit, *costs]


def _confidence_cards(findings: Findings, t: Language) -> list[Card]:
    """Return the cards on confidence, and the share of images that the model can handle alone."""
    if findings.outcome is None:
        return []
    cards = [_card(metric, findings, t) for metric in registered(Place.CONFIDENCE)]
    share = t.percent(findings.outcome.risk_coverage.coverage_at(1 - SURE), 1)
    means = t("sure.answered_means", sure=t.percent(SURE, 0))
    return [*cards, (t("sure.answered"), share, means, "")]


def _verdict(findings: Findings, t: Language) -> str:
    """Return what the verdict means, and whether the model was still improving."""
    means = t(f"verdict_means.{findings.fit.verdict.name}")
    return f"{means} {t('fit.learning')}" if findings.fit.still_improving else means


def _charts(findings: Findings, t: Language) -> dict[str, str]:
    """Return each chart for which there are values, as SVG."""
    drawn = {}
    for name in ("acc", "loss") if findings.epochs else ():
        train, val = findings.history[f"train/{name}"], findings.history[f"val/{name}"]
        drawn[name] = charts.learning_curve(train, val, findings.kept_epoch, name == "acc", t)
    if material := findings.run.material:
        drawn["shares"] = charts.share_chart(material.counts.sum(0), material.class_names, t)
    if outcome := findings.outcome:
        drawn["reliability"] = charts.reliability_chart(outcome.reliability, t)
        drawn["risk"] = charts.risk_chart(outcome.risk_coverage, t)
    return drawn
