"""Turn pictures of any size into images of one shape, light ink on dark.

Decisions: images that have the shape stay as they are, to the bit; otherwise single marks on a plain ground are cut out
as the drawings of the studio are, since a digit that is only resized is too small, too thin or off center, and all
other pictures are resized with their aspect kept; the choice is the same for all parts, and reported; pictures are
decoded and reduced one by one, so that photos of full size are never in memory together; a blank picture becomes an
empty image, so that one bad photo does not end a run.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part, Pictures, Reading
from ziffern.data.conversion import converted, fitted
from ziffern.data.drawing import SIZE, WORKING_SIZE, as_digit
from ziffern.data.formats.pictures import PictureFiles
from ziffern.data.marks import SAMPLE_SIZE, are_marks
from ziffern.data.polarity import POLARITIES, in_training_polarity
from ziffern.data.progress import watched
from ziffern.data.spec import Shape, as_setting, in_words, with_channels
from ziffern.errors import InputError
from ziffern.text.catalog import Message

PREPARATIONS = ("auto", "digit", "resize", "none")
MISFIT = "data.prepare.shape"  # the code of an error
SAMPLE = 200  # pictures by which `auto` decides
OVERSAMPLING = 2  # photos are decoded at least this many times as large as the image
INK = {"dark_on_light": True, "light_on_dark": False}  # is it dark? Otherwise it is recognized

Prepared = tuple[dict[str, Part], list[Message]]  # parts with images (N, C, H, W), and what was done to them


def check_names(prepare: str, polarity: str) -> None:
    """Check the values of `data.prepare` and `data.polarity`.

    Raises:
        InputError: One of them does not exist; the message names the closest one.
    """
    for name, value, known in (("prepare", prepare, PREPARATIONS), ("polarity", polarity, POLARITIES)):
        if value not in known:
            close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
            near = Message("config.near", name=close[0]) if close else ""
            raise InputError("data.prepare.unknown", name=name, value=value, near=near, known=known)


def prepared(parts: Mapping[str, Part], reading: Reading, label: str) -> tuple[dict[str, Part], list[Message], str]:
    """Return the parts with images (N, C, H, W) of the shape that is wanted, notes, and which preparation was used.

    Raises:
        InputError: A picture cannot be decoded or has another shape than `data.prepare=none` needs, or the shape is in
            color but `data.prepare=digit` makes gray images.
    """
    check_names(reading.prepare, reading.polarity)
    shape, how = reading.shape, reading.prepare
    notes: list[Message] = []
    try:
        result = _as_they_are(parts, shape, label) if how in ("auto", "none") else None
    except InputError as error:
        if how == "none" or error.code != MISFIT:
            raise
        result = None
    if result is not None:
        how = "none"
    else:
        if how == "auto":
            how = "digit" if shape[0] == 1 and are_marks(_sample(parts)) else "resize"
        result, notes = (_cut_out if how == "digit" else _resized)(parts, reading, label)
    if how != "digit":  # whose ink is light on dark
        for name, part in result.items():
            result[name], more = in_training_polarity(part, reading.polarity, name)
            notes += more
    return result, [*notes, *_about_files(part.images for part in parts.values())], how


def _as_they_are(parts: Mapping[str, Part], shape: Shape, label: str) -> dict[str, Part]:
    """Return the parts as arrays of the shape that all pictures have."""
    result = {}
    for name, part in parts.items():
        where, pictures = part.where or label, part.images
        if isinstance(pictures, np.ndarray):
            images = with_channels(pictures)
            _check_shape(images.shape[1:], shape, where)
        else:
            images = np.empty((len(pictures), *shape), np.uint8)
            for place, picture in enumerate(watched(pictures, len(pictures))):
                whole = with_channels(picture[None])[0]
                _check_shape(whole.shape, shape, _name(pictures, place, where))
                images[place] = whole
        result[name] = part._replace(images=images)
    return result


def _check_shape(shape: Sequence[int], wanted: Shape, path: str) -> None:
    if tuple(shape) != wanted:
        raise InputError(MISFIT, path=path, shape=in_words(shape), wanted=in_words(wanted))


def _sample(parts: Mapping[str, Part]) -> Iterator[NDArray[np.uint8]]:
    """Yield up to SAMPLE gray pictures (H, W), spread evenly over the parts."""
    share = SAMPLE / sum(len(part.images) for part in parts.values())
    for part in parts.values():
        pictures = _reduced(part.images, SAMPLE_SIZE)
        count = min(len(pictures), max(1, round(share * len(pictures))))
        for place in np.linspace(0, len(pictures) - 1, count).astype(int):
            yield _gray(pictures[int(place)], part.where)


def _cut_out(parts: Mapping[str, Part], reading: Reading, label: str) -> Prepared:
    """Return the digit in each picture, as in MNIST, or an empty image if there is none."""
    shape = reading.shape
    if shape[0] != 1:
        values = {"image": as_setting(shape), "gray": as_setting([1, *shape[1:]])}
        raise InputError("data.prepare.color", **values)
    result, blank, total = {}, list[str](), sum(len(part.images) for part in parts.values())
    for name, part in parts.items():
        pictures = _reduced(part.images, WORKING_SIZE)
        digits = np.zeros((len(pictures), SIZE, SIZE), np.uint8)
        for place, picture in enumerate(watched(pictures, len(pictures))):
            try:
                digits[place] = as_digit(_gray(picture, part.where or label), INK.get(reading.polarity))
            except InputError as error:
                if not error.code.startswith("data.drawing"):
                    raise
                blank.append(_name(pictures, place, part.where or label))
        images = digits[:, None]
        result[name] = part._replace(images=images if shape[1:] == (SIZE, SIZE) else fitted(images, shape[1:]))
    notes = [Message("data.note.cut_out", count=total, shape=in_words(shape))]
    if reading.polarity == "keep":
        notes.append(Message("data.note.cut_polarity"))
    if blank:
        notes.append(Message("data.note.blank", count=len(blank), example=blank[0]))
    return result, notes


def _resized(parts: Mapping[str, Part], reading: Reading, label: str) -> Prepared:
    """Return pictures in the size of the shape, with their aspect kept."""
    shape, count, result = reading.shape, 0, {}
    for name, part in parts.items():
        images, where = part.images, part.where or label
        if isinstance(images, np.ndarray):
            whole = with_channels(images)
            count += len(whole) if whole.shape[1:] != shape else 0
            whole = converted(whole, (shape[0], *whole.shape[2:]), where) if whole.shape[1] != shape[0] else whole
            whole = fitted(whole, shape[1:]) if whole.shape[1:] != shape else whole
        else:
            pictures = _reduced(images, OVERSAMPLING * max(shape[1:]))
            whole = np.empty((len(pictures), *shape), np.uint8)
            for place, picture in enumerate(watched(pictures, len(pictures))):
                one = with_channels(picture[None])
                count += one.shape[1:] != shape
                one = converted(one, (shape[0], *one.shape[2:]), where) if one.shape[1] != shape[0] else one
                whole[place] = fitted(one, shape[1:])[0]
        result[name] = part._replace(images=whole)
    return result, [Message("data.note.resized", count=count, shape=in_words(shape))] if count else []


def _reduced(pictures: Pictures | NDArray[np.uint8], size: int) -> Pictures:
    """Return pictures that are decoded at a size of at least `size` if they are files."""
    return pictures.reduced(size) if isinstance(pictures, PictureFiles) else cast(Pictures, pictures)


def _gray(picture: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
    """Return a picture (H, W) or (C, H, W) as (H, W)."""
    whole = with_channels(picture[None])
    gray = converted(whole, (1, *whole.shape[2:]), where) if whole.shape[1] != 1 else whole
    return np.asarray(gray[0, 0], np.uint8)


def _name(pictures: Pictures, place: int, label: str) -> str:
    """Return how messages name a picture: its file, or its number in a file."""
    return pictures.name(place) if isinstance(pictures, PictureFiles) else f"{label} [{place}]"


def _about_files(all_pictures: Iterable[Pictures | NDArray[np.uint8]]) -> list[Message]:
    files = [each for each in all_pictures if isinstance(each, PictureFiles)]
    groups = {
        "frames": [name for each in files for name in each.with_more],
        "twelve_bits": [name for each in files for name in each.with_12_bits],
    }
    return [
        Message(f"data.note.{code}", count=len(names), example=min(names)) for code, names in groups.items() if names
    ]
