"""Several batches at a time, for a `training_step` that takes several optimizer steps.

The Trainer's own work around a `training_step` costs about 0.3 ms, whatever happens inside; a step of a small
network takes not much more. Handing over several batches at once divides that cost among them.
"""

import math
from collections.abc import Iterator

from ziffern.data.batches import Batch, Batches


class Chunks:
    """An iterable of lists of batches, views of one large batch; the last list of an epoch holds what is left.

    Args:
        large: Batches of a multiple of `batch_size` images.
        batch_size: Images an optimizer step. The batches are those that `large` would yield at this size.
    """

    batch_sampler = None  # Lightning looks for it wherever there is a sampler

    def __init__(self, large: Batches, batch_size: int) -> None:
        if large.batch_size % batch_size:
            raise ValueError(f"batches of {large.batch_size} cannot be cut into batches of {batch_size}")
        self.large, self.batch_size = large, batch_size

    @property
    def sampler(self) -> Batches:
        """Lightning tells it the epoch."""
        return self.large

    @property
    def steps(self) -> int:
        """Return the optimizer steps an epoch."""
        return math.ceil(self.large.image_count / self.batch_size)

    def __len__(self) -> int:
        """Return the lists an epoch."""
        return len(self.large)

    def state_dict(self) -> dict[str, int]:
        """Return how far the epoch is, in lists."""
        return self.large.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch there."""
        self.large.load_state_dict(state)

    def __iter__(self) -> Iterator[list[Batch]]:
        for images, labels in self.large:
            cuts = [slice(start, start + self.batch_size) for start in range(0, len(labels), self.batch_size)]
            yield [(images[cut], labels[cut]) for cut in cuts]
