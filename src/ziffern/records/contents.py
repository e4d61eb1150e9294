"""The arrays of a run folder as values."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.outcome import Outcome

if TYPE_CHECKING:
    from ziffern.data.dataset import LabeledImages
    from ziffern.data.split import Split
    from ziffern.models.normalization import Normalize

EXAMPLES = 5  # images that the report shows before and after normalization


@dataclass(frozen=True)
class Predictions:
    """predictions.npz: the predictions of a run's best checkpoint on the test part."""

    index: NDArray[np.int64]  # (N,) original index
    target: NDArray[np.int64]  # (N,)
    probability: NDArray[np.float32]  # (N, C)
    mistake: NDArray[np.int64]  # (M,) positions of misclassified images, 0 to N - 1
    mistake_image: NDArray[np.uint8]  # (M, channels, height, width)

    @cached_property
    def outcome(self) -> Outcome:
        """The scores computed from them."""
        return Outcome(self.target, self.probability)


@dataclass(frozen=True)
class Material:
    """data.npz: a summary of the data that a run was trained on."""

    class_names: tuple[str, ...]  # C
    counts: NDArray[np.int64]  # (3, C) images of each class in train, val and test
    example_label: NDArray[np.int64]  # (E,)
    example_image: NDArray[np.uint8]  # (E, channels, height, width)
    mean: NDArray[np.float64]  # (channels,) of the normalization, in levels from 0 to 255
    std: NDArray[np.float64]  # (channels,)

    @classmethod
    def of(cls, dataset: "LabeledImages", parts: "Split", normalize: "Normalize") -> "Material":
        """Return the counts of a data set's parts, and one training image of each of the first few classes."""
        labels, names = dataset.labels, dataset.class_names
        counts = [np.bincount(labels[part], minlength=len(names)) for part in parts.indices]
        _, first = np.unique(labels[parts.train], return_index=True)
        examples = parts.train[np.sort(first)[:EXAMPLES]]
        images = dataset.images[examples]
        return cls(names, np.array(counts, np.int64), labels[examples], images, *normalize.statistics())
