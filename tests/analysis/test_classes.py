"""Scores a class, the weakest classes and the confusions, by hand and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.analysis.accuracy import confusion_matrix
from ziffern.analysis.classes import class_scores, macro, top_confusions, weakest

NAN = float("nan")


def test_scores_by_hand():
    scores = class_scores(np.array([[8, 2, 0], [1, 4, 0], [0, 0, 5]]))
    assert scores.precision == pytest.approx([8 / 9, 4 / 6, 1])
    assert scores.recall == pytest.approx([0.8, 0.8, 1])
    assert scores.f1 == pytest.approx([16 / 19, 8 / 11, 1])
    assert scores.support.tolist() == [10, 5, 5]
    assert [value.dtype.name for value in vars(scores).values()] == ["float64"] * 3 + ["int64"]


def test_what_is_undefined_is_nan():
    # class 1 is never predicted, class 2 has no digits, class 3 has neither, class 4 is predicted but never right
    confusion = np.zeros((5, 5), np.int64)
    confusion[0, 0], confusion[0, 2], confusion[1, 4], confusion[4, 0] = 3, 1, 2, 2
    scores = class_scores(confusion)
    assert scores.precision == pytest.approx([0.6, NAN, 0, NAN, 0], nan_ok=True)
    assert scores.recall == pytest.approx([0.75, 0, NAN, NAN, 0], nan_ok=True)
    assert scores.f1 == pytest.approx([6 / 9, 0, NAN, NAN, 0], nan_ok=True)
    assert weakest(scores) == [1, 4, 0]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_scores_are_scikit_learns(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    target, predicted = np.array(pairs, np.int64).T
    ours = class_scores(confusion_matrix(target, predicted, 5))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        target, predicted, labels=range(5), zero_division=np.nan
    )
    assert ours.precision == pytest.approx(precision, nan_ok=True)
    assert ours.recall == pytest.approx(recall, nan_ok=True)
    assert ours.f1[support > 0] == pytest.approx(f1[support > 0])
    assert np.isnan(ours.f1[support == 0]).all()
    assert ours.support.tolist() == support.tolist()
    assert macro(ours.recall) == pytest.approx(np.nanmean(recall))


def test_macro_leaves_the_undefined_out():
    assert macro(np.array([0.5, NAN, 1.0])) == 0.75
    assert np.isnan(macro(np.array([NAN, NAN])))
    assert np.isnan(macro(np.array([])))
    assert type(macro(np.array([0.5]))) is float


def test_weakest_classes_come_by_f1_then_number():
    confusion = np.diag([10, 10, 10, 10, 10])
    assert weakest(class_scores(confusion)) == []
    confusion[1, 3], confusion[3, 1], confusion[4, 0] = 2, 2, 6
    scores = class_scores(confusion)
    assert scores.f1[1] == scores.f1[3] > scores.f1[0] == scores.f1[4]
    assert weakest(scores) == [0, 4, 1]
    assert weakest(scores, limit=9) == [0, 4, 1, 3]
    assert {type(label) for label in weakest(scores)} == {int}


def test_confusions_come_by_count_then_classes():
    confusion = np.diag([50] * 4)
    confusion[3, 1], confusion[1, 3], confusion[0, 2], confusion[2, 0] = 12, 4, 4, 1
    assert top_confusions(confusion, limit=3) == [(3, 1, 12), (0, 2, 4), (1, 3, 4)]
    assert top_confusions(confusion) == [(3, 1, 12), (0, 2, 4), (1, 3, 4), (2, 0, 1)]
    assert top_confusions(np.diag([5, 5])) == []
    first = top_confusions(confusion)[0]
    assert (first.true, first.predicted, first.count) == (3, 1, 12)
    assert {type(value) for value in first} == {int}
