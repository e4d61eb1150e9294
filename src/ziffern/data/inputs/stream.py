"""Images from anything, as a stream of batches.

Decisions: all sources are opened before the first image is read, so that a wrong path ends a command before it has
written anything; pictures are decoded batch by batch, so that a million of them need little memory; one damaged picture
among others is a problem of its own, and does not stop them.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ziffern.data.inputs.arrays import array_images, is_one_picture, plain_array
from ziffern.data.inputs.files import Opener
from ziffern.data.inputs.groups import Batch, Pictures
from ziffern.data.inputs.preparing import Wanted
from ziffern.data.spec import Shape
from ziffern.errors import InputError
from ziffern.text.catalog import Message

ARRAY = "images"  # the name of an array in messages


class ImageStream(Iterator[Batch]):
    """An iterator over batches of images; see `images_of`.

    Args:
        opener: The opened sources.
        size: Images per batch.
    """

    def __init__(self, opener: Opener, size: int) -> None:
        self._opener, self._batches = opener, self._read(opener, size)
        self.count = sum(len(group.items if isinstance(group, Pictures) else group.images) for group in opener.groups)
        """How many images there are; files that turn out to be no pictures count."""
        self.has_labels = bool(opener.groups) and all(group.labels is not None for group in opener.groups)
        """Whether all sources have labels."""
        self.has_ids = bool(opener.groups) and opener.has_ids
        """Whether the names are the ids in a table, such as Kaggle's."""

    @property
    def notes(self) -> list[Message]:
        """What was assumed or left out; complete after the last batch."""
        return [*self._opener.notes, *(note for group in self._opener.groups for note in group.notes)]

    def __next__(self) -> Batch:
        return next(self._batches)

    @staticmethod
    def _read(opener: Opener, size: int) -> Iterator[Batch]:
        with opener.stack:  # archives are closed at the end
            for group in opener.groups:
                yield from group.batches(opener.wanted, size)


def images_of(source: object, shape: Shape, prepare: str, dark_ground: bool, size: int = 1024) -> ImageStream:
    """Return the images of a source in batches of at most `size`.

    Args:
        source: An array or tensor, uint8 or float from 0 to 1 or 255: (H, W), (N, H, W), (N, H, W, C), (N, C, H, W) or
            rows (N, H · W); a PIL image; a path of a picture, of a folder or ZIP of pictures, of a table of pixels
            (CSV, TSV), or of a .npz, .npy or IDX file, also as `PATH:NAME` for one array or file in it; the bytes of
            such a file, or the open file; or a list or an iterator of these. A stream is returned as it is.
        shape: Channels, height and width of the model's images.
        prepare: `digit` or `resize`, for images of another height or width (`prepared_picture`).
        dark_ground: Whether images that are dark on light are inverted.
        size: Images per batch.

    Raises:
        InputError: A source is missing, unreadable, damaged or without images, or it is a single picture that cannot be
            read. One of several pictures that cannot be read is a problem in its batch.
    """
    if isinstance(source, ImageStream):
        return source
    with ExitStack() as stack:
        opener = Opener(Wanted(shape, prepare, dark_ground), stack)
        items = _listed(source, shape)
        for place, item in enumerate(items):
            _add(opener, item, place, len(items) == 1)
        opener.stack = stack.pop_all()
    for group in opener.groups:
        if isinstance(group, Pictures):
            group.is_alone = group.is_alone and len(opener.groups) == len(group.items) == 1
    return ImageStream(opener, size)


def _listed(source: object, shape: Shape) -> Sequence[object]:
    """Return the sources of a list; pictures in arrays of one shape, and nested lists of numbers, are one array."""
    if isinstance(source, Iterator) and not hasattr(source, "read"):  # such as Path.glob
        source = list(source)
    if not isinstance(source, list | tuple):
        return [source]
    if source and all(isinstance(item, int | float | list | tuple) for item in source):
        try:
            return [np.asarray(source)]
        except ValueError:
            raise InputError("data.inputs.ragged") from None
    if source and all(isinstance(item, np.ndarray) for item in source):
        kinds = {(item.shape, item.dtype.str) for item in source}
        if len(kinds) == 1 and is_one_picture(source[0], shape):
            return [np.stack(source)]
    return source


def _add(opener: Opener, item: object, place: int, is_only: bool) -> None:
    prefix = "" if is_only else f"{place}:"
    match item:
        case str() | PathLike():
            opener.add_path(Path(item), is_only)
        case bytes() | bytearray() | memoryview():
            opener.add_bytes(bytes(item), str(place), prefix)
        case Image.Image():
            opener.add_picture(str(place), item)
        case _ if hasattr(item, "read"):
            readable: Any = item
            opener.add_stream(readable, prefix)
        case _:
            array = plain_array(item)
            if is_only or not is_one_picture(array, opener.wanted.shape):
                opener.add_array(array, ARRAY, str(place), prefix)
                return
            images, notes = array_images(array, opener.wanted.shape, ARRAY, str(place))
            opener.notes += notes
            opener.add_picture(str(place), images[0])
