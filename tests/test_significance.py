"""Paired tests and intervals, against hand-made values, other libraries and plain loops."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.analysis.significance import holm, mcnemar, mean_interval, paired_bootstrap, sign_flip

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


def test_mcnemar_is_statsmodels():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for counts in [(90, 8, 2, 5), (13_700, 60, 95, 145), (50, 1, 0, 0), (50, 7, 7, 1)]:
        expected = tables.mcnemar(np.reshape(counts, (2, 2)), exact=True).pvalue
        assert mcnemar(*nets(*counts)).p == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("counts", [(80, 9, 3, 8), (80, 12, 2, 6), (80, 5, 5, 0), (500, 40, 60, 3), (9, 0, 1, 0)])
def test_sign_flip_of_one_run_a_side_is_mcnemar(counts):
    a, b = nets(*counts)
    p = mcnemar(a, b).p
    deviation = math.sqrt(p * (1 - p) / 100_000)
    assert sign_flip(a[None], b[None], 100_000) == pytest.approx(p, abs=4 * deviation + 1e-4)


def test_sign_flip_of_several_seeds_is_the_permutation_test():
    rng = np.random.default_rng(7)
    a, b = runs(rng, (0.75, 0.7, 0.74), 14), runs(rng, (0.6, 0.65), 14)
    difference = 2 * a.sum(0) - 3 * b.sum(0)
    signs = 1 - 2 * (np.arange(2**14)[:, None] >> np.arange(14) & 1)  # every one of the flips
    exact = np.mean(np.abs(signs @ difference) >= abs(difference.sum()))
    assert 0.02 < exact < 0.98
    found = sign_flip(a, b, 100_000)
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 100_000))
    assert sign_flip(b, a, 100_000) == found


def test_sign_flip_at_its_ends():
    a, b = nets(100, 40, 0, 0)
    assert sign_flip(a[None], b[None], 999) == 1 / 1000  # no flip in 999 is as far off
    assert sign_flip(a[None], a[None]) == 1
    assert sign_flip(np.array([a, b]), np.array([b, a])) == 1


def test_bootstrap_of_one_run_a_side_is_the_normal_interval():
    a, b = nets(13_600, 150, 90, 160)
    value, low, high = paired_bootstrap(a[None], b[None], resamples=40_000)
    deviation = math.sqrt(240 - 60**2 / 14_000) / 14_000
    assert value == 60 / 14_000
    assert [low, high] == pytest.approx([value - 1.96 * deviation, value + 1.96 * deviation], abs=1 / 14_000)
    narrow = paired_bootstrap(a[None], b[None], 0.5, 40_000)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.6745 * deviation, rel=0.04)


def plainly(a, b, resamples, rng):
    found = []
    for _ in range(resamples):
        digit = rng.integers(a.shape[1], size=a.shape[1])
        seeds_a, seeds_b = rng.integers(len(a), size=len(a)), rng.integers(len(b), size=len(b))
        found.append(a[np.ix_(seeds_a, digit)].mean() - b[np.ix_(seeds_b, digit)].mean())
    return np.quantile(found, [0.025, 0.975])


def test_bootstrap_of_several_seeds_is_the_plain_loop():
    rng = np.random.default_rng(5)
    a, b = runs(rng, (0.8, 0.9, 0.85)), runs(rng, (0.7, 0.82))
    value, low, high = paired_bootstrap(a, b, resamples=20_000)
    assert value == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert [low, high] == pytest.approx(plainly(a, b, 8_000, rng), abs=0.05 * (high - low))
    swapped = paired_bootstrap(b, a, resamples=20_000)
    assert swapped.value == -value
    assert [swapped.low, swapped.high] == pytest.approx([-high, -low], abs=0.05 * (high - low))


def test_bootstrap_is_paired_and_sees_the_seeds():
    a, b = nets(200, 4, 4, 200)
    paired = paired_bootstrap(a[None], b[None])
    apart = paired_bootstrap(a[None], np.concatenate((b[204:], b[:204]))[None])
    assert paired.high - paired.low < (apart.high - apart.low) / 3
    same = paired_bootstrap(np.repeat(a[None], 3, 0), np.repeat(b[None], 2, 0))
    spread = paired_bootstrap(np.array([a, np.ones(408, bool)]), np.array([b, b]))
    assert spread.high - spread.low > 5 * (same.high - same.low)


def test_bootstrap_of_equals_is_exactly_nothing():
    a, _ = nets(13_748, 0, 0, 252)
    assert paired_bootstrap(a[None], a[None]) == (0, 0, 0)
    assert paired_bootstrap(np.array([a, a, a]), np.array([a, a])) == (0, 0, 0)


def test_resampling_is_seeded_and_whatever_the_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    a, b = runs(rng, (0.8, 0.9), 5_000), runs(rng, (0.8, 0.7), 5_000)
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b)
    assert paired_bootstrap(a, b) != paired_bootstrap(a, b, seed=1)
    c, d = (side[None] for side in nets(90, 12, 7, 5))
    assert sign_flip(c, d) == sign_flip(c, d) != sign_flip(c, d, seed=1)
    whole = paired_bootstrap(a, b)
    monkeypatch.setattr("ziffern.analysis.significance.CELLS", 999)
    assert paired_bootstrap(a, b) == pytest.approx(whole, abs=0.1 * (whole.high - whole.low))


def test_14_000_digits_and_10_000_resamples_need_little_memory():
    rng = np.random.default_rng(2)
    a, b = runs(rng, (0.96, 0.97), 14_000), runs(rng, (0.95, 0.96), 14_000)
    tracemalloc.start()
    sign_flip(a, b)
    paired_bootstrap(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # 10,000 x 14,000 would be 140 MB as bytes


@pytest.mark.parametrize("compare", [sign_flip, paired_bootstrap])
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


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []
    assert {type(value) for value in holm([0.1, 0.2])} == {float}


P_VALUES = st.lists(st.floats(0, 1), max_size=12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_keeps_the_order_and_never_lowers(p_values, random):
    adjusted = holm(p_values)
    assert all(p <= new <= 1 for p, new in zip(p_values, adjusted, strict=True))
    ranked = [new for _, new in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(adjusted)
    order = list(range(len(p_values)))
    random.shuffle(order)
    assert holm([p_values[i] for i in order]) == [adjusted[i] for i in order]


def test_holm_is_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(8)
    for size in range(1, 13):
        p_values = rng.random(size) ** 3  # many small ones
        expected = multitest.multipletests(p_values, method="holm")[1]
        assert holm(p_values.tolist()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bad", [-0.1, 1.1, NAN])
def test_holm_refuses_what_is_no_p_value(bad):
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        holm([0.5, bad])


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
