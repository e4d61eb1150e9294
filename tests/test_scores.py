"""Scores over many batches: the same as over all images at once, whenever they are settled."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from ziffern.scores import Scores

LOGITS = torch.randn(30, 10, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(30) % 10


def whole(logits, labels):
    return {"loss": float(cross_entropy(logits, labels)), "acc": float((logits.argmax(1) == labels).float().mean())}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cuts=st.sets(st.integers(1, 29)), settle_every=st.integers(1, 5))
def test_ragged_batches_score_as_one(cuts, settle_every):
    scores = Scores(cross_entropy)
    edges = [0, *sorted(cuts), 30]
    for step, (start, end) in enumerate(pairwise(edges)):
        scores.add(LOGITS[start:end], LABELS[start:end])
        if step % settle_every == 0:
            scores.settle()
    assert scores.compute() == pytest.approx(whole(LOGITS, LABELS), rel=1e-5)


def test_settle_scores_what_waits_and_only_that():
    scores = Scores(cross_entropy)
    assert scores.settle() == {}
    scores.add(LOGITS[:8], LABELS[:8])
    assert scores.settle() == pytest.approx(whole(LOGITS[:8], LABELS[:8]))
    scores.add(LOGITS[8:], LABELS[8:])
    assert scores.settle() == pytest.approx(whole(LOGITS[8:], LABELS[8:]))
    assert scores.settle() == {}


def test_compute_starts_anew():
    scores = Scores(cross_entropy)
    for part in (slice(0, 20), slice(20, 30)):
        scores.add(LOGITS[part], LABELS[part])
        assert scores.compute() == pytest.approx(whole(LOGITS[part], LABELS[part]))


def test_loss_that_is_not_a_number_shows():
    scores = Scores(cross_entropy)
    scores.add(LOGITS, LABELS)
    scores.settle()
    scores.add(LOGITS * math.nan, LABELS)
    assert math.isnan(scores.compute()["loss"])


def test_the_given_loss_is_used_without_gradient_and_in_full_precision():
    scores = Scores(partial(cross_entropy, label_smoothing=0.5))
    scores.add(LOGITS.bfloat16().requires_grad_(), LABELS)
    wanted = float(cross_entropy(LOGITS.bfloat16().float(), LABELS, label_smoothing=0.5))
    assert scores.settle()["loss"] == pytest.approx(wanted, rel=1e-6)
