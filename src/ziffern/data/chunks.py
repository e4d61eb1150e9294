"""Several batches at a time, for a `training_step` that takes several optimizer steps.

The Trainer's own work around a `training_step` costs about 0.3 ms, whatever happens inside; a step of a small
network takes not much more. Handing over several batches at once divides that cost among them.
"""

import math
from collections.abc import Iterator
from itertools import islice

from ziffern.data.batches import Batch, Batches


class Chunks:
    """An iterable of lists of up to `size` batches; the last list of an epoch holds what is left.

    Args:
        batches: The same batches, in the same order, as without chunks.
        size: Batches a list.
    """

    batch_sampler = None  # Lightning looks for it wherever there is a sampler

    def __init__(self, batches: Batches, size: int) -> None:
        self.batches, self.size = batches, size

    @property
    def sampler(self) -> Batches:
        """Lightning tells it the epoch."""
        return self.batches

    def __len__(self) -> int:
        """Return the lists an epoch."""
        return math.ceil(len(self.batches) / self.size)

    def __iter__(self) -> Iterator[list[Batch]]:
        batches = iter(self.batches)
        while chunk := list(islice(batches, self.size)):
            yield chunk
