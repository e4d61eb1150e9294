"""Images in an array, and pictures that are decoded one by one, in batches of one form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ziffern.data.drawing import WORKING_SIZE
from ziffern.data.formats.decoding import MODES, decode, pixels_of
from ziffern.data.formats.members import Member
from ziffern.data.inputs.preparing import Wanted
from ziffern.data.polarity import inverted_if_light
from ziffern.data.preparation import OVERSAMPLING
from ziffern.errors import InputError
from ziffern.text.catalog import Message

Source = Member | Image.Image | NDArray[np.uint8]  # of one picture; an array is (H, W) or (C, H, W)


class Batch(NamedTuple):
    """N images, prepared, in the order of their source.

    `names` are N names; `images` (N, C, H, W) uint8; `problems` N times None, or why an image could not be read, which
    is then black; `labels` (N,) the labels in the source, whole numbers or text, None without any.
    """

    names: list[str]
    images: NDArray[np.uint8]
    problems: list[InputError | None]
    labels: NDArray[Any] | None


@dataclass
class Rows:
    """Images (N, H, W) or (N, C, H, W) that need not be cut out; `label` is their source in messages."""

    images: NDArray[np.uint8]
    label: str
    names: Sequence[str]
    labels: NDArray[Any] | None = None
    notes: tuple[Message, ...] = ()

    def batches(self, wanted: Wanted, size: int) -> Iterator[Batch]:
        """Yield the images, prepared, `size` at once."""
        for start in range(0, len(self.images), size):
            part = slice(start, start + size)
            # An array may be read-only or have negative strides, which torch does not take.
            images = np.require(wanted.prepared(self.images[part], self.label), requirements=["C", "W"])
            labels = self.labels
            yield Batch(list(self.names[part]), images, [None] * len(images), None if labels is None else labels[part])


@dataclass
class Pictures:
    """Pictures with names, each decoded when its turn comes.

    Files without a suffix that are no pictures are left out, with a note. A damaged file is an error if it `is_alone`.
    """

    items: list[tuple[str, Source]]
    labels: NDArray[Any] | None = None
    is_alone: bool = False
    notes: list[Message] = field(default_factory=list)

    def batches(self, wanted: Wanted, size: int) -> Iterator[Batch]:
        """Yield the pictures, decoded and prepared, `size` at once."""
        if wanted.shape[0] not in MODES:
            raise InputError("data.picture.channels", image=str(list(wanted.shape)))
        grounds_kept = replace(wanted, dark_ground=False)  # all at once is quicker
        frames, others = list[str](), list[str]()  # files with further frames, and files that are no pictures
        for start in range(0, len(self.items), size):
            items = self.items[start : start + size]
            images = np.zeros((len(items), *wanted.shape), np.uint8)
            names, problems, places = list[str](), list[InputError | None](), list[int]()
            for place, (name, source) in enumerate(items):
                problem = self._fill(images[len(names)], name, source, grounds_kept, frames)
                if problem is not None and problem.code == "data.picture.none" and not PurePosixPath(name).suffix:
                    others.append(name)
                    continue
                names.append(name)
                problems.append(problem)
                places.append(start + place)
            images = inverted_if_light(images[: len(names)]) if wanted.dark_ground else images[: len(names)]
            yield Batch(names, images, problems, None if self.labels is None else self.labels[places])
        found = (("frames", frames), ("files_left_out", others))
        self.notes += [Message(f"data.note.{code}", count=len(some), example=some[0]) for code, some in found if some]

    def _fill(
        self, image: NDArray[np.uint8], name: str, source: Source, wanted: Wanted, frames: list[str]
    ) -> InputError | None:
        """Fill an image (C, H, W) with a picture, and return why it cannot be read."""
        channels, pixels = wanted.shape[0], source
        try:
            if isinstance(source, Member):
                enough = WORKING_SIZE if wanted.prepare == "digit" else OVERSAMPLING * max(wanted.shape[1:])
                pixels, has_more, _ = decode(source, channels, enough)
                frames += [name] if has_more else []
            elif isinstance(source, Image.Image):
                pixels = pixels_of(source.copy(), channels, name)
        except InputError as error:
            if self.is_alone:
                raise
            return error
        try:
            image[:] = wanted.prepared(np.asarray(pixels)[None], name)[0]
        except InputError as error:
            if not error.code.startswith("data.drawing"):
                raise
            return InputError("data.inputs.blank", path=name)
        return None
