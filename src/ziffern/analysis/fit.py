"""The verdict on a fit, from the curves of a run: overfitting, underfitting or optimal.

The verdicts of Gómez López and Ulubas (2025) were published without a rule. This rule is fixed, so that all runs are
judged alike, and reproduces their verdicts from their figures. It uses training and validation only, because the test
images must not influence a design; only where a score is not clearly above that of always predicting the most frequent
class, on whichever part, no fit is called optimal. For a run without epochs, undefined values are nan, flat or 0.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

GAP = 0.02  # of accuracy: between the two published gaps, 0.0171 (optimal) and 0.0226 (overfitting)
LARGE_GAP = 0.05  # more than twice the published overfitting gap: no trend excuses it
LEARNED = 0.90  # a linear classifier reaches about 0.92 on MNIST; a net below 0.90 has not even learned that
STARTED = 0.50  # a net below this has hardly learned its training images: a gap is noise, or the run collapsed
STEADY = 0.02  # a relative change over the window that is not yet a trend
CERTAIN = 2.0  # standard errors between a slope and 0: a curve that only oscillates has no trend
RISEN = 1.2  # times its lowest level: a validation loss above this counts as risen, even if it levels off
WINDOW = 3  # minimum number of epochs in the window


class Verdict(StrEnum):
    """The judgment on a run's curves."""

    OVERFITTING = "overfitting"
    UNDERFITTING = "underfitting"
    OPTIMAL = "optimal"
    NOT_TRAINED = "not trained"
    AT_BASELINE = "at baseline"  # no better than always predicting the most frequent class


class Trend(StrEnum):
    """The direction of a curve at the end of a run."""

    RISING = "rising"
    FALLING = "falling"
    FLAT = "flat"


@dataclass(frozen=True)
class Fit:
    """A verdict and the evidence for it."""

    verdict: Verdict
    gap: float  # training minus validation accuracy of the last epoch, in [-1, 1]; negative is usual with dropout
    train_trend: Trend  # of the losses
    val_trend: Trend
    best_epoch: int  # counted from 1, of the lowest validation loss; 0 if there is none
    still_improving: bool  # the validation loss falls and is lowest in the last epoch: more epochs may help


def trend(values: NDArray[np.float64]) -> Trend:
    """Return the direction of a curve (E,), one value per epoch, over its last third, at least WINDOW epochs.

    The least-squares slope times the window's span, relative to the window's mean, must exceed ± STEADY, and the slope
    must be CERTAIN standard errors away from 0; otherwise the curve is flat. A curve whose last value is not finite is
    rising (the loss exploded); other values that are not finite are ignored.
    """
    from scipy.stats import linregress

    window = np.asarray(values, np.float64)[-max(WINDOW, -(-len(values) // 3)) :]
    if window.size and not np.isfinite(window[-1]):
        return Trend.RISING
    epochs = np.flatnonzero(np.isfinite(window))
    finite = window[epochs]
    if len(epochs) < 2 or finite.mean() == 0:  # noqa: PLR2004
        return Trend.FLAT
    line = linregress(epochs, finite)
    change = line.slope * (len(window) - 1) / abs(finite.mean())
    if abs(change) <= STEADY or abs(line.slope) < CERTAIN * line.stderr:
        return Trend.FLAT
    return Trend.RISING if change > 0 else Trend.FALLING


def _has_risen(losses: NDArray[np.float64]) -> bool:
    """Return whether the mean of the last WINDOW epochs is above RISEN times the lowest such mean."""
    if len(losses) < 2 * WINDOW or not np.isfinite(losses).all():
        return False
    level = np.convolve(losses, np.ones(WINDOW) / WINDOW, mode="valid")
    return bool(level[-1] > RISEN * level.min())


def diagnose(
    train_loss: NDArray[np.float64],
    train_acc: NDArray[np.float64],
    val_loss: NDArray[np.float64],
    val_acc: NDArray[np.float64],
    *,
    is_at_baseline: bool = False,
) -> Fit:
    """Return the verdict on four curves (E,), one value per epoch, accuracies in [0, 1].

    `is_at_baseline`: whether a score is not clearly above that of always predicting the most frequent class
    (`exceeds`), so that a high accuracy does not show that anything was learned.

    The first of these rules that applies to the last epoch decides: the run diverged (validation loss not finite,
    validation accuracy below LEARNED): underfitting, whatever the training accuracy was before; training accuracy of
    at least STARTED, and a gap above LARGE_GAP, or above GAP while the losses diverge (validation rises or has risen,
    training does not rise): overfitting; both accuracies below LEARNED: underfitting; `is_at_baseline`: at baseline;
    otherwise optimal.
    """
    if not len(val_loss):
        return Fit(Verdict.NOT_TRAINED, float("nan"), Trend.FLAT, Trend.FLAT, 0, False)
    best = int(np.where(np.isfinite(val_loss), val_loss, np.inf).argmin()) + 1 if np.isfinite(val_loss).any() else 0
    trends = trend(train_loss), trend(val_loss)
    acc = float(train_acc[-1]), float(val_acc[-1])
    gap = accuracy_gap(train_acc, val_acc)
    diverged = not np.isfinite(val_loss[-1]) and acc[1] < LEARNED
    is_parting = trends[0] is not Trend.RISING and (trends[1] is Trend.RISING or _has_risen(val_loss))
    verdict = Verdict.UNDERFITTING if diverged else _verdict(*acc, gap, is_parting)
    if verdict is Verdict.OPTIMAL and is_at_baseline:
        verdict = Verdict.AT_BASELINE
    return Fit(verdict, gap, *trends, best, trends[1] is Trend.FALLING and best == len(val_loss))


def exceeds(accuracy: float, total: int, baseline: float) -> bool:
    """Return whether an accuracy on `total` images is clearly above a baseline: Wilson's 95% interval excludes it."""
    from scipy.stats import binomtest

    return bool(binomtest(round(accuracy * total), total).proportion_ci(method="wilson").low > baseline)


def accuracy_gap(train_acc: NDArray[np.float64], val_acc: NDArray[np.float64]) -> float:
    """Return training minus validation accuracy, each (E,), of the last epoch, in [-1, 1]."""
    return round(float(train_acc[-1]) - float(val_acc[-1]), 9)  # 0.99 - 0.97 is not above 0.02


def _verdict(train_acc: float, val_acc: float, gap: float, is_parting: bool) -> Verdict:
    if train_acc >= STARTED and (gap > LARGE_GAP or (gap > GAP and is_parting)):
        return Verdict.OVERFITTING
    if max(train_acc, val_acc) < LEARNED:  # dropout lowers the training accuracy
        return Verdict.UNDERFITTING
    return Verdict.OPTIMAL
