import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tests.data.test_drawing import mnist

from ziffern.data.others import other_images
from ziffern.reading.model import FIGURES, QUANTILES, ReaderModel, figures
from ziffern.runs.predictor import TorchClassifier
from ziffern.runs.run import Run


def test_the_packaged_model_reads_digits_and_tells_noise() -> None:
    images, labels = mnist()
    model = ReaderModel.builtin()
    probabilities, scores = model.read(images[:500])
    assert (scores >= model.threshold).mean() > 0.97
    assert (probabilities.argmax(1) == labels[:500]).mean() > 0.98
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(model.read(images[7:8])[0][0], probabilities[7], atol=1e-5)
    noise = np.random.default_rng(0).integers(0, 256, (50, 28, 28)).astype(np.uint8)
    assert (model.read(noise)[1] < model.threshold).all()
    assert [part.shape for part in model.read(images[:0])] == [(0, 10), (0,)]


def test_the_packaged_model_tells_letters_and_crossed_out_digits() -> None:
    images, labels = mnist()
    model, others = ReaderModel.builtin(), other_images(images, labels, 400, seed=9)
    is_digit = model.read(others)[1] >= model.threshold
    assert is_digit[:200].mean() < 0.1  # letters, of fonts that it knows
    assert is_digit.mean() < 0.2


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
    probabilities, _ = ReaderModel.builtin().read(images)
    assert figures(images, probabilities, probabilities.max(1)).shape == (20, len(FIGURES))


@pytest.mark.slow
def test_a_run_gives_the_probabilities_of_its_torch_model(trained_folder: Any) -> None:
    run, images = Run(trained_folder("model=champion", "trainer.max_epochs=1")), mnist()[0][:10]
    expected = TorchClassifier(run.load_model(), run.load_inference().temperature).probabilities(images[:, None])
    model = ReaderModel.of_run(run)
    np.testing.assert_allclose(model.read(images)[0], expected, atol=1e-6)
    assert re.fullmatch(rf"{re.escape(run.folder.name)}-[0-9a-f]{{8}}", model.name)  # as the packaged one has
