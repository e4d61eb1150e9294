"""A data set for a model that reads paper, made of MNIST.

Decisions: a part of the digits is replaced by what the reader cuts out of rendered paper, so that the model knows what
the cut-out does to a thin or faint stroke; they are replaced, not added, so that no digit is both in the training and
in the validation part; what is no digit has a class of its own, because a score beside ten classes took half of the
letters for digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ziffern.data.content import Part
from ziffern.data.dataset import DIGITS

OTHER = "other"  # the name of the class of images that are no digits
SIDES = 22, 72  # pixels of a cell: also smaller ones than those that calibrate
TEST_SHARE = 5  # a fifth as many of them are in the test part


@dataclass(frozen=True)
class ForPaper:
    """Makes of MNIST a data set for a model that reads paper.

    Args:
        share: Of the training digits that are put on paper and cut out; if nothing is left of one, it stays as it is.
        printed: Digits rendered from fonts, added to the training part.
        others: Images that are no digits, added to the training part, and a fifth as many to the test part, as a class
            of their own.
    """

    share: float = 0.5
    printed: int = 0
    others: int = 0

    def of(self, parts: Mapping[str, Part]) -> tuple[dict[str, Part], tuple[str, ...]]:
        """Return the parts `train` and `test`, images (N, 28, 28), and the names of classes beyond the digits."""
        from rich.console import Console
        from rich.progress import track

        from ziffern.data.cutout import digit_image, ink_of  # with OpenCV, which few need
        from ziffern.data.others import other_images
        from ziffern.data.paper import paper_cells
        from ziffern.data.printed import with_printed

        images, labels, where = parts["train"]
        images = np.array(images)
        chosen = np.flatnonzero(np.random.default_rng(0).random(len(images)) < self.share)
        cells = paper_cells(images[chosen], seed=0, sides=SIDES)
        shown = track(cells, "digits on paper", len(chosen), console=Console(stderr=True), transient=True)  # a minute
        for place, cell in zip(chosen, shown, strict=True):
            cut = digit_image(ink_of(cell, is_dark=True))
            if cut.any():
                images[place] = cut
        result = {"train": with_printed(Part(images, labels, where), self.printed), "test": parts["test"]}
        if not self.others:
            return result, ()
        for seed, (name, count) in enumerate((("train", self.others), ("test", self.others // TEST_SHARE))):
            more = other_images(np.asarray(parts[name].images), parts[name].labels, count, seed)
            images = np.concatenate([result[name].images, more])
            labels = np.append(result[name].labels, np.full(len(more), len(DIGITS)))
            result[name] = Part(images, labels, parts[name].where)
        return result, (OTHER,)
