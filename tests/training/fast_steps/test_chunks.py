import pytest
import torch

from ziffern.data.batches import Batches
from ziffern.training.fast_steps.chunks import Chunks

IMAGES = torch.arange(53 * 784).reshape(53, 28, 28).to(torch.uint8)
LABELS = torch.arange(53)


def batches(size: int) -> Batches:
    return Batches(IMAGES, LABELS, torch.arange(3, 53), size, shuffle_seed=1)


@pytest.mark.parametrize("size", [1, 4, 7, 50])
@pytest.mark.parametrize("many", [1, 3, 20])
def test_the_same_batches_in_the_same_order(size: int, many: int) -> None:
    plain, chunks = batches(size), Chunks(batches(size), many)
    for epoch in range(2):
        plain.sampler.set_epoch(epoch)
        chunks.sampler.set_epoch(epoch)
        lists = list(chunks)
        assert len(lists) == len(chunks)
        flat = [batch for chunk in lists for batch in chunk]
        assert len(flat) == len(plain)
        for (images, labels), (own_images, own_labels) in zip(flat, plain, strict=True):
            assert torch.equal(images, own_images)
            assert torch.equal(labels, own_labels)
        assert all(len(chunk) == many for chunk in lists[:-1])
