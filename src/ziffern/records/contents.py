"""The arrays of a run folder as values: predictions.npz and data.npz."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.outcome import Outcome
from ziffern.records import schema
from ziffern.records.arrays import MAX_CLASSES, MAX_NAME

if TYPE_CHECKING:
    from ziffern.data.dataset import LabelledImages
    from ziffern.data.split import Split
    from ziffern.models.normalization import Normalize

IMAGES = 4  # axes of an array of images
EXAMPLES = 5  # images that the report shows before and after normalisation
LEAST = 1e-6  # no deviation of levels is smaller


@dataclass(frozen=True)
class Predictions:
    """What a run's best checkpoint said of the test part."""

    index: NDArray[np.int64]  # (N,) original index
    target: NDArray[np.int64]  # (N,)
    probability: NDArray[np.float32]  # (N, C)
    mistake: NDArray[np.int64]  # (W,) places of misclassified images, 0 to N - 1
    mistake_image: NDArray[np.uint8]  # (W, C, H, W)

    @cached_property
    def outcome(self) -> Outcome:
        """Everything that follows from them."""
        return Outcome(self.target, self.probability)

    def check(self) -> None:
        """Raise ValueError where the arrays are not of their types, or do not fit each other."""
        count, places = len(self.index), len(self.mistake)
        whole = (self.index, self.target, self.mistake)
        if any(array.dtype.kind not in "iu" for array in whole) or self.probability.dtype.kind != "f":
            raise ValueError("arrays of other types")
        fits = self.index.shape == self.target.shape == (count,) and self.probability.shape[:1] == (count,)
        if not (fits and count and self.probability.ndim == 2):  # noqa: PLR2004
            raise ValueError("arrays of different lengths")
        if self.probability.shape[1] > MAX_CLASSES:
            raise ValueError(f"{self.probability.shape[1]:,} classes, and at most {MAX_CLASSES:,} are read")
        if not ((self.probability >= 0).all() and np.allclose(self.probability.sum(1), 1, atol=1e-3)):
            raise ValueError("probabilities that do not add up to 1")
        if self.target.min() < 0 or self.target.max() >= self.probability.shape[1]:
            raise ValueError("a target that is no class")
        images = self.mistake_image
        if (
            images.ndim != IMAGES
            or len(images) != places
            or images.dtype != np.uint8
            or self.mistake.shape != (places,)
        ):
            raise ValueError("misclassified images that do not fit")
        if places and not (self.mistake.min() >= 0 and self.mistake.max() < count):
            raise ValueError("misclassified images of other places")


@dataclass(frozen=True)
class Material:
    """What a run was trained on, in short."""

    class_names: tuple[str, ...]  # C
    counts: NDArray[np.int64]  # (3, C) images of each class in train, val and test
    example_label: NDArray[np.int64]  # (E,)
    example_image: NDArray[np.uint8]  # (E, C, H, W)
    mean: NDArray[np.float64]  # (C,) of the normalization, in levels from 0 to 255
    std: NDArray[np.float64]  # (C,)

    @classmethod
    def of(cls, dataset: "LabelledImages", parts: "Split", normalize: "Normalize") -> "Material":
        """Return what a data set in these parts is: counts, and one example of each of the first few classes."""
        labels, names = dataset.labels, dataset.class_names
        counts = [np.bincount(labels[part], minlength=len(names)) for part in parts.indices]
        _, first = np.unique(labels[parts.train], return_index=True)
        examples = parts.train[np.sort(first)[:EXAMPLES]]
        images = dataset.images[examples]
        return cls(names, np.array(counts, np.int64), labels[examples], images, *normalize.statistics())

    def check(self) -> None:
        """Raise ValueError where the arrays are not of their types, or do not fit each other."""
        classes, labels, images = len(self.class_names), self.example_label, self.example_image
        if classes > MAX_CLASSES:
            raise ValueError(f"{classes:,} class names, and at most {MAX_CLASSES:,} are read")
        if (longest := max(map(len, self.class_names), default=0)) > MAX_NAME:
            raise ValueError(f"a class name of {longest:,} characters, and at most {MAX_NAME} are read")
        if (
            self.counts.shape != (3, classes)
            or self.counts.dtype.kind not in "iu"
            or self.counts.min() < 0
            or not self.counts.any()
        ):
            raise ValueError("no counts of three parts")
        if labels.dtype.kind not in "iu" or labels.ndim != 1 or images.dtype != np.uint8:
            raise ValueError("arrays of other types")
        if images.ndim != IMAGES or len(images) != len(labels) or not all(0 <= label < classes for label in labels):
            raise ValueError("examples that do not fit")
        own = images.shape[1:2]
        if not (self.mean.shape == self.std.shape == own and np.isfinite(self.mean).all()):
            raise ValueError("invalid normalization statistics")
        if not ((self.std > LEAST) & (self.std < schema.MOST)).all():
            raise ValueError("invalid normalization statistics")
