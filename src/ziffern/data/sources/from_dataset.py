"""A source that reads the user's own torch datasets."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ziffern.data.classes import check_labels, number_classes
from ziffern.data.content import Part, join
from ziffern.data.dataset import LabeledImages
from ziffern.data.spec import Shape, in_words
from ziffern.errors import InputError

MAX_LEVEL = 255


class FromDataset:
    """One or two map-style torch datasets, whose items are an image and its label.

    An image is uint8 levels from 0 to 255, or floats from 0 to 1: a tensor (C, H, W) or (H, W), or an array or a
    picture of PIL (H, W, C) or (H, W). All are read once, into memory.

    Args:
        train: The training part.
        test: The published test part; None if there is none.
        name: Their name in the records of a run; that of the class if None.
    """

    def __init__(self, train: Dataset[Any], test: Dataset[Any] | None = None, name: str | None = None) -> None:
        self.datasets = {"train": train} if test is None else {"train": train, "test": test}
        self.name = name or type(train).__name__

    def load(self, folder: Path, num_classes: int | None, image: Shape | None = None) -> LabeledImages:
        """Return the images of both parts; `folder` is not used.

        Raises:
            InputError: An item is not an image and a label, or the images differ in shape.
        """
        parts = {name: self._part(dataset) for name, dataset in self.datasets.items()}
        if given := getattr(self.datasets["train"], "classes", None):
            for part in parts.values():
                check_labels(part.labels, len(given), self.name)
            return join(self.name, parts, tuple(map(str, given)), image)
        parts, names, notes = number_classes(parts, (), num_classes)
        return join(self.name, parts, names, image, notes)

    def _part(self, dataset: Dataset[Any]) -> Part:
        images, labels = [], []
        for place in range(len(dataset)):  # type: ignore[arg-type]  # map-style datasets have a length
            try:
                image, label = dataset[place]
                images.append(self._levels(image, place))
                labels.append(int(label))
            except (TypeError, ValueError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError("data.dataset.item", name=self.name, place=place, reason=str(error)) from error
            if images[-1].shape != images[0].shape:
                shapes = {"first": in_words(images[0].shape), "shape": in_words(images[-1].shape)}
                raise InputError("data.dataset.shapes", name=self.name, place=place, **shapes)
        if not images:
            raise InputError("data.set.empty", name=self.name)
        return Part(np.stack(images), np.array(labels), self.name)

    def _levels(self, image: Any, place: int) -> NDArray[np.uint8]:
        """Return an image (C, H, W) as levels."""
        array = np.asarray(image)
        array = array[..., None] if array.ndim == 2 and not isinstance(image, Tensor) else array  # noqa: PLR2004
        array = array.transpose(2, 0, 1) if not isinstance(image, Tensor) else array
        array = array[None] if array.ndim == 2 else array  # noqa: PLR2004
        if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:
            array = (array * MAX_LEVEL).round().astype(np.uint8)
        if array.dtype != np.uint8:
            values = {"low": float(array.min()), "high": float(array.max())}
            raise InputError("data.dataset.levels", name=self.name, place=place, dtype=str(array.dtype), **values)
        return array
