"""Batches: every image once, an order that seed and epoch alone decide, and fair shards."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.data.batches import Batches, derived_seed
from ziffern.training.fast_steps.chunks import Chunks

COUNT = 40
IMAGES = torch.arange(COUNT, dtype=torch.uint8).view(-1, 1, 1).expand(-1, 28, 28).contiguous()
LABELS = torch.arange(COUNT)  # the label is the image's own number, so that a batch says what it holds
quick = settings(max_examples=150, deadline=None, derandomize=True)


def batches(indices=tuple(range(COUNT)), size=7, *more):
    return Batches(IMAGES, LABELS, torch.tensor(indices, dtype=torch.int64), size, *more)


def seen(loader):
    return [label for _, labels in loader for label in labels.tolist()]


@quick
@given(data=st.data(), size=st.integers(1, 50), seed=st.none() | st.integers(0, 2**32))
def test_every_image_once_and_the_ragged_last_batch_kept(data, size, seed):
    indices = data.draw(st.lists(st.integers(0, COUNT - 1), min_size=1, unique=True))
    loader = batches(indices, size, seed)
    found = list(loader)
    assert len(found) == len(loader)
    assert [len(labels) for _, labels in found[:-1]] == [size] * (len(found) - 1)
    assert len(found[-1][1]) == (len(indices) % size or min(size, len(indices)))
    drawn = seen(loader)
    assert drawn == indices if seed is None else sorted(drawn) == sorted(indices)


def test_batch_has_the_images_of_its_labels():
    images, labels = next(iter(batches(range(20), 7, 5)))
    assert (images.dtype, images.shape, labels.dtype, labels.shape) == (torch.uint8, (7, 28, 28), torch.int64, (7,))
    assert torch.equal(images[:, 3, 14].long(), labels)


def test_order_is_a_function_of_seed_and_epoch_alone():
    straight, resumed = batches(range(COUNT), 7, 3), batches(range(COUNT), 9, 3)
    orders = []
    for epoch in range(4):
        straight.set_epoch(epoch)
        orders.append(seen(straight))
        torch.rand(5)  # the global stream must not matter
        assert seen(straight) == orders[-1]
    resumed.set_epoch(3)
    assert seen(resumed) == orders[3]
    assert len({tuple(order) for order in orders}) == 4
    assert seen(batches(range(COUNT), 7, 4)) != orders[0]


def test_parts_in_order_ignore_the_epoch():
    loader = batches([5, 3, 9])
    loader.set_epoch(2)
    assert seen(loader) == [5, 3, 9]


@quick
@given(count=st.integers(1, COUNT), world=st.integers(1, 9), size=st.integers(1, 12), epoch=st.integers(0, 3))
def test_shuffled_shards_are_equally_long_and_hold_everything(count, world, size, epoch):
    shards = [batches(range(count), size, 11, rank, world) for rank in range(world)]
    for shard in shards:
        shard.set_epoch(epoch)
    lists = [seen(shard) for shard in shards]
    assert {len(drawn) for drawn in lists} == {-(-count // world)}
    assert {label for drawn in lists for label in drawn} == set(range(count))
    assert {len(list(shard)) for shard in shards} == {len(shard) for shard in shards}
    assert len({len(shard) for shard in shards}) == 1


@quick
@given(count=st.integers(1, COUNT), world=st.integers(1, 9), size=st.integers(1, 12))
def test_shards_in_order_hold_everything_exactly_once(count, world, size):
    shards = [batches(range(count), size, None, rank, world) for rank in range(world)]
    assert sorted(label for shard in shards for label in seen(shard)) == list(range(count))
    assert [len(list(shard)) for shard in shards] == [len(shard) for shard in shards]


def test_processes_deal_out_one_common_order():
    whole, shards = seen(batches(range(12), 5, 6)), [seen(batches(range(12), 5, 6, rank, 3)) for rank in range(3)]
    assert [list(dealt) for dealt in zip(*shards, strict=True)] == [whole[at : at + 3] for at in range(0, 12, 3)]


def test_lightning_finds_a_sampler_that_takes_the_epoch():
    loader = batches(range(COUNT), 7, 3)
    first = seen(loader)
    loader.sampler.set_epoch(1)
    assert seen(loader) != first
    assert loader.batch_sampler is None


def test_derived_seeds_are_distinct_frozen_and_63_bits_wide():
    seeds = {derived_seed(seed, epoch) for seed in (0, 1, 2**32 - 1) for epoch in range(50)}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derived_seed(0, 1) == 2918264622725855778
    with pytest.raises(ValueError, match="non-negative"):
        derived_seed(-1)


@quick
@given(count=st.integers(0, 40), size=st.integers(1, 9), steps=st.integers(1, 4))
def test_no_batch_is_a_single_image_where_two_are_needed(count: int, size: int, steps: int) -> None:
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1)
    batches = Batches(images, torch.arange(count), torch.arange(count), size, keep_single=False)
    cut = [len(labels) for _, labels in batches]
    assert (sum(cut), len(cut)) == (count, len(batches))
    assert 1 not in cut or size == 1 or count == 1
    chunks = Chunks(batches, steps)
    assert [len(labels) for chunk in chunks for _, labels in chunk] == cut
    assert len(list(chunks)) == len(chunks)
