"""Batches cut by index from tensors that are held in memory once.

Decisions: no worker processes and no Python code per image: all images (MNIST 55 MB, CIFAR-10 184 MB) are on the
training device.
The order of a training epoch is a function of seed and epoch alone, so a resumed run has the batches that an
uninterrupted one would have had. Several processes (DDP) cut the same order, each its own shard.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


def derived_seed(*parts: int) -> int:
    """Return one 63-bit seed from several non-negative numbers (seed, epoch, rank ...), by numpy's SeedSequence."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def batch_starts(count: int, size: int, keep_single: bool) -> range:
    """Return where the batches of `count` images begin; without `keep_single` the last one has two images or more."""
    return range(0, count - (not keep_single and 1 < size < count and count % size == 1), size)


@dataclass(eq=False)
class Batches:
    """An iterable of (images (B, C, H, W) uint8, labels (B,) int64), with a length, for a Lightning loop.

    Args:
        images: (N, C, H, W) uint8, all images of the data set, on the training device.
        labels: (N,) int64, on the same device.
        indices: (n,) int64, the images of this part, on the same device.
        batch_size: Images per batch; the last one of an epoch may be smaller.
        shuffle_seed: Shuffle anew each epoch from this seed; None keeps the order of `indices`.
        rank: This process's number among `world_size` processes.
        world_size: Number of processes. Shuffled parts are dealt out evenly, the first few images twice where the count
            is not divisible, since every process must take the same steps; ordered parts are dealt out exactly once.
        keep_single: Whether a last batch of one image is kept; otherwise it joins the one before, for batch norm.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    batch_size: int
    shuffle_seed: int | None = None
    rank: int = 0
    world_size: int = 1
    keep_single: bool = True
    epoch: int = field(default=0, init=False)
    _taken: int = field(default=0, init=False)  # batches
    _skip: int = field(default=0, init=False)

    batch_sampler = None  # Lightning looks for it wherever there is a sampler

    @property
    def sampler(self) -> "Batches":
        """Itself: Lightning calls `set_epoch` on a loader's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Draw the next order for `epoch`, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches per epoch, in this process."""
        return len(batch_starts(len(self._shard(self.indices)), self.batch_size, self.keep_single))

    def __iter__(self) -> Iterator[Batch]:
        order = self.indices
        if self.shuffle_seed is not None:
            generator = torch.Generator().manual_seed(derived_seed(self.shuffle_seed, self.epoch))
            order = order[torch.randperm(len(order), generator=generator).to(order.device)]
        order = self._shard(order)
        first, self._skip = self._skip, 0
        starts = batch_starts(len(order), self.batch_size, self.keep_single)
        for start, end in pairwise([*starts[first:], len(order)]):
            chosen = order[start:end]
            self._taken = start // self.batch_size + 1
            yield self.images.index_select(0, chosen), self.labels.index_select(0, chosen)

    def state_dict(self) -> dict[str, int]:
        """Return the batches taken in this epoch; Lightning saves it in every checkpoint."""
        return {"taken": self._taken % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next epoch where the checkpoint was saved."""
        self._taken = self._skip = state["taken"]

    def _shard(self, order: Tensor) -> Tensor:
        if self.world_size == 1:
            return order
        if self.shuffle_seed is not None:
            even = math.ceil(len(order) / self.world_size) * self.world_size
            order = order[torch.arange(even, device=order.device) % len(order)]
        return order[self.rank :: self.world_size]
