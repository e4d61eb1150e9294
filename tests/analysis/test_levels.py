"""How often the test of two recipes calls equal ones different, and how often its interval covers the truth, simulated.

Each digit is one of the 96 % that every net reads, or a hard one with a chance of about 1 in 2 that differs between the
recipes by twice `digits`; each seed shifts the chances of all hard digits by its own amount, whose deviation is `seeds`
(for each recipe its own). Both recipes have the same expected accuracy of 98 % (chances beyond 0 and 1 are cut off on
both sides alike), or differ by a known amount. The seeds' deviations of accuracy are 0 to 0.6 points, where the digits'
is about 0.2 points.
`pytest tests/analysis/test_levels.py -m slow -s` prints the table of docs/significance.md.
"""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from ziffern.analysis.significance import crossed_variances, half_width, recipe_difference

NUMBER, HARD, AT_ONCE, REPEATS = 5000, 400, 200, 2000  # digits; twice the expected hard ones; simulations
DIGITS = (0.0, 0.25, 0.5)
SEEDS = ((0, 0), (0.02, 0.02), (0.05, 0.05), (0.15, 0.15), (0.15, 0.02), (0.02, 0.15), (0.05, 0), (0, 0.05))
SHIFT = 0.05
NOMINAL = 0.05
# The chance of one false alarm in all 192 checks is below 1 % if every true rate is exactly 5 %.
MOST = binom.isf(0.01 / (2 * 4 * len(DIGITS) * len(SEEDS)), REPEATS, NOMINAL) / REPEATS


def simulate(rng, seeds, digits, deviations, shift):
    """Return correctness (AT_ONCE, S, NUMBER) of both recipes; the first reads `shift` more of the hard digits."""
    hard = rng.random((AT_ONCE, HARD)) < 0.5
    chance = rng.uniform(0.4, 0.6, (AT_ONCE, HARD))
    sides = []
    for count, deviation, more in zip(seeds, deviations, (shift, 0), strict=True):
        own = chance + digits * rng.choice([-1, 1], (AT_ONCE, HARD)) + more
        by_seed = deviation * rng.normal(size=(AT_ONCE, count, 1)).clip(-3, 3)
        correct = np.ones((AT_ONCE, count, NUMBER), bool)
        drawn = rng.random((AT_ONCE, count, HARD), np.float32)
        correct[:, :, :HARD] = ~hard[:, None] | (drawn < own[:, None] + by_seed)
        sides.append(correct)
    return sides


def missed(rng, seeds, digits, deviations, shift, truth):
    """Return the share of intervals at 95 % that do not hold the truth; with truth 0 that is the rate of rejection."""
    freedoms = [seeds[0] - 1, seeds[1] - 1, NUMBER - 1]
    outside = 0
    for _ in range(REPEATS // AT_ONCE):
        a, b = simulate(rng, seeds, digits, deviations, shift)
        value, parts = crossed_variances(a, b)
        outside += int((np.abs(value - truth) > half_width(parts, freedoms, NOMINAL)).sum())
    difference, p = recipe_difference(a[0], b[0])  # the one that people see is the same
    assert (p < NOMINAL) == (not difference.low <= 0 <= difference.high)
    assert difference.high - difference.value == pytest.approx(half_width(parts[:, 0], freedoms, NOMINAL))
    return outside / REPEATS


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(2, 2), (2, 5), (3, 3), (5, 5)])
def test_the_level_and_the_coverage_are_held(seeds):
    rng = np.random.default_rng(sum(seeds))
    rates, misses = {}, {}
    for digits, deviations in product(DIGITS, SEEDS):
        rates[digits, deviations] = missed(rng, seeds, digits, deviations, 0, 0)
        if 0.6 + digits + SHIFT + 3 * max(deviations) <= 1:  # only uncut chances are shifted by a known amount
            misses[digits, deviations] = missed(rng, seeds, digits, deviations, SHIFT, SHIFT * HARD / 2 / NUMBER)
    shown = (max(rates.values()), np.mean(list(rates.values())), 1 - max(misses.values()))
    print("", f"| {seeds[0]}, {seeds[1]} |", " | ".join(f"{100 * share:.1f}" for share in shown), "|")
    assert max(rates.values()) <= MOST, rates
    assert max(misses.values()) <= MOST, misses
    assert np.mean(list(rates.values())) > 0.002  # it does find differences by chance: it is not blind
