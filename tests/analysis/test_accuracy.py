"""Accuracy's interval, the dummy baseline and the confusion matrix, each against a hand-made value."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.analysis.accuracy import confusion_matrix, majority_baseline, wilson_interval

Z95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


def by_hand(correct, total, z):
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return centre - half, centre + half


def test_98_20_percent_of_14000_digits_lie_between_97_97_and_98_41():
    low, high = wilson_interval(13_748, 14_000)
    assert (round(100 * low, 2), round(100 * high, 2)) == (97.97, 98.41)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_interval_is_wilsons_formula(data):
    total = data.draw(st.integers(1, 100_000))
    correct = data.draw(st.integers(0, total))
    found = wilson_interval(correct, total)
    assert found == pytest.approx(by_hand(correct, total, Z95), abs=1e-9)
    assert 0 <= found.low <= correct / total <= found.high <= 1
    assert (type(found.low), type(found.high)) == (float, float)


def test_ends_of_the_scale_and_another_confidence():
    assert wilson_interval(0, 50).low == 0
    assert wilson_interval(50, 50).high == 1
    assert wilson_interval(50, 50).low == pytest.approx(50 / (50 + Z95**2))
    assert wilson_interval(40, 50, 0.99) == pytest.approx(by_hand(40, 50, 2.5758293035489004))


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (5, 3), (-1, 3)])
def test_impossible_counts_are_refused(correct, total):
    with pytest.raises(ValueError, match="must"):
        wilson_interval(correct, total)


def test_baseline_names_the_most_frequent_class_of_train():
    train, test = np.array([1, 1, 1, 2, 2, 0]), np.array([2, 2, 2, 1])
    assert majority_baseline(np.bincount(train), test) == 0.25
    assert majority_baseline(np.bincount(test), train) == pytest.approx(2 / 6)
    assert majority_baseline(np.bincount([7]), test) == 0


def test_confusion_matrix_has_true_classes_as_rows():
    target, predicted = np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 0, 2])
    assert confusion_matrix(target, predicted, 4).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=99))
def test_confusion_matrix_counts_each_pair(pairs):
    target, predicted = (np.array(column, np.int64) for column in (zip(*pairs, strict=True) if pairs else ((), ())))
    found = confusion_matrix(target, predicted, 10)
    assert (found.shape, found.sum(), np.trace(found)) == ((10, 10), len(pairs), (target == predicted).sum())
    assert found.sum(1).tolist() == np.bincount(target, minlength=10).tolist()
