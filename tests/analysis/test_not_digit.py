import numpy as np
import pytest

from ziffern.analysis.not_digit import KEPT, fit, quality
from ziffern.data.embedded import embedded_digits
from ziffern.data.negatives import make_negatives


def nearest(images: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return probabilities of a simple model: the nearest mean digit."""
    distance = ((images.reshape(len(images), 1, -1) / 255 - means / 255) ** 2).sum(2)
    odds = np.exp(-(distance - distance.min(1, keepdims=True)) / 4)
    return (odds / odds.sum(1, keepdims=True)).astype(np.float32)


def test_digits_are_told_from_letters_pieces_pairs_and_noise_it_has_not_seen() -> None:
    images, labels = embedded_digits()
    order = np.random.default_rng(0).permutation(len(images))[:1600]
    images, labels = images[order], labels[order]
    means = np.stack([images[labels == place].reshape(-1, 784).mean(0) for place in range(10)])
    seen, unseen = slice(0, 800), slice(800, 1600)
    others = make_negatives(images[seen], 600, seed=0)
    score = fit((nearest(images[seen], means), images[seen]), (nearest(others, means), others), labels[seen], 10)
    more = make_negatives(images[unseen], 600, seed=1)
    digits, negatives = (score.scores(nearest(each, means), each) for each in (images[unseen], more))
    auroc, false_positives = quality(digits, negatives)
    assert auroc > 0.9
    assert false_positives < 0.4
    assert (digits >= score.threshold).mean() == pytest.approx(KEPT, abs=0.02)
    one_by_one = np.concatenate([score.scores(nearest(each[None], means), each[None]) for each in more[:20]])
    assert one_by_one == pytest.approx(negatives[:20], abs=1e-5)  # an answer does not depend on other images


def test_quality_of_a_perfect_score_of_a_useless_one_and_of_ties() -> None:
    low, high = np.zeros(50), np.ones(100)
    assert quality(high, low) == (1.0, 0.0)
    assert quality(low, high)[0] == 0.0
    assert quality(np.ones(10), np.ones(10)) == (0.5, 1.0)


def test_negatives_are_made_with_a_seed_and_fit_the_box_of_a_digit() -> None:
    images, _ = embedded_digits()
    made = make_negatives(images[:50], 200, seed=3)
    assert (made == make_negatives(images[:50], 200, seed=3)).all()
    assert made.shape[1:] == (1, 28, 28)
    assert len(made) > 180
    assert not made[:, :, :4].any()
    assert not made[:, :, :, 24:].any()
