"""What readers of files return, and how it becomes a data set.

Decisions: a part keeps the labels of its files, numbers or words, until all parts are read, because only then is it
known which classes exist; images of another shape than the user's (`data.image`) are converted, which a note reports,
and refused if the user chose none; joining copies, so that the result is writable even where a part is a view of the
file's bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.data.conversion import converted
from ziffern.data.dataset import LabeledImages
from ziffern.data.spec import MNIST_SHAPE, Shape, as_setting, in_words, with_channels
from ziffern.errors import InputError
from ziffern.text.catalog import Message

PARTS = ("train", "val", "test")  # the order in a data set
Pictures = Sequence[NDArray[np.uint8]]  # N pictures of any size, (H, W) or (C, H, W)


class Part(NamedTuple):
    """One part of a data set, as it is in files.

    `images` are (N, C, H, W) or gray (N, H, W), uint8, or N pictures that differ in shape; `labels` (N,) are whole
    numbers or text; `where` is its file or folder in messages.
    """

    images: NDArray[np.uint8] | Pictures
    labels: NDArray[Any]
    where: str = ""


@dataclass(frozen=True)
class Content:
    """What a reader found in the files of a data set.

    Args:
        parts: By `train`, `val` or `test`; at least `train`.
        classes: Names of class folders, also of empty ones; empty where only the labels name the classes.
        notes: What was assumed or left out.
    """

    parts: Mapping[str, Part]
    classes: tuple[str, ...] = ()
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Reading:
    """How the user wants their own data to be read.

    Args:
        num_classes: How many classes there must be; None: as many as the data has.
        image: Channels, height and width of the images, to which others are converted; None is MNIST's shape.
        label_column: Name of a CSV file's label column, or its number from 0; None: it is found by its values.
        prepare: What turns pictures into images of that shape (`ziffern.data.preparation`).
        polarity: Whether dark ink on light paper is inverted (`ziffern.data.preparation`).
        transpose: Whether rows and columns are swapped; None: where the digits are recognized as transposed.
    """

    num_classes: int | None = None
    image: Shape | None = None
    label_column: str | int | None = None
    prepare: str = "auto"
    polarity: str = "auto"
    transpose: bool | None = None

    @property
    def shape(self) -> Shape:
        """Channels, height and width of the images."""
        return self.image or MNIST_SHAPE


def join(
    name: str,
    parts: Mapping[str, Part],
    class_names: tuple[str, ...],
    image: Shape | None = None,
    notes: Sequence[Message] = (),
) -> LabeledImages:
    """Return the data set of its parts, whose labels are places in `class_names`.

    Images are converted to the shape `image`; None refuses any other than MNIST's.

    Raises:
        InputError: There is no training image, or the images have another shape.
    """
    arrays, count = [], 0
    present = [part for part in PARTS if part in parts]
    for images in (with_channels(np.asarray(parts[part].images)) for part in present):
        shape = images.shape[1:]
        if image is None and shape != MNIST_SHAPE:
            values = {"shape": in_words(shape), "image": as_setting(shape), "wanted": in_words(MNIST_SHAPE)}
            raise InputError("data.image.mismatch", name=name, **values)
        if image is None or shape == image:
            arrays.append(images)
        else:
            arrays.append(converted(images, image, name))
            count += len(images)
    more = [Message("data.note.converted", count=count, shape=in_words(image))] if image and count else []
    sizes = {part: len(parts[part].labels) for part in present}
    return LabeledImages(
        name=name,
        images=np.concatenate(arrays),  # (N, C, H, W)
        labels=np.concatenate([parts[part].labels for part in present]).astype(np.int64),  # (N,)
        train_size=sizes["train"],
        val_size=sizes.get("val", 0),
        class_names=class_names,
        notes=(*notes, *more),
    )


def numbered(num_classes: int) -> tuple[str, ...]:
    """Return label numbers as class names: "0", "1", ..."""
    return tuple(str(label) for label in range(num_classes))
