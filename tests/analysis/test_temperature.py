import numpy as np
import pytest
from scipy.special import softmax

from ziffern.analysis.outcome import Outcome
from ziffern.analysis.temperature import fit_temperature, with_temperature

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(true: float) -> None:
    logits = RNG.normal(0, 3, (20_000, 10))
    labels = (RNG.gumbel(size=logits.shape) + logits / true).argmax(1)  # drawn from softmax(logits / true)
    assert fit_temperature(logits, labels) == pytest.approx(true, rel=0.05)
    before, after = (Outcome(labels, softmax(logits / each, 1).astype(np.float32)) for each in (1.0, true))
    assert after.reliability.ece < 0.02
    assert true == 1.0 or before.reliability.ece > 0.05


def test_it_stays_finite_where_every_answer_is_right() -> None:
    logits = np.eye(10)[np.arange(50) % 10] * 5
    assert 0.1 < fit_temperature(logits, np.arange(50) % 10) < 1


def test_probabilities_at_a_temperature_are_those_of_divided_logits() -> None:
    logits = RNG.normal(0, 4, (100, 7)).astype(np.float32)
    probability = softmax(logits, 1)
    assert np.abs(with_temperature(probability, 1.7) - softmax(logits / 1.7, 1)).max() < 1e-6
    assert (with_temperature(probability, 0.3).argmax(1) == logits.argmax(1)).all()
    assert np.isfinite(with_temperature(np.array([[1.0, 0.0]], np.float32), 0.05)).all()
