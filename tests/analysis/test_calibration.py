"""Calibration and risk against coverage, against hand-made values and plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ziffern.analysis import calibration
from ziffern.analysis.calibration import Reliability, RiskCoverage
from ziffern.analysis.outcome import Outcome


def reliability(target: np.ndarray, probability: np.ndarray, **more: int) -> Reliability:
    """Return the reliability of predictions."""
    outcome = Outcome(target, probability)
    return calibration.reliability(outcome.confidence, outcome.hit, **more)


def risk_coverage(target: np.ndarray, probability: np.ndarray) -> RiskCoverage:
    """Return the curve of predictions."""
    return Outcome(target, probability).risk_coverage


def two_classes(top):
    """Return rows that predict class 0 with the given confidences."""
    return np.array([[p, 1 - p] for p in top])


@st.composite
def digits(draw):
    """Return a target and probabilities whose coarse grid makes equal confidences frequent."""
    size = draw(st.integers(1, 30))
    weights = draw(arrays.arrays(np.int64, (size, 3), elements=st.integers(1, 4)))
    target = draw(arrays.arrays(np.int64, size, elements=st.integers(0, 2)))
    return target, weights / weights.sum(1, keepdims=True)


def test_reliability_by_hand():
    found = reliability(np.array([0, 1, 0, 0]), two_classes([0.55, 0.59, 0.95, 1.0]), bins=10)
    assert found.confidence == pytest.approx([0.57, 0.975])
    assert found.accuracy.tolist() == [0.5, 1]
    assert found.count.tolist() == [2, 2]
    assert found.ece == pytest.approx((2 * 0.07 + 2 * 0.025) / 4)


def test_bins_are_open_below_and_closed_above():
    found = reliability(np.zeros(5, np.int64), two_classes([0.5, 0.6, 0.6 + 1e-9, 0.8, 1.0]), bins=5)
    assert found.count.tolist() == [2, 2, 1]  # (0.4, 0.6], (0.6, 0.8], (0.8, 1]
    edges = np.linspace(0, 1, 16)[1:]  # each edge belongs to the bin below it, and 1 to the last
    uniform = np.repeat(edges[:, None], 2, axis=1)
    assert reliability(np.zeros(15, np.int64), uniform).count.tolist() == [1] * 15
    assert reliability(np.zeros(1, np.int64), np.zeros((1, 2))).count.tolist() == [1]


def test_float32_rounding_above_one_is_no_bin_of_its_own():
    probability = np.array([[1.0000001, 0], [1, 0], [0.99, 0.01]], np.float32)
    assert reliability(np.zeros(3, np.int64), probability).count.tolist() == [3]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(digits())
def test_ece_is_the_definition(case):
    target, probability = case
    confidence, right = probability.max(1), probability.argmax(1) == target
    ece = 0.0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            ece += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    found = reliability(target, probability)
    assert found.ece == pytest.approx(ece, abs=1e-12)
    assert found.count.sum() == len(target)
    assert (found.count > 0).all()


def test_risk_against_coverage_by_hand():
    # by confidence: 0.95 right, 0.9 wrong, 0.8 right, 0.6 wrong
    curve = risk_coverage(np.array([1, 0, 1, 0]), two_classes([0.6, 0.8, 0.9, 0.95]))
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_equal_confidences_share_their_errors():
    curve = risk_coverage(np.array([1, 0, 0, 1]), two_classes([0.9, 0.9, 0.9, 0.6]))
    assert curve.risk == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1 / 2])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(digits(), st.randoms(use_true_random=False))
def test_the_curve_does_not_know_the_order_of_the_digits(case, random):
    target, probability = case
    order = list(range(len(target)))
    random.shuffle(order)
    curve, shuffled = risk_coverage(target, probability), risk_coverage(target[order], probability[order])
    assert curve.risk.tolist() == shuffled.risk.tolist()
    assert curve.area == shuffled.area
    assert curve.risk[-1] == np.mean(probability.argmax(1) != target)
    assert ((curve.risk >= 0) & (curve.risk <= 1)).all()


def test_coverage_at_takes_the_largest():
    curve = RiskCoverage(np.array([0.25, 0.5, 0.75, 1]), np.array([0.1, 0.4, 0.2, 0.5]), 0.3)
    found = [curve.coverage_at(risk) for risk in (0.05, 0.1, 0.2, 0.49, 0.5, 1)]
    assert found == [0, 0.25, 0.75, 0.75, 1, 1]
    assert {type(value) for value in found} == {float}
