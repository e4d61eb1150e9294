import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tests.data.test_drawing import mnist

from ziffern.reading.model import FIGURES, QUANTILES, ReaderModel, figures
from ziffern.runs.predictor import TorchClassifier
from ziffern.runs.run import Run


def test_the_packaged_model_reads_digits_and_tells_noise() -> None:
    images, labels = mnist()
    model = ReaderModel.builtin()
    probabilities = model.probabilities(images[:500])
    assert (probabilities.argmax(1) == labels[:500]).mean() > 0.98
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(model.probabilities(images[7:8])[0], probabilities[7], atol=1e-5)
    noise = np.random.default_rng(0).integers(0, 256, (50, 28, 28)).astype(np.uint8)
    scores = model.is_digit(noise, model.probabilities(noise))
    assert (scores < model.threshold).all()
    assert model.probabilities(images[:0]).shape == (0, 10)
    assert model.is_digit(images[:0], probabilities[:0]).shape == (0,)


def test_reading_imports_no_torch() -> None:
    code = (
        "import sys; from ziffern.reading.model import ReaderModel as m; m.builtin(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_calibration_cells_are_probabilities_of_digits_mostly_right() -> None:
    model = ReaderModel.builtin()
    cells = model.calibration
    assert len(cells.label) > 5000
    np.testing.assert_allclose(cells.probability.sum(1), 1, atol=1e-3)
    assert (cells.probability.argmax(1) == cells.label).mean() > 0.97
    assert model.usual is not None
    assert model.usual.shape == (len(FIGURES), len(QUANTILES))
    assert (np.diff(model.usual) >= 0).all()
    images = mnist()[0][:20]
    probabilities = ReaderModel.builtin().probabilities(images)
    assert figures(images, probabilities, probabilities.max(1)).shape == (20, len(FIGURES))


@pytest.mark.slow
def test_a_run_gives_the_probabilities_of_its_torch_model(trained_folder: Any) -> None:
    run, images = Run(trained_folder("model=champion", "trainer.max_epochs=1")), mnist()[0][:10]
    expected = TorchClassifier(run.load_model(), run.load_inference().temperature).probabilities(images[:, None])
    model = ReaderModel.of_run(run)
    np.testing.assert_allclose(model.probabilities(images), expected, atol=1e-6)
    assert re.fullmatch(rf"{re.escape(run.folder.name)}-[0-9a-f]{{8}}", model.name)  # as the packaged one has
