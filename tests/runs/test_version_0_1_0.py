"""Run folders that version 0.1.0 wrote, with the class names and files of that time."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ziffern.report.run_page import write_report
from ziffern.runs.comparison import make_comparison
from ziffern.runs.run import Run, find_runs

FOLDERS = Path(__file__).parents[1] / "fixtures/runs_0_1_0"
NAMES = ("finished_cnn", "finished_nn", "killed_nn")


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_loaded(name: str) -> None:
    model = Run(FOLDERS / name).load_model()
    logits = model(torch.zeros(2, 28, 28, dtype=torch.uint8))
    assert logits.shape == (2, 10)


@pytest.mark.parametrize("name", NAMES[:2])
def test_recorded_predictions_are_those_of_the_loaded_model(name: str) -> None:
    run = Run(FOLDERS / name)
    predictions = run.predictions
    with torch.no_grad():
        logits = run.load_model()(torch.from_numpy(predictions.mistake_image))
    np.testing.assert_allclose(logits.softmax(1), predictions.probability[predictions.mistake], atol=1e-5)


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_written(name: str, language: str, tmp_path: Path) -> None:
    page = write_report(Run(FOLDERS / name), tmp_path / "report.html", language).read_text(encoding="utf-8")
    assert "<svg" in page


def test_finished_runs_are_compared() -> None:
    comparison = make_comparison(find_runs([str(FOLDERS / name) for name in NAMES]), 0.002)
    assert [recipe.name for recipe in comparison.recipes] == ["cnn", "nn"]
    assert len(comparison.pairs) == 1


@pytest.mark.slow
def test_a_killed_run_continues(tmp_path: Path, command_line) -> None:
    shutil.copytree(FOLDERS / "killed_nn", tmp_path / "killed")
    overrides = [
        *("data=mnist5k", "trainer=cpu", "threads=1", "logger=none", "report=null", "data.batch_size=64", "model=nn"),
        *("model.net.hidden=[8]", "model.net.dropout=0.2", "seed=3", "model/scheduler=exponential"),
    ]
    more = ["trainer.max_epochs=7", "ckpt_path=killed/checkpoints/last.ckpt", "hydra.run.dir=continued"]
    code, output, errors = command_line(*overrides, *more)
    assert (code, errors) == (0, "")
    assert "continuing after epoch 5" in output
    assert command_line(*overrides, "trainer.max_epochs=7", "hydra.run.dir=whole")[0] == 0
    continued, whole = (Run(tmp_path / name).load_model("last").state_dict() for name in ("continued", "whole"))
    for name, value in whole.items():
        # The first epochs were trained on another kind of processor.
        torch.testing.assert_close(continued[name], value, rtol=0, atol=1e-6, msg=name)
