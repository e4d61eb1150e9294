from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.analysis.recommendation import Pair, holm, pairwise, recommend
from ziffern.analysis.significance import Difference, mcnemar, recipe_difference


def read(correct: int, total: int = 1000, seed: int = 0) -> np.ndarray:
    """One run (1, N) that reads so many digits correctly, anywhere."""
    hits = np.zeros(total, bool)
    hits[np.random.default_rng(seed).permutation(total)[:correct]] = True
    return hits[None]


def nested(correct: int, total: int = 1000) -> np.ndarray:
    """One run (1, N) that reads the first so many digits correctly."""
    return (np.arange(total) < correct)[None]


def test_two_runs_are_tested_by_mcnemar() -> None:
    first, second = read(900), read(940, seed=1)
    (pair,) = pairwise([first, second])
    expected = mcnemar(first[0], second[0])
    assert (pair.only_first, pair.only_second, pair.p) == expected
    assert pair.adjusted == pair.p == pair.mcnemar
    assert pair.difference.value == pytest.approx(-0.04)


def test_three_runs_are_corrected_for_their_pairs() -> None:
    pairs = pairwise([read(900), read(925, seed=1), read(940, seed=2)])
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]
    assert all(pair.adjusted >= pair.p for pair in pairs)
    assert min(pairs, key=lambda pair: pair.p).adjusted == pytest.approx(3 * min(pair.p for pair in pairs))


def test_recipes_of_several_seeds_are_tested_by_their_means() -> None:
    small = np.concatenate([read(900, seed=seed) for seed in range(3)])
    large = np.concatenate([read(960, seed=seed) for seed in range(10, 13)])
    (pair,) = pairwise([small, large])
    assert pair.mcnemar == mcnemar(small[0], large[0]).p != pair.p  # of the first seeds alone
    assert (pair.difference, pair.p) == recipe_difference(small, large)
    assert pair.is_significant
    assert pair.difference.value == pytest.approx(-0.06)


def several(correct: int, first_seed: int, seeds: int = 3) -> np.ndarray:
    """Some runs (S, N) that each read so many digits correctly."""
    return np.concatenate([read(correct, seed=first_seed + seed) for seed in range(seeds)])


def test_a_single_seed_is_not_tested_against_several() -> None:
    one, other, many, more = read(900), read(930, seed=1), several(980, 10), several(940, 20)
    pairs = {(pair.first, pair.second): pair for pair in pairwise([one, other, many, more])}
    for places in ((0, 2), (0, 3), (1, 2), (1, 3)):
        pair = pairs[places]
        assert (pair.difference, pair.p, pair.adjusted, pair.is_significant) == (None, None, None, False)
        assert pair.mcnemar == mcnemar([one, other][places[0]][0], [many, more][places[1] - 2][0]).p
    tested = [pairs[0, 1], pairs[2, 3]]
    assert [pair.p for pair in tested] == [mcnemar(one[0], other[0]).p, recipe_difference(many, more)[1]]
    # Holm's correction is over these two alone
    assert [pair.adjusted for pair in tested] == holm([pair.p for pair in tested if pair.p is not None])


def test_without_a_test_no_larger_model_is_clearly_better() -> None:
    choice = choose([10, 100], [several(900, 1), read(999)])
    assert (choice.place, choice.beaten, choice.kept_over) == (0, (), (1,))


def choose(params: list[int], hits: list[np.ndarray], margin: float = 0.002, val: list[float] | None = None):
    accuracy = [float(hit.mean()) for hit in hits]
    return recommend(params, val or accuracy, accuracy, pairwise(hits), margin)


def test_the_smaller_model_unless_the_larger_is_clearly_better() -> None:
    assert choose([10, 100], [nested(900), nested(950)]).place == 1
    assert choose([10, 100], [nested(900), nested(950)]).beaten == ((0, 1),)
    assert choose([10, 100], [nested(950), nested(900)]).place == 0
    # not by the margin, though every discordant digit speaks for the larger one
    assert choose([10, 100], [nested(900), nested(950)], margin=0.06).place == 0
    # by the margin, but three digits against none are no proof
    assert choose([10, 100], [nested(900), nested(903)]).place == 0


def test_the_order_given_does_not_matter() -> None:
    models = {10: nested(900), 100: nested(950), 1000: nested(951)}
    for order in ([10, 100, 1000], [1000, 10, 100], [100, 1000, 10]):
        choice = choose(order, [models[size] for size in order])
        assert order[choice.place] == 100
        assert [(order[small], order[large]) for small, large in choice.beaten] == [(10, 1000)]
        assert [order[place] for place in choice.kept_over] == [1000]


def test_a_model_that_none_beats_is_taken_though_it_beats_none() -> None:
    # the largest beats the smallest, but not the one between them, which no test can tell from either
    params, accuracy = [1, 2, 3], [0.90, 0.91, 0.92]
    sure, unsure = Difference(-0.02, -0.03, -0.01), Difference(-0.01, -0.02, 0.01)
    pairs = [
        Pair(0, 1, 0, 0, 1.0, unsure, 0.3, 0.6),
        Pair(0, 2, 0, 0, 0.0, sure, 0.001, 0.003),
        Pair(1, 2, 0, 0, 1.0, unsure, 0.3, 0.6),
    ]
    choice = recommend(params, accuracy, accuracy, pairs, 0.002)
    assert (choice.place, choice.beaten, choice.kept_over) == (1, ((0, 2),), (2,))


def test_of_equal_sizes_validation_decides_what_comes_first() -> None:
    hits = [nested(900), nested(901)]
    assert choose([10, 10], hits, val=[0.95, 0.90]).place == 0
    assert choose([10, 10], hits, val=[0.90, 0.95]).place == 1


def test_an_interval_around_zero_is_no_proof() -> None:
    (pair,) = pairwise([read(900), read(960, seed=1)])
    assert pair.is_significant
    doubtful = replace(pair, difference=Difference(-0.06, -0.13, 0.01))
    assert not doubtful.is_significant


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


@pytest.mark.slow
def test_holm_is_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(8)
    for size in range(1, 13):
        p_values = rng.random(size) ** 3  # many small ones
        expected = multitest.multipletests(p_values, method="holm")[1]
        assert holm(p_values.tolist()) == pytest.approx(expected, abs=1e-12)
