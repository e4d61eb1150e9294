"""A metric that is added to the registry, with its texts, appears wherever results do."""

import json
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.support.pages import Page

from ziffern.analysis import metrics
from ziffern.analysis.metrics import Evidence, Kind, Metric
from ziffern.cli.compare import compare
from ziffern.report.run_page import write_report
from ziffern.runs.run import Run
from ziffern.text.language import Language


def top_two(evidence: Evidence) -> float | None:
    if evidence.outcome is None:
        return None
    best = np.argsort(evidence.outcome.probability, axis=1)[:, -2:]
    return float((best == evidence.outcome.target[:, None]).any(1).mean())


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Metric("test/top2", Kind.SHARE, top_two, "maximize")
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, new))
    texts = {"label": "Top-2 accuracy", "means": "Of {test_total} images, the share with the true class among two."}
    for code in ("en", "de"):
        for name, text in texts.items():
            monkeypatch.setitem(Language(code)._texts, f"metrics.test_top2.{name}", text)


@pytest.mark.usefixtures("added")
def test_it_is_in_the_record_tensorboard_report_comparison_and_terminal(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    slow = ("model.optimizer.lr=0.0003", "trainer.max_epochs=1")
    first = run(*slow, "logger=tensorboard", f"logger.tensorboard.save_dir={tmp_path}/first", folder="first")
    value = json.loads((first.folder / "metrics.json").read_text())["test/top2"]
    assert first.metrics["test/acc"] < value < 1
    shown = f"{100 * value:.2f}%"
    assert f"{shown}\n" in next(line for line in capsys.readouterr().out.splitlines(True) if "Top-2 accuracy" in line)
    board = EventAccumulator(str(first.folder / "tensorboard"))
    board.Reload()
    assert board.Scalars("hp/test_top2")[-1].value == pytest.approx(value)
    page = Page(write_report(Run(first.folder)))
    assert "Top-2 accuracy" in page.text
    assert f"{shown} Of 80 images" in " ".join(page.text.split())
    second = run(*slow, "model.net.hidden=[8]", folder="second")
    capsys.readouterr()
    compare([str(first.folder), str(second.folder)], None, "en", 0.002)
    for text in (capsys.readouterr().out, Page(Path("comparison.html")).text):
        assert "Top-2 accuracy" in text
        assert shown in text


def test_runs_from_before_a_metric_are_fine(imperfect: Run, added: None) -> None:
    assert "test/top2" not in imperfect.metrics
    assert "Top-2 accuracy" in Page(write_report(imperfect)).text  # computed from the predictions
