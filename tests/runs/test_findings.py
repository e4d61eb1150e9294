"""The verdict of a run on unequal classes, and what it reports about its data."""

from pathlib import Path

import numpy as np
import pytest
from tests.support.digits import synthetic_digits
from tests.support.runs import compose_config, run_in

from ziffern.report.run_page import page_context
from ziffern.runs.findings import Findings
from ziffern.text.language import Language


def unequal(path: Path, share: float) -> Path:
    """Write 200 images of two classes, of which the first has this share; half of them test."""
    images, _ = synthetic_digits(200, seed=4)
    labels = (np.arange(200) % 100 >= 100 * share).astype(np.int64)
    np.savez(path, x_train=images[:100], y_train=labels[:100], x_test=images[100:], y_test=labels[100:])
    return path


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_net_that_always_predicts_the_large_class_is_not_optimal(tmp_path: Path, language: str) -> None:
    path = unequal(tmp_path / "unequal.npz", 0.97)
    run = run_in(
        tmp_path / "run",
        compose_config(
            path, "data.split=auto", "data.num_classes=null", "trainer.max_epochs=4", "model.optimizer.lr=3e-3"
        ),
    )
    findings = Findings(run)
    assert findings.outcome is not None
    assert findings.outcome.accuracy == 0.97
    assert findings.is_at_baseline
    assert findings.fit.verdict == "at baseline"
    assert run.metrics["test/f1"] == pytest.approx(0.97 / 1.97)
    context = page_context(findings, Language(language))
    text = {"en": "97% of the training images are of the class 0", "de": "97 % der Trainingsbilder"}[language]
    assert any(text in note for note in context["data_notes"])
    assert "test/f1" in [metric.key for metric in context["summary"]]


def test_a_test_part_of_one_class_is_never_optimal(tmp_path: Path) -> None:
    images, labels = synthetic_digits(300, seed=1)
    one = labels == labels[0]
    path = tmp_path / "one.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[one], y_test=labels[one])
    counts = np.bincount(labels)
    assert counts.max() == counts.min()  # the first class is the most frequent one as well
    run = run_in(
        tmp_path / "run", compose_config(path, "data.split=auto", "model.net.hidden=[64]", "trainer.max_epochs=4")
    )
    findings = Findings(run)
    frequent = run.material.counts[0].argmax() if run.material else -1
    assert findings.is_at_baseline == (frequent == labels[0])


def test_ordinary_runs_are_above_the_baseline(tmp_path: Path, digits_npz: Path) -> None:
    run = run_in(tmp_path / "run", compose_config(digits_npz, "model.net.hidden=[64]"))
    assert not Findings(run).is_at_baseline
