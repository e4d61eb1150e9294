"""Accuracy with its interval, scores per class, confusions and proper scores, by hand and against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.analysis.metrics import Evidence, columns, measure
from ziffern.analysis.outcome import Outcome

NAN = float("nan")
Z95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


def confused(confusion: np.ndarray) -> Outcome:
    """Return predictions with this confusion matrix, each of them certain."""
    pairs = np.indices(confusion.shape).reshape(2, -1)
    target, predicted = np.repeat(pairs, confusion.ravel(), axis=1)
    return Outcome(target, np.eye(len(confusion), dtype=np.float32)[predicted])


def counted(correct: int, total: int) -> Outcome:
    """Return predictions of so many images, the first of them correct."""
    return Outcome((np.arange(total) >= correct).astype(np.int64), np.tile(np.float32([1, 0]), (total, 1)))


def by_hand(correct, total, z):
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return centre - half, centre + half


def test_98_20_percent_of_14000_digits_lie_between_97_97_and_98_41():
    low, high = counted(13_748, 14_000).interval
    assert (round(100 * low, 2), round(100 * high, 2)) == (97.97, 98.41)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_interval_is_wilsons_formula(data):
    total = data.draw(st.integers(1, 20_000))
    correct = data.draw(st.integers(0, total))
    outcome = counted(correct, total)
    low, high = outcome.interval
    assert (low, high) == pytest.approx(by_hand(correct, total, Z95), abs=1e-9)
    assert 0 <= low <= outcome.accuracy == correct / total <= high <= 1
    assert (type(low), type(high)) == (float, float)


def test_ends_of_the_scale():
    assert counted(0, 50).interval[0] == 0
    assert counted(50, 50).interval == pytest.approx((50 / (50 + Z95**2), 1))


@pytest.mark.parametrize(("targets", "rows"), [(0, 0), (1, 2), (2, 1), (0, 2)])
def test_no_images_and_other_lengths_are_refused(targets, rows):
    with pytest.raises(ValueError, match=f"{targets} targets, {rows} rows"):
        Outcome(np.zeros(targets, np.int64), np.full((rows, 10), 0.1, np.float32))


def test_baseline_names_the_most_frequent_class_of_train():
    train, test = np.array([1, 1, 1, 2, 2, 0]), np.array([2, 2, 2, 1])
    for counts, labels, share in ((train, test, 0.25), (test, train, 2 / 6), (np.array([0]), test, 0)):
        outcome = Outcome(labels, np.full((len(labels), 3), 1 / 3, np.float32))
        figures = measure(Evidence(columns([]), 0, outcome, np.bincount(counts, minlength=3)))
        assert figures["baseline/acc"] == pytest.approx(share)


def test_confusion_matrix_has_true_classes_as_rows():
    target, predicted = np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 0, 2])
    assert Outcome(target, np.eye(4)[predicted]).confusion.tolist() == [
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [1, 0, 2, 0],
        [0, 0, 0, 0],
    ]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=99))
def test_confusion_matrix_counts_each_pair(pairs):
    target, predicted = np.array(pairs, np.int64).T
    found = Outcome(target, np.eye(10)[predicted]).confusion
    assert (found.shape, found.sum(), np.trace(found)) == ((10, 10), len(pairs), (target == predicted).sum())
    assert found.sum(1).tolist() == np.bincount(target, minlength=10).tolist()


def test_scores_by_hand():
    scores = confused(np.array([[8, 2, 0], [1, 4, 0], [0, 0, 5]])).classes
    assert scores.precision == pytest.approx([8 / 9, 4 / 6, 1])
    assert scores.recall == pytest.approx([0.8, 0.8, 1])
    assert scores.f1 == pytest.approx([16 / 19, 8 / 11, 1])
    assert scores.support.tolist() == [10, 5, 5]
    assert [value.dtype.name for value in vars(scores).values()] == ["float64"] * 3 + ["int64"]


def test_what_is_undefined_is_nan():
    # class 1 is never predicted, class 2 has no digits, class 3 has neither, class 4 is predicted but never right
    confusion = np.zeros((5, 5), np.int64)
    confusion[0, 0], confusion[0, 2], confusion[1, 4], confusion[4, 0] = 3, 1, 2, 2
    outcome = confused(confusion)
    scores = outcome.classes
    assert scores.precision == pytest.approx([0.6, NAN, 0, NAN, 0], nan_ok=True)
    assert scores.recall == pytest.approx([0.75, 0, NAN, NAN, 0], nan_ok=True)
    assert scores.f1 == pytest.approx([6 / 9, 0, NAN, NAN, 0], nan_ok=True)
    assert outcome.weakest == [1, 4, 0]
    # Class 3 is left out of the means, in which the undefined scores of the others count as 0.
    assert outcome.macro_f1 == pytest.approx((6 / 9 + 0 + 0 + 0) / 4)
    assert outcome.macro(scores.precision) == pytest.approx(0.6 / 4)
    assert outcome.macro(scores.recall) == pytest.approx(0.75 / 4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_scores_are_scikit_learns(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    target, predicted = np.array(pairs, np.int64).T
    outcome = Outcome(target, np.eye(5)[predicted])
    ours = outcome.classes
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        target, predicted, labels=range(5), zero_division=np.nan
    )
    assert ours.precision == pytest.approx(precision, nan_ok=True)
    assert ours.recall == pytest.approx(recall, nan_ok=True)
    assert ours.f1[support > 0] == pytest.approx(f1[support > 0])
    assert np.isnan(ours.f1[support == 0]).all()
    assert ours.support.tolist() == support.tolist()
    means = metrics.precision_recall_fscore_support(target, predicted, average="macro", zero_division=0)[:3]
    assert [outcome.macro(scores) for scores in (ours.precision, ours.recall, ours.f1)] == pytest.approx(means)
    assert type(outcome.macro_f1) is float


def test_always_predicting_the_large_class_has_a_low_macro_f1():
    outcome = confused(np.array([[97, 0, 0], [2, 0, 0], [1, 0, 0]]))
    assert outcome.accuracy == 0.97
    assert outcome.macro_f1 == pytest.approx(2 * 97 / 197 / 3)
    assert outcome.macro(outcome.classes.precision) == pytest.approx(0.97 / 3)


def test_weakest_classes_come_by_f1_then_number():
    confusion = np.diag([10, 10, 10, 10, 10])
    assert confused(confusion).weakest == []
    confusion[1, 3], confusion[3, 1], confusion[4, 0] = 2, 2, 6
    outcome = confused(confusion)
    f1 = outcome.classes.f1
    assert f1[1] == f1[3] > f1[0] == f1[4]
    assert outcome.weakest == [0, 4, 1]
    assert {type(label) for label in outcome.weakest} == {int}


def test_confusions_come_by_count_then_classes():
    confusion = np.diag([50] * 4)
    confusion[3, 1], confusion[1, 3], confusion[0, 2], confusion[2, 0] = 12, 4, 4, 1
    confusion[2, 1], confusion[3, 0] = 2, 1
    confusions = confused(confusion).confusions
    assert confusions == [(3, 1, 12), (0, 2, 4), (1, 3, 4), (2, 1, 2), (2, 0, 1)]  # but not the sixth, (3, 0, 1)
    assert confused(np.diag([5, 5])).confusions == []
    first = confusions[0]
    assert (first.true, first.predicted, first.count) == (3, 1, 12)
    assert {type(value) for value in first} == {int}


def test_negative_log_likelihood_by_hand():
    probability = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    assert Outcome(np.array([1, 1]), probability).nll == pytest.approx((math.log(4) - math.log(0.8)) / 2)
    assert Outcome(np.array([0]), np.array([[1.0, 0]])).nll == 0


def test_a_probability_of_zero_costs_87():
    for dtype in (np.float32, np.float64):
        assert Outcome(np.array([1]), np.array([[1, 0]], dtype)).nll == pytest.approx(87.3365, abs=1e-4)


def test_brier_by_hand():
    assert Outcome(np.array([1]), np.array([[0.5, 0.25, 0.25]])).brier == pytest.approx(0.25 + 0.5625 + 0.0625)
    assert Outcome(np.array([0, 1]), np.array([[1.0, 0], [1.0, 0]])).brier == 1  # the best is 0, the worst 2
    assert Outcome(np.zeros(5, np.int64), np.full((5, 10), 0.1)).brier == pytest.approx(0.9)


def test_brier_leaves_its_input_alone():
    probability = np.array([[0.5, 0.5]])
    assert Outcome(np.array([0]), probability).brier == 0.5
    assert probability.tolist() == [[0.5, 0.5]]
