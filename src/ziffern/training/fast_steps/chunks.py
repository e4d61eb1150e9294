"""Lists of batches, for a `training_step` that takes several optimizer steps."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from ziffern.data.batches import Batch, Batches, batch_starts


class Chunks:
    """An iterable of lists of `count` batches, views of one large batch; an epoch's last list holds the rest.

    Args:
        batches: The batches of an epoch; the lists hold the same ones in the same order.
        count: Batches per list.
    """

    batch_sampler = None  # Lightning looks for it wherever there is a sampler

    def __init__(self, batches: Batches, count: int) -> None:
        self.batch_size = batches.batch_size
        self.large = replace(batches, batch_size=count * batches.batch_size)

    @property
    def sampler(self) -> Batches:
        """The large batches, to which Lightning passes the epoch."""
        return self.large

    def __len__(self) -> int:
        """Return the lists per epoch."""
        return len(self.large)

    def state_dict(self) -> dict[str, int]:
        """Return the progress within the epoch, in lists."""
        return self.large.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch at this progress."""
        self.large.load_state_dict(state)

    def __iter__(self) -> Iterator[list[Batch]]:
        for images, labels in self.large:
            starts = batch_starts(len(labels), self.batch_size, self.large.keep_single)
            cuts = [slice(*ends) for ends in pairwise([*starts, len(labels)])]
            yield [(images[cut], labels[cut]) for cut in cuts]
