"""The verdict on a fit, on the published figures and on crafted curves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.analysis.fit import Trend, Verdict, diagnose, exceeds, trend

NAN, INF = float("nan"), float("inf")


def history(train_acc, val_acc, train_loss=(0.5, 0.4, 0.3), val_loss=(0.5, 0.4, 0.3)):
    """Return four curves that end in the given accuracies."""
    epochs = len(train_loss)
    flat = (np.full(epochs, train_acc), np.full(epochs, val_acc))
    return np.array(train_loss), flat[0], np.array(val_loss), flat[1]


def published(epochs, train_acc, val_acc, bottom):
    """Return curves in the shape of the second document's: training falls throughout, validation turns at `bottom`."""
    epoch = np.arange(1, epochs + 1)
    val_loss = 0.07 + 0.002 * np.abs(epoch - bottom)
    rise = 1 - np.exp(-epoch / 4)
    return 0.4 * np.exp(-epoch / 8), train_acc * rise / rise[-1], val_loss, val_acc * rise / rise[-1]


def test_the_published_nn_overfits():
    fit = diagnose(*published(37, 0.9998, 0.9772, bottom=12))
    assert fit.verdict is Verdict.OVERFITTING
    assert fit.gap == 0.0226
    assert (fit.train_trend, fit.val_trend) == (Trend.FALLING, Trend.RISING)
    assert (fit.best_epoch, fit.still_improving) == (12, False)


def test_the_published_dnn_is_optimal_although_its_validation_loss_rises():
    fit = diagnose(*published(25, 0.999, 0.9819, bottom=10))
    assert (fit.verdict, fit.gap, fit.val_trend) == (Verdict.OPTIMAL, 0.0171, Trend.RISING)


RISING, FALLING, FLAT = (0.3, 0.4, 0.5), (0.5, 0.4, 0.3), (0.4, 0.4, 0.4)


@pytest.mark.parametrize(
    ("train_acc", "val_acc", "train_loss", "val_loss", "verdict"),
    [
        (0.95, 0.55, FALLING, FALLING, "overfitting"),  # whatever the trends
        (0.85, 0.45, FALLING, RISING, "overfitting"),  # rather than underfitting: it does learn, by heart
        (0.11, 0.11, FLAT, FLAT, "underfitting"),
        (0.16, 0.08, FALLING, RISING, "underfitting"),  # few digits: a gap of chance is none
        (0.85, 0.84, FALLING, FALLING, "underfitting"),
        (0.85, 0.97, FALLING, FALLING, "optimal"),  # dropout: worse at training than it is
        (0.70, 0.85, FALLING, FALLING, "underfitting"),
        (0.99, 0.96, FALLING, FALLING, "optimal"),  # a gap of 0.03 needs a validation loss that rises
        (0.99, 0.96, FLAT, RISING, "overfitting"),  # all that was to learn by heart is learned
        (0.99, 0.96, RISING, RISING, "optimal"),
        (0.99, 0.96, FALLING, FLAT, "optimal"),
        (0.99, 0.96, FALLING, RISING, "overfitting"),
        (0.99, 0.97, FALLING, RISING, "optimal"),  # in floats 0.99 - 0.97 > 0.02
        (0.99, 0.94, FLAT, FLAT, "optimal"),
        (0.99, 0.93, FLAT, FLAT, "overfitting"),
        (0.90, 0.90, FLAT, FLAT, "optimal"),
        (0.8999, 0.8999, FLAT, FLAT, "underfitting"),
        (0.098, 0.099, (0.5, NAN, NAN), (0.5, NAN, NAN), "underfitting"),  # diverged
        (0.60, 0.098, FALLING, (0.5, 0.4, NAN), "underfitting"),  # diverged in the middle of the last epoch
        (0.95, 0.098, FALLING, (0.5, 0.4, INF), "underfitting"),
        (0.99, 0.98, FALLING, (0.5, 0.4, INF), "optimal"),  # a likelihood that overflowed, and a net that works
    ],
)
def test_verdicts(train_acc, val_acc, train_loss, val_loss, verdict):
    assert diagnose(*history(train_acc, val_acc, train_loss, val_loss)).verdict == verdict


def test_a_run_that_diverged_has_its_best_epoch_before():
    fit = diagnose(*history(0.1, 0.1, (0.5, 0.4, NAN), (0.5, 0.4, NAN)))
    assert (fit.train_trend, fit.val_trend, fit.best_epoch, fit.still_improving) == ("rising", "rising", 2, False)
    assert diagnose(*history(0.1, 0.1, (NAN,), (NAN,))).best_epoch == 0


def test_a_validation_loss_that_has_risen_stays_risen_when_it_levels_off():
    falling = np.linspace(0.5, 0.01, 12)
    risen = np.array([0.2, 0.1, 0.1, 0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3])
    assert diagnose(*history(0.99, 0.96, falling, risen)).verdict == "overfitting"
    assert diagnose(*history(0.99, 0.96, falling, np.minimum(risen, 0.11))).verdict == "optimal"
    assert diagnose(*history(0.99, 0.96, falling, np.sort(risen)[::-1])).verdict == "optimal"


def test_noise_alone_is_seldom_called_overfitting():
    rng = np.random.default_rng(0)
    falling = np.linspace(0.5, 0.1, 10)
    noisy = rng.normal(0.1, 0.01, (1000, 10))
    verdicts = [diagnose(*history(0.99, 0.969, falling, losses)).verdict for losses in noisy]
    assert sum(verdict is Verdict.OVERFITTING for verdict in verdicts) < 150


def test_no_epoch_is_not_trained():
    fit = diagnose(*[np.array([])] * 4)
    assert (fit.verdict, fit.train_trend, fit.val_trend) == ("not trained", "flat", "flat")
    assert math.isnan(fit.gap)
    assert (fit.best_epoch, fit.still_improving) == (0, False)


def test_one_epoch_has_a_verdict_and_no_trend():
    fit = diagnose(*history(0.93, 0.96, (0.3,), (0.1,)))
    assert (fit.verdict, fit.val_trend, fit.best_epoch, fit.still_improving) == ("optimal", "flat", 1, False)
    assert fit.gap == -0.03


def test_still_improving_needs_the_lowest_loss_last():
    assert diagnose(*history(0.9, 0.9, val_loss=(0.5, 0.4, 0.3))).still_improving
    assert not diagnose(*history(0.9, 0.9, (0.5,) * 4, (0.9, 0.4, 0.3, 0.31))).still_improving  # falls, but not last
    assert not diagnose(*history(0.9, 0.9, val_loss=(0.301, 0.3005, 0.3))).still_improving  # lowest last, but flat


def test_the_first_of_equal_epochs_is_the_best():
    assert diagnose(*history(0.9, 0.9, (0.5,) * 4, (0.4, 0.3, 0.3, 0.4))).best_epoch == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "flat"),
        ([0.3], "flat"),
        ([0.3, 0.4], "rising"),
        ([0.4, 0.3], "falling"),
        ([0, 0, 0], "flat"),
        ([-1, 0, 1], "flat"),  # the mean is 0
        ([-3, -2, -1], "rising"),
        ([1, 1, NAN], "rising"),
        ([3, 2, INF], "rising"),
        ([NAN], "rising"),
        ([INF, 3, 2], "falling"),
        ([NAN, NAN, 2], "flat"),
        ([9, 9, 9, 1, 1, 1], "flat"),  # 3 of 6 epochs
        ([9] * 8 + [1] * 4, "flat"),  # 4 of 12
        ([9] * 7 + [7, 5, 3], "falling"),  # 4 of 10: a third, rounded up
        ([1, 2, 1, 2, 1, 2, 1.2, 1.9, 1.5], "flat"),  # swings
        ([100, 101, 101.9], "flat"),  # + 1.9 over the window, under 2 % of its mean
        ([100, 101, 102.1], "rising"),
        ([102.1, 101, 100], "falling"),
        ([1, 2, 1], "flat"),
    ],
)
def test_trend(values, expected):
    assert trend(np.array(values)) == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=40), st.sampled_from([0.125, 4, 1024]))
def test_trend_does_not_know_the_scale(values, scale):
    assert trend(np.array(values)) == trend(np.array(values) * scale)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(2, 60), st.floats(0.05, 5))
def test_trend_of_a_straight_line_is_its_change(epochs, change):
    line = 1 + change * np.linspace(0, 1, epochs)
    window = line[-max(3, math.ceil(epochs / 3)) :]
    rises = (window[-1] - window[0]) / window.mean() > 0.02
    assert trend(line) == ("rising" if rises else "flat")
    assert trend(line[::-1][-len(window) :]) != "rising"


@pytest.mark.parametrize(
    ("train_acc", "val_acc", "verdict"),
    [(0.97, 0.97, "at baseline"), (0.99, 0.92, "overfitting"), (0.7, 0.7, "underfitting")],
)
def test_no_fit_is_optimal_at_the_baseline(train_acc, val_acc, verdict):
    assert diagnose(*history(train_acc, val_acc), is_at_baseline=True).verdict == verdict


def test_no_epoch_is_not_trained_at_the_baseline_either():
    assert diagnose(*[np.array([])] * 4, is_at_baseline=True).verdict == "not trained"


@pytest.mark.parametrize(
    ("accuracy", "total", "baseline", "expected"),
    [
        (0.99, 10_000, 0.1135, True),
        (1.0, 1000, 1.0, False),  # all test images are of one class
        (0.97, 1000, 0.97, False),
        (0.975, 1000, 0.97, False),  # within chance
        (0.99, 1000, 0.97, True),
        (1.0, 20, 0.9, False),  # too few images
    ],
)
def test_a_score_exceeds_a_baseline_by_more_than_chance(accuracy, total, baseline, expected):
    assert exceeds(accuracy, total, baseline) is expected
