"""Whether an export answers like the model that it was made from.

Decisions: float formats must agree in every probability to 1e-4, so that an answer can only change where the two best
classes are closer than twice that; a rounded format may lose at most 0.05 points of accuracy, and where the test part
has fewer than 2,000 images, of which one is more than that, a loss counts where McNemar's exact test finds it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.significance import mcnemar
from ziffern.text.catalog import Message

MAX_DIFFERENCE = 1e-4  # of a probability, in float formats
MAX_LOSS = 0.0005  # of the accuracy, in rounded formats: 0.05 points
MIN_IMAGES = 2000  # from which on one image is at most MAX_LOSS
LEVEL = 0.05  # of McNemar's test with fewer images


@dataclass(frozen=True)
class Parity:
    """The comparison of two sets of probabilities (N, K) of the same images, the model's first."""

    images: int
    max_difference: float  # of a probability
    changed: int  # images with another answer
    only_model: int  # images that only the model classifies correctly
    only_export: int
    p: float  # of the exact McNemar test
    accuracy: float  # of the model, in [0, 1]
    export_accuracy: float
    is_rounded: bool
    data: str  # the data set of the images

    @classmethod
    def of(
        cls,
        model: NDArray[np.float32],
        export: NDArray[np.float32],
        target: NDArray[np.int64],
        is_rounded: bool = False,
        data: str = "",
    ) -> "Parity":
        """Compare probabilities (N, K) of N > 0 images with labels (N,)."""
        answers = model.argmax(1), export.argmax(1)
        correct = [answer == target for answer in answers]
        difference = np.abs(model.astype(np.float64) - export).max() if np.isfinite(export).all() else np.inf
        changed = int((answers[0] != answers[1]).sum())
        only_model, only_export, p = mcnemar(*correct)
        accuracy, export_accuracy = (float(side.mean()) for side in correct)
        counts = len(target), float(difference), changed, only_model, only_export
        return cls(*counts, p, accuracy, export_accuracy, is_rounded, data)

    @property
    def passed(self) -> bool:
        """Whether the export answers like the model, by the rule of this module."""
        if not self.is_rounded:
            return self.max_difference <= MAX_DIFFERENCE
        lost = self.only_model - self.only_export
        is_loss = lost > MAX_LOSS * self.images and (self.images >= MIN_IMAGES or self.p < LEVEL)
        return bool(np.isfinite(self.max_difference)) and not is_loss

    @property
    def rule(self) -> Message:
        """The rule that was applied."""
        if self.is_rounded:
            return Message("deploy.parity.rounded", points=100 * MAX_LOSS, images=MIN_IMAGES, level=LEVEL)
        return Message("deploy.parity.float", difference=MAX_DIFFERENCE)

    def record(self, **more: Any) -> dict[str, Any]:
        """Return the report as values of JSON, in English."""
        finite = self.max_difference if np.isfinite(self.max_difference) else None
        rule = self.rule.in_language("en")
        return {**vars(self), "max_difference": finite, "passed": self.passed, "rule": rule, **more}
