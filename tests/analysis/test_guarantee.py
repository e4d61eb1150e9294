import numpy as np
import pytest

from ziffern.analysis.guarantee import TENTH, THRESHOLDS, Counts, count, first_part, images_needed, threshold

DRAWS = 200


def labeled(rng: np.random.Generator, size: int, overconfidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return confidence and correctness of images whose true error is `overconfidence` times what it claims."""
    doubt = np.minimum(10 ** -rng.gamma(3.0, 1.2, size), 0.9)
    return 1 - doubt, rng.random(size) > np.minimum(doubt * overconfidence, 0.95)


@pytest.mark.parametrize("overconfidence", [1.0, 3.0])
@pytest.mark.parametrize(("max_error", "size"), [(0.05, 600), (0.01, 3000)])
def test_the_promise_holds_in_nearly_all_repeated_draws(max_error: float, size: int, overconfidence: float) -> None:
    rng = np.random.default_rng(5)
    confidence, hit = labeled(rng, 500_000, overconfidence)
    order = np.argsort(-confidence)
    wrong = np.cumsum(~hit[order])
    accepted = [int((confidence >= place).sum()) for place in THRESHOLDS]
    risk = {place: wrong[n - 1] / n for place, n in zip(THRESHOLDS, accepted, strict=True) if n}  # of the population
    chosen = [threshold(count(*labeled(rng, size, overconfidence)), max_error) for _ in range(DRAWS)]
    broken = sum(risk[each.confidence] > max_error for each in chosen if each is not None)
    assert broken <= 0.05 * DRAWS
    assert sum(each is not None for each in chosen) >= 0.9 * DRAWS  # it is not kept by accepting nothing


def test_the_lowest_threshold_before_the_first_failure_is_taken() -> None:
    errors = np.zeros(len(THRESHOLDS), np.int64)
    errors[:10] = 400
    counts = Counts(np.ones(len(THRESHOLDS)), np.full(len(THRESHOLDS), 4000), errors, 6000)
    chosen = threshold(counts, 0.01)
    assert chosen is not None
    assert chosen.confidence == THRESHOLDS[10]
    assert (chosen.accepted, chosen.errors, chosen.coverage) == (4000, 0, 1.0)


@pytest.mark.parametrize("max_error", [0.001, 0.01, 0.2])
def test_as_many_images_as_said_suffice_if_all_answers_are_right(max_error: float) -> None:
    needed = images_needed(max_error)
    for size, suffices in ((needed, True), (int(0.98 * needed) - 1, False)):
        chosen = threshold(count(np.full(size, 0.9999999), np.ones(size, np.bool_)), max_error)
        assert (chosen is not None) is suffices, size


def test_more_models_to_choose_from_need_more_images() -> None:
    confidence, hit = np.full(700, 0.99), np.ones(700, np.bool_)
    assert threshold(count(confidence, hit, 1), 0.01) is not None
    assert threshold(count(confidence, hit, 100), 0.01) is None


def test_images_that_are_never_accepted_do_not_count() -> None:
    confidence, hit = np.array([0.9] * 300 + [-1.0] * 300), np.array([True] * 300 + [False] * 300)
    counts = count(confidence, hit)
    assert counts.accepted[0] == (confidence[~first_part(600)] > 0).sum()
    assert not counts.errors.any()


def test_the_first_part_is_the_same_for_the_same_number_of_images() -> None:
    assert first_part(9000).sum() == 2000
    assert first_part(90).sum() == 30
    assert (first_part(500) == first_part(500)).all()


def test_images_that_a_model_was_trained_on_prove_nothing() -> None:
    confidence, hit = np.full(20_000, 0.99), np.ones(20_000, np.bool_)
    assert threshold(count(confidence, hit, np.inf), 0.5) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_larger_allowed_error_never_accepts_less(seed: int) -> None:
    counts = count(*labeled(np.random.default_rng(seed), 900, 2.0), parts=TENTH)
    chosen = [threshold(counts, share) for share in np.geomspace(0.003, 0.3, 60)]
    places = [2.0 if each is None else each.confidence for each in chosen]
    assert places == sorted(places, reverse=True)
    assert 0 < sum(place < 2 for place in places) < 60


def test_a_later_start_with_more_images_is_tried_after_a_first_one_with_too_few() -> None:
    expected, accepted = np.linspace(1, 0, len(THRESHOLDS)), np.linspace(500, 0, len(THRESHOLDS)).astype(np.int64)
    chosen = threshold(Counts(expected, accepted, np.zeros_like(accepted), 550, parts=TENTH), 0.01)
    assert chosen is not None
    assert (chosen.confidence, chosen.accepted) == (0.0, 500)  # while 60 % of the images prove nothing
