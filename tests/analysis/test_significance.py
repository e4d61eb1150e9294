"""Paired tests and intervals, against hand-made values, other libraries and plain loops."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.analysis.significance import (
    fold_difference,
    fold_interval,
    mcnemar,
    mean_interval,
    paired_bootstrap,
    recipe_difference,
)

NAN = float("nan")


def nets(both, only_a, only_b, neither):
    """Return which digits two nets get right, (N,) each."""
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def runs(rng, accuracies, digits=400):
    """Return (S, N) correctness of seeds that tend to miss the same digits."""
    hard = rng.random(digits) * 0.5
    return np.array([rng.random(digits) * 0.5 + hard < accuracy for accuracy in accuracies])


def test_mcnemar_by_hand():
    # 2 against 8 of 10: twice the binomial tail (1 + 10 + 45) / 1024
    assert mcnemar(*nets(90, 8, 2, 5)) == (8, 2, pytest.approx(2 * 56 / 1024))
    assert mcnemar(*nets(90, 3, 0, 5)) == (3, 0, pytest.approx(0.25))
    assert mcnemar(*nets(90, 4, 4, 5)) == (4, 4, pytest.approx(1))
    found = mcnemar(*nets(9, 0, 0, 5))
    assert found == (0, 0, 1)
    assert [type(value) for value in found] == [int, int, float]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_knows_no_sides(only_a, only_b):
    a, b = nets(7, only_a, only_b, 3)
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert mcnemar(b, a) == (only_b, only_a, found.p)
    assert 0 < found.p <= 1


@pytest.mark.slow
def test_mcnemar_is_statsmodels():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for counts in [(90, 8, 2, 5), (13_700, 60, 95, 145), (50, 1, 0, 0), (50, 7, 7, 1)]:
        expected = tables.mcnemar(np.reshape(counts, (2, 2)), exact=True).pvalue
        assert mcnemar(*nets(*counts)).p == pytest.approx(expected, abs=1e-12)


def test_bootstrap_of_one_run_a_side_is_the_normal_interval():
    a, b = nets(13_600, 150, 90, 160)
    value, low, high = paired_bootstrap(a, b, resamples=40_000)
    deviation = math.sqrt(240 - 60**2 / 14_000) / 14_000
    assert value == 60 / 14_000
    assert [low, high] == pytest.approx([value - 1.96 * deviation, value + 1.96 * deviation], abs=1 / 14_000)
    narrow = paired_bootstrap(a, b, 0.5, 40_000)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.6745 * deviation, abs=1.5 / 14_000)  # whole digits


def test_bootstrap_is_paired():
    a, b = nets(200, 4, 4, 200)
    paired, apart = paired_bootstrap(a, b), paired_bootstrap(a, np.roll(b, 204))
    assert paired.high - paired.low < (apart.high - apart.low) / 3


def test_bootstrap_of_equals_is_exactly_nothing():
    a, _ = nets(13_748, 0, 0, 252)
    assert paired_bootstrap(a, a) == (0, 0, 0)


def test_bootstrap_is_seeded():
    a, b = nets(900, 40, 30, 30)
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b)
    assert paired_bootstrap(a, b) != paired_bootstrap(a, b, seed=1)


def test_recipes_by_hand():
    a = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)  # 0.75 and 0.5
    b = np.array([[1, 0, 0, 0], [0, 0, 0, 0]], bool)  # 0.25 and 0
    difference, p = recipe_difference(a, b)
    seeds = 0.25**2 / 2 / 2  # of each side: the variance of two values 0.25 apart, over two seeds
    # the digits' mean differences, less the noise of one digit of four in each recipe: variance 0.5 over two seeds
    digits = (np.var([0.5, 1, 0.5, 0], ddof=1) - 2 * (0.5 / 2) / 4) / 4
    assert difference.value == 0.5
    half = math.sqrt(2 * seeds * 12.7062047**2 + digits * 3.1824463**2)  # t with 1, 1 and 3 degrees of freedom
    assert (difference.low, difference.high) == pytest.approx((max(-1, 0.5 - half), min(1, 0.5 + half)))
    quantiles = [scipy.stats.t.isf(p / 2, freedom) for freedom in (1, 1, 3)]
    assert math.sqrt(seeds * (quantiles[0] ** 2 + quantiles[1] ** 2) + digits * quantiles[2] ** 2) == pytest.approx(0.5)
    narrow = recipe_difference(a, b, 1 - p)[0]
    assert narrow.low == pytest.approx(0, abs=1e-9)  # p and interval are one test
    mirrored, same = recipe_difference(b, a)
    assert mirrored == pytest.approx((-0.5, -narrow.value - half if half < 0.5 else -1, min(1, -0.5 + half)))
    assert same == pytest.approx(p)


def test_a_recipe_with_a_single_seed_is_not_tested():
    rng = np.random.default_rng(3)
    a, b = runs(rng, (0.8, 0.85, 0.9)), runs(rng, (0.7,))
    for sides in ((a, b), (b, a)):
        with pytest.raises(ValueError, match="at least 2 on each side"):
            recipe_difference(*sides)


def test_p_values_of_recipes_have_no_lower_limit_that_fails():
    better, worse = np.ones((5, 4000), bool), np.zeros((5, 4000), bool)
    worse[:, 0] = worse[0, 1] = True
    assert 0 < recipe_difference(better, worse)[1] < 1e-9


def test_seeds_that_are_equally_accurate_by_chance_prove_nothing():
    """The runs of each recipe miss as many digits, but different ones: there is noise, though no variance."""
    better, worse = np.ones((2, 2, 100), bool)
    better[0, 0] = better[1, 1] = False
    worse[0, 2:6] = worse[1, 6:10] = False
    difference, p = recipe_difference(better, worse)
    assert difference.value == pytest.approx(0.03)
    assert difference.low < 0.02
    assert p > 0.01


def test_more_seeds_and_surer_ones_give_narrower_intervals():
    rng = np.random.default_rng(4)
    a, b = runs(rng, (0.8, 0.85, 0.9, 0.8, 0.85, 0.9)), runs(rng, (0.7, 0.75, 0.7, 0.75))
    wide, narrow = recipe_difference(a[:2], b)[0], recipe_difference(a, b)[0]
    assert narrow.high - narrow.low < wide.high - wide.low
    half = recipe_difference(a, b, 0.5)[0]
    assert narrow.low < half.low < half.value < half.high < narrow.high


def test_equal_recipes_differ_by_nothing():
    a, b = nets(100, 5, 5, 10)
    assert recipe_difference(np.array([a, a]), np.array([a, a])) == ((0, 0, 0), 1)
    difference, p = recipe_difference(np.array([a, b]), np.array([b, a]))
    assert difference.value == 0
    assert p == 1


@pytest.mark.parametrize("seeds", [(2, 2), (2, 5), (3, 3), (5, 5)])
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_recipes_that_are_alike_are_seldom_called_different(seeds, spread):
    """Two recipes with the same hard digits, whose seeds differ by chance: at most about 5 % come out significant."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(200):
        hard = rng.normal(4.5, 2, 1000)
        sides = [rng.logistic(size=(s, 1000)) < hard + rng.normal(0, spread, (s, 1)) for s in seeds]
        difference, p = recipe_difference(*sides)
        found.append(p < 0.05)
        assert (p < 0.05) == (not difference.low <= 0 <= difference.high)
    assert sum(found) <= 20


def test_recipes_that_differ_are_found_out():
    rng = np.random.default_rng(12)
    hard = rng.normal(4.5, 2, 4000)
    better, worse = (rng.logistic(size=(5, 4000)) < hard + shift + rng.normal(0, 0.05, (5, 1)) for shift in (0.7, 0))
    assert recipe_difference(better, worse)[1] < 0.01


def test_one_run_a_side_is_no_recipe():
    a, b = nets(9, 1, 2, 3)
    with pytest.raises(ValueError, match="at least 2 on each side"):
        recipe_difference(a[None], b[None])


@pytest.mark.parametrize("compare", [recipe_difference])
def test_other_shapes_are_refused(compare):
    with pytest.raises(ValueError, match=r"\(2, 5\) and b \(3, 4\)"):
        compare(np.ones((2, 5), bool), np.ones((3, 4), bool))
    with pytest.raises(ValueError, match=r"\(5,\) and b \(1, 5\)"):
        compare(np.ones(5, bool), np.ones((1, 5), bool))
    with pytest.raises(ValueError, match="nothing to compare"):
        compare(np.ones((2, 0), bool), np.ones((2, 0), bool))


def test_mcnemar_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(5,\) and b \(1,\)"):
        mcnemar(np.ones(5, bool), np.ones(1, bool))


def test_mean_interval_by_hand():
    # mean 3, deviation sqrt(2.5), t with 4 degrees of freedom 2.7764
    half = 2.7764451 * math.sqrt(2.5 / 5)
    assert mean_interval([1, 2, 3, 4, 5]) == pytest.approx((3, math.sqrt(2.5), 3 - half, 3 + half))
    assert mean_interval([1, 3], 0.5) == pytest.approx((2, math.sqrt(2), 1, 3))  # t with 1 degree: tan(pi / 4) = 1
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0, 0.5, 0.5)


def test_mean_interval_of_one_run_or_none():
    assert mean_interval([0.98]) == pytest.approx((0.98, NAN, NAN, NAN), nan_ok=True)
    with pytest.raises(ValueError, match="0 values"):
        mean_interval([])


def test_folds_without_overlap_are_the_paired_t_test() -> None:
    a, b = [0.90, 0.88, 0.93, 0.91, 0.89], [0.87, 0.88, 0.90, 0.90, 0.86]
    difference, p = fold_difference(a, b, ratio=0)
    expected = scipy.stats.ttest_rel(a, b)
    low, high = expected.confidence_interval(0.95)
    assert p == pytest.approx(expected.pvalue)
    assert difference == pytest.approx((0.02, low, high))


def test_overlapping_training_parts_widen_the_interval_as_published() -> None:
    values = [0.90, 0.88, 0.93, 0.91, 0.89]
    mean, deviation, low, high = fold_interval(values, ratio=1 / 3)  # of 5 folds one tests and three train
    half = scipy.stats.t.ppf(0.975, 4) * np.std(values, ddof=1) * math.sqrt(1 / 5 + 1 / 3)
    assert (mean, deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (low, high) == pytest.approx((mean - half, mean + half))


def test_equal_folds_differ_by_nothing_and_constant_differences_are_certain() -> None:
    assert fold_difference([0.9, 0.8], [0.9, 0.8], 0.3) == ((0, 0, 0), 1.0)
    with pytest.raises(ValueError, match="pass at least 2"):
        fold_interval([0.9], 0.3)


def test_the_corrected_test_keeps_its_level_where_the_plain_one_does_not() -> None:
    """Two learners of equal accuracy on the folds of the same 300 images, 400 times."""
    rng = np.random.default_rng(0)
    rejected = {0.0: 0, 1 / 3: 0}
    for _ in range(400):
        label = rng.integers(0, 2, 300)
        signal = label * 1.2 + rng.normal(size=(2, 300))  # one independent, equally informative feature per learner
        accuracy = np.empty((2, 5))
        for fold in range(5):
            test, val = np.arange(300) % 5 == fold, np.arange(300) % 5 == (fold + 1) % 5
            train = ~(test | val)
            for learner in range(2):
                x = signal[learner]
                border = (x[train][label[train] == 0].mean() + x[train][label[train] == 1].mean()) / 2
                accuracy[learner, fold] = ((x[test] > border) == label[test]).mean()
        for ratio in rejected:
            rejected[ratio] += fold_difference(*accuracy, ratio)[1] < 0.05
    assert rejected[1 / 3] / 400 <= 0.05
    assert rejected[0.0] > rejected[1 / 3]
