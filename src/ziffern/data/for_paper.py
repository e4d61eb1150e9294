"""A data set for a model that reads paper, made of MNIST.

Decisions: a part of the digits is replaced by what the reader cuts out of rendered paper, so that the model knows what
the cut-out does to a thin or faint stroke; the validation part is cut off first, so that nothing made of a digit is in
another part; what is no digit has a class of its own, because a score beside ten classes took half of the letters for
digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part
from ziffern.data.dataset import DIGITS

OTHER = "other"  # the name of the class of images that are no digits
SIDES = 22, 72  # pixels of a cell: also smaller ones than those that calibrate
FEWER = 5  # a fifth as many of them are in the other parts


@dataclass(frozen=True)
class ForPaper:
    """Makes of MNIST a data set for a model that reads paper.

    Args:
        share: Of the training digits that are put on paper and cut out; if nothing is left of one, it stays as it is.
        loops: Of these, the share whose largest loop becomes smaller (`ziffern.data.paper`).
        printed: Digits rendered from fonts, added to the training part.
        others: Images that are no digits, added to the training part, and a fifth as many to the other parts, as a
            class of their own.
        val: Of the training digits that are a validation part; with 0 there is none.
    """

    share: float = 0.5
    loops: float = 0.0
    printed: int = 0
    others: int = 0
    val: int = 0

    def validation(self, count: int) -> NDArray[np.int64]:
        """Return which of `count` training digits are in the validation part, in their order."""
        return np.sort(np.random.default_rng(1).permutation(count)[: self.val])

    def of(self, parts: Mapping[str, Part]) -> tuple[dict[str, Part], tuple[str, ...]]:
        """Return the parts, images (N, 28, 28), and the names of classes beyond the digits."""
        from rich.console import Console
        from rich.progress import track

        from ziffern.data.cutout import digit_image, ink_of  # with OpenCV, which few need
        from ziffern.data.others import other_images
        from ziffern.data.paper import paper_cells
        from ziffern.data.printed import with_printed

        labels, where = parts["train"].labels, parts["train"].where
        unchanged: NDArray[np.uint8] = np.asarray(parts["train"].images)
        images = unchanged.copy()
        chosen = np.flatnonzero(np.random.default_rng(0).random(len(images)) < self.share)
        cells = paper_cells(images[chosen], seed=0, sides=SIDES, loops=self.loops)
        shown = track(cells, "digits on paper", len(chosen), console=Console(stderr=True), transient=True)  # a minute
        for place, cell in zip(chosen, shown, strict=True):
            cut = digit_image(ink_of(cell, is_dark=True))
            if cut.any():
                images[place] = cut
        is_val = np.isin(np.arange(len(images)), self.validation(len(images)))
        places = {"train": ~is_val, "val": is_val} if self.val else {"train": ~is_val}
        digits = {name: Part(unchanged[chosen], labels[chosen]) for name, chosen in places.items()}
        digits["test"] = parts["test"]
        result = {name: Part(images[chosen], labels[chosen], where) for name, chosen in places.items()}
        result = {**result, "train": with_printed(result["train"], self.printed), "test": parts["test"]}
        if not self.others:
            return result, ()
        for seed, (name, part) in enumerate(result.items()):
            count = self.others if name == "train" else self.others // FEWER
            more = other_images(np.asarray(digits[name].images), digits[name].labels, count, seed)
            labels = np.append(part.labels, np.full(len(more), len(DIGITS)))
            result[name] = Part(np.concatenate([np.asarray(part.images), more]), labels, part.where)
        return result, (OTHER,)
