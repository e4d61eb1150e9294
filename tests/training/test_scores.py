"""Scores over many batches: the same as over all images at once, whenever they are settled."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import CrossEntropyLoss, NLLLoss
from torch.nn.functional import cross_entropy

from ziffern.training.scores import Scores, scores_of

LOGITS = torch.randn(30, 10, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(30) % 10
LOSS = CrossEntropyLoss()


def add(scores, logits, labels):
    scores.add(cross_entropy(logits, labels), logits, labels)


def whole(logits, labels):
    return {"loss": float(cross_entropy(logits, labels)), "acc": float((logits.argmax(1) == labels).float().mean())}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cuts=st.sets(st.integers(1, 29)), settle_every=st.integers(1, 5))
def test_ragged_batches_score_as_one(cuts, settle_every):
    scores = Scores()
    edges = [0, *sorted(cuts), 30]
    for step, (start, end) in enumerate(pairwise(edges)):
        add(scores, LOGITS[start:end], LABELS[start:end])
        if step % settle_every == 0:
            scores.settle(LOSS)
    assert scores.compute(LOSS) == pytest.approx(whole(LOGITS, LABELS), rel=1e-5)


def test_settle_scores_what_waits_and_only_that():
    scores = Scores()
    assert scores.settle(LOSS) == {}
    add(scores, LOGITS[:8], LABELS[:8])
    assert scores.settle(LOSS) == pytest.approx(whole(LOGITS[:8], LABELS[:8]))
    add(scores, LOGITS[8:], LABELS[8:])
    assert scores.settle(LOSS) == pytest.approx(whole(LOGITS[8:], LABELS[8:]))
    assert scores.settle(LOSS) == {}


def test_compute_starts_anew():
    scores = Scores()
    for part in (slice(0, 20), slice(20, 30)):
        add(scores, LOGITS[part], LABELS[part])
        assert scores.compute(LOSS) == pytest.approx(whole(LOGITS[part], LABELS[part]))


def test_loss_that_is_not_a_number_shows():
    scores = Scores()
    add(scores, LOGITS, LABELS)
    scores.settle(LOSS)
    add(scores, LOGITS * math.nan, LABELS)
    assert math.isnan(scores.compute(LOSS)["loss"])


def test_nothing_waiting_holds_a_graph():
    scores = Scores()
    logits = LOGITS.clone().requires_grad_()
    scores.add(cross_entropy(logits, LABELS), logits, LABELS)
    assert not any(tensor.requires_grad for waiting in scores._waiting for tensor in waiting)
    assert scores.settle(LOSS) == pytest.approx(whole(LOGITS, LABELS))


WEIGHT = torch.tensor([1.0, 5.0, 0.2, 3.0, 1.0, 0.0, 1.0, 9.0, 1.0, 2.0])


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropyLoss(WEIGHT),
        CrossEntropyLoss(WEIGHT, label_smoothing=0.1),
        CrossEntropyLoss(ignore_index=3),
        NLLLoss(WEIGHT, ignore_index=1),
    ],
    ids=["weights", "smoothed", "ignored", "nll"],
)
@pytest.mark.parametrize("size", [1, 7, 30])
def test_a_loss_with_class_weights_does_not_depend_on_the_batch_size(loss, size):
    logits = LOGITS.log_softmax(1)
    batches = [(logits[start : start + size], LABELS[start : start + size]) for start in range(0, 30, size)]
    expected = float(loss(logits, LABELS))
    assert scores_of(loss, batches)["loss"] == pytest.approx(expected, abs=1e-6)
    if size == 1 and isinstance(loss, CrossEntropyLoss | NLLLoss):
        return  # the mean over an ignored image alone is 0/0
    scores = Scores()
    for part_logits, labels in batches:
        scores.add(loss(part_logits, labels), part_logits, labels)
    assert scores.compute(loss)["loss"] == pytest.approx(expected, rel=1e-5)
