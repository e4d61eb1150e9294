import math
from pathlib import Path

import numpy as np
import pytest

import ziffern
from ziffern.analysis.fit import Trend, Verdict
from ziffern.analysis.metrics import METRICS, Place
from ziffern.text.language import LANGUAGES, TEXTS, Language, catalog

SOURCE = Path(ziffern.__file__).parent


def test_no_text_is_left_over() -> None:
    folders = [SOURCE / room for room in ("cli", "reading", "report", "runs", "search")]
    used = "".join(path.read_text() for kind in ("*.py", "*.html") for room in folders for path in room.rglob(kind))
    built = (
        "metrics.",
        "verdict.",
        "verdict_means.",
        "trend.",
        "tips.",
        "compare.means.",
        "compare.pairs.",
        *(f"compare.{advice}" for advice in ("alone", "no_advice", "take", "take_both", "take_smallest")),
        *(f"compare.{advice}" for advice in ("take_untested", "caution_runs", "caution_seeds", "caution_mixed")),
        "compare.caution_folds",
        *(f"compare.{reason}" for reason in ("beaten", "worse", "no_better", "below_margin", "not_significant")),
        "compare.no_test",
        "reading.source_",
    )
    for key in catalog(TEXTS / "en.yaml"):
        assert f'"{key}"' in used or f"'{key}'" in used or key.startswith(built), key


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_verdict_and_trend_has_its_words(code: str) -> None:
    language = Language(code)
    assert all(language(f"verdict.{verdict.name}") and language(f"verdict_means.{verdict.name}") for verdict in Verdict)
    assert all(language(f"trend.{trend}") for trend in Trend)


def test_numbers_are_written_as_the_language_writes_them() -> None:
    english, german = Language("en"), Language("de")
    assert english.number(1234567.891, 2) == "1,234,567.89"
    assert german.number(1234567.891, 2) == "1.234.567,89"
    assert english.percent(0.98321) == "98.32%"
    assert german.percent(0.98321) == "98,32\N{NO-BREAK SPACE}%"
    assert english.points(-0.0051) == "−0.51"
    assert german.points(0.0051) == "+0,51"
    assert english.number(math.nan) == english.percent(None) == english.duration(math.inf) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert Language("en").duration(seconds) == text


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="fr: no texts in this language, only in en, de"):
        Language("fr")


def test_each_metric_that_is_shown_has_its_texts() -> None:
    texts = catalog(TEXTS / "en.yaml")
    for metric in METRICS:
        parts = {"label"} | ({"means"} if metric.places & (Place.SUMMARY | Place.CONFIDENCE) else set())
        assert {f"metrics.{metric.name}.{part}" for part in parts} <= texts.keys(), metric.key
    named = {key.split(".")[1] for key in texts if key.startswith("metrics.")}
    assert named == {metric.name for metric in METRICS}


@pytest.mark.parametrize(("count", "text"), [(1, "1 Datei"), (0, "0 Dateien"), (np.int64(12345), "12.345 Dateien")])
def test_plural_forms(tmp_path: Path, count: int, text: str) -> None:
    (tmp_path / "de.yaml").write_text('files: {left: {one: "{count} Datei", other: "{count:n} Dateien"}}', "utf-8")
    assert Language("de", tmp_path)("files.left", count=count) == text
