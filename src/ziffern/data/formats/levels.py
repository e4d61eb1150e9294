"""Turn arrays of any shape and type that people save into images and labels.

Decisions: what a value means is decided for all parts together, since a dark part alone would look like another range;
floats from 0 to 1 and whole numbers up to 16, as in scikit-learn's digits, are scaled to 255, and every other range
than 0 to 255 is refused, because a guess would be wrong for half of the files; only blocks are converted at once, since
float32 needs four times the memory.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import Shape
from ziffern.errors import InputError
from ziffern.text.catalog import Message

CHANNELS = (1, 3, 4)  # gray, color, color with transparency
BLOCK_VALUES = 8_000_000  # at once; 10,000 images of MNIST
WHITE = 255
MAX_FEW_LEVELS = 16  # whole numbers that end here are shades of their own, not a black image
ROUNDING = 1e-6  # beyond 0 and 1, which scaling in float32 may leave
ROWS, GRAY, COLOR = 2, 3, 4  # axes


class _Range(NamedTuple):
    low: float
    high: float
    is_whole: bool


def image_levels(
    arrays: Mapping[str, NDArray[Any]], shape: Shape, where: str
) -> tuple[dict[str, NDArray[np.uint8]], list[Message]]:
    """Return arrays as images (N, H, W) or (N, C, H, W) uint8, and notes on what was assumed.

    Args:
        arrays: By their names: (N, H, W), (N, C, H, W), (N, H, W, C), or rows (N, H · W) of square images
            or of the size of `shape`; whole numbers from 0 to 255, or floats from 0 to 1 or 255.
        shape: Channels, height and width that the user wants.
        where: Their file in messages.

    Raises:
        InputError: An array has another shape, type or range.
    """
    images = {name: _shaped(array, shape, f"{where}:{name}") for name, array in arrays.items()}
    flat = [name for name, array in images.items() if array.shape[1:] != arrays[name].shape[1:] and array.ndim == GRAY]
    notes = []
    if flat:
        height, width = images[flat[0]].shape[1:]
        notes.append(Message("data.note.flat", names=flat, pixels=height * width, height=height, width=width))
    for kind in dict.fromkeys(array.dtype.kind for array in images.values()):  # one rule for all parts of a type
        names = [name for name, array in images.items() if array.dtype.kind == kind]
        scale, note = _scale({name: images[name] for name in names}, where)
        notes += note
        for name in names:
            images[name] = _converted(images[name], scale)
    return images, notes


def _shaped(array: NDArray[Any], shape: Shape, name: str) -> NDArray[Any]:
    """Return images (N, H, W) or (N, C, H, W)."""
    if array.dtype.kind not in "buif" or array.ndim < ROWS:
        raise InputError("data.array.images", path=name, dtype=array.dtype, shape=str(array.shape))
    size = array.shape[1:]
    if array.ndim == COLOR and (size[0] in CHANNELS) != (size[2] in CHANNELS):
        return array if size[0] in CHANNELS else array.transpose(0, 3, 1, 2)
    if array.ndim == GRAY and min(size) > 1:
        return array
    pixels = math.prod(size)
    height, width = shape[1:] if shape[0] == 1 and shape[1] * shape[2] == pixels else [math.isqrt(pixels)] * 2
    if array.ndim > GRAY or height * width != pixels or pixels <= 1:
        raise InputError("data.array.images", path=name, dtype=array.dtype, shape=str(array.shape))
    return array.reshape(-1, height, width)


def _scale(arrays: Mapping[str, NDArray[Any]], where: str) -> tuple[float, list[Message]]:
    """Return the factor that makes levels from 0 to 255 of all arrays, which are of one kind of type."""
    ranges = [_range(array) for array in arrays.values() if array.size]
    if not ranges:
        return 1, []
    low, high = min(span.low for span in ranges), max(span.high for span in ranges)
    names, dtype = list(arrays), next(iter(arrays.values())).dtype
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("data.array.not_finite", path=f"{where}:{', '.join(names)}")
    is_whole = all(span.is_whole for span in ranges)
    values = {"low": low, "high": high, "dtype": dtype}
    if low < -ROUNDING or high > WHITE or (not is_whole and 1 + ROUNDING < high <= MAX_FEW_LEVELS):
        raise InputError("data.array.range", path=f"{where}:{', '.join(names)}", **values)
    if not is_whole and high > 1 + ROUNDING:
        return 1, [Message("data.note.rounded", names=names, dtype=dtype)]
    top = high if is_whole else 1
    if 0 < top <= MAX_FEW_LEVELS:
        return WHITE / top, [Message("data.note.scaled", names=names, **values)]
    return 1, []


def _range(array: NDArray[Any]) -> _Range:
    spans = [
        (block.min().item(), block.max().item(), block.dtype.kind != "f" or bool((block == np.rint(block)).all()))
        for block in _blocks(array)
    ]
    lows, highs, whole = zip(*spans, strict=True)
    is_number = not any(math.isnan(low) for low in lows)  # the minimum of a block with a NaN is NaN
    return _Range(min(lows) if is_number else math.nan, max(highs), all(whole))


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, BLOCK_VALUES // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), step):
        yield array[start : start + step]


def _converted(array: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    if array.dtype == np.uint8 and scale == 1:
        return array
    result, start = np.empty(array.shape, np.uint8), 0
    for block in _blocks(array):
        levels = np.rint(block.astype(np.float32) * np.float32(scale))
        result[start : start + len(block)] = levels.clip(0, WHITE)
        start += len(block)
    return result


def class_labels(array: NDArray[Any], images: int, name: str) -> tuple[NDArray[Any], int | None]:
    """Return one label per image, whole numbers or text, and the number of columns if it is one-hot.

    Args:
        array: (N,) or (N, 1) whole numbers of any type, or text; or (N, C) with a single 1 per row.
        images: N.
        name: The array's name in messages.

    Raises:
        InputError: It has another shape, type or length, or its text is damaged.
    """
    if array.ndim > 0 and array.size == images == max(array.shape):
        return _whole_or_text(array.reshape(-1), name), None
    if array.ndim == 0 or len(array) != images:
        count = len(array) if array.ndim else 1
        raise InputError("data.array.counts", path=name, labels=count, images=images, shape=str(array.shape))
    if array.ndim == ROWS and array.dtype.kind in "buif" and _is_one_hot(array):
        return array.argmax(1), array.shape[1]
    raise InputError("data.array.labels", path=name, dtype=array.dtype, shape=str(array.shape), images=images)


def _is_one_hot(array: NDArray[Any]) -> bool:
    return all(bool((((block == 0) | (block == 1)).all()) and (block.sum(1) == 1).all()) for block in _blocks(array))


def _whole_or_text(labels: NDArray[Any], name: str) -> NDArray[Any]:
    kind = labels.dtype.kind
    if kind in "iu":
        return labels
    if kind == "b":
        return labels.astype(np.uint8)
    if kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all() and abs(labels).max() < 2**53:
        return labels.astype(np.int64)
    if kind in "US":
        try:
            texts: Sequence[Any] = labels.tolist()
            words = [text.decode() if isinstance(text, bytes) else text for text in texts]
            "".join(words).encode()  # lone surrogates are not text
        except ValueError as error:
            raise InputError("data.array.text", path=name, reason=error) from None
        return np.array(words, object)
    raise InputError("data.array.labels", path=name, dtype=labels.dtype, shape=str(labels.shape), images=len(labels))
