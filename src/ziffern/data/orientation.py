"""Turn transposed images upright: EMNIST is published with rows and columns exchanged.

Decisions: digits show it themselves. Each image is compared with the mean digits of MNIST in the eight orientations of
a square, and the images are turned only if most matches are transposed digits of their own class: of MNIST's test part,
44 % match in their own orientation, at most 8 % in any other, and 2 % of noise. Four digit classes must agree, since
few classes prove little, and a class "0" need not be a digit. Letters have no such means: they are turned if their
files have "emnist" in their names. Each turn is noted, and `data.transpose` overrides both rules.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part
from ziffern.data.conversion import scaled
from ziffern.data.dataset import DIGITS
from ziffern.data.embedded import embedded_digits
from ziffern.data.spec import MNIST_SHAPE
from ziffern.text.catalog import Message

PER_CLASS = 200  # images that are compared
MIN_SHARE = 0.2  # of these, which match their own class in one orientation; chance is 1/80
MIN_RATIO = 3.0  # to the share of any other orientation
MIN_CLASSES = 4  # digit classes that agree
MIN_IMAGES = 12  # below, chance decides
ORIENTATIONS = 8  # of a square: upright, 3 rotations, and the same mirrored; of these:
UPRIGHT, TRANSPOSED = 0, 1
NAMED_PARTS = 3  # of a path: emnist/raw/letters-train.csv
EMNIST = re.compile("(?:(?<![A-Za-z])[Ee]|(?<=[a-z])E)(?:mnist|MNIST)")  # myEMNIST, but not somemnist


def upright(
    parts: Mapping[str, Part], class_names: tuple[str, ...], transpose: bool | None, label: str
) -> tuple[dict[str, Part], list[Message]]:
    """Return the parts with rows and columns exchanged where needed, and a note if they were.

    Args:
        parts: Prepared images (N, C, H, W), and labels that are places in `class_names`.
        class_names: Digits are recognized by their names "0" to "9".
        transpose: Whether to exchange them; None decides by the content or, where it is undecided, by the names.
        label: The path of the data; `emnist` in its last three parts, or in a file's, is a name.
    """
    kept = dict(parts)
    if transpose is None:
        turned = is_transposed(kept, class_names)
        code = "data.note.transposed_digits"
        if turned is None:
            is_square = all(len(set(np.asarray(part.images).shape[-2:])) == 1 for part in kept.values())
            turned = is_square and any(map(has_emnist_name, (label, *(part.where for part in kept.values()))))
            code = "data.note.transposed_name"
    else:
        turned, code = transpose, "data.note.transposed_setting"
    if not turned:
        return kept, []
    swapped = {
        name: part._replace(images=np.ascontiguousarray(np.asarray(part.images).swapaxes(-1, -2)))
        for name, part in kept.items()
    }
    return swapped, [Message(code)]


def has_emnist_name(path: str | PurePath) -> bool:
    """Return whether one of the last three names of a path has the word emnist."""
    return any(EMNIST.search(name) for name in PurePath(path).parts[-NAMED_PARTS:])


def is_transposed(parts: Mapping[str, Part], class_names: tuple[str, ...]) -> bool | None:
    """Return whether the digits are transposed; None where that is undecided, or there are no digits."""
    digits = [(place, DIGITS.index(name)) for place, name in enumerate(class_names) if name in DIGITS]
    if len(digits) < MIN_CLASSES:
        return None
    images, classes = [], []
    for place, digit in digits:
        sample = _sample(parts, place)
        images += sample
        classes += [digit] * len(sample)
    if len(images) < MIN_IMAGES:
        return None
    templates = _templates()  # (8 · 10, 784), orientation by orientation
    best = np.concatenate([(_unit(_centered(block)) @ templates.T).argmax(1) for block in _blocks(images)])
    own = best % len(DIGITS) == np.array(classes)
    orientation = np.where(own, best // len(DIGITS), -1)
    shares = np.array([(orientation == way).mean() for way in range(ORIENTATIONS)])
    way = int(shares.argmax())
    rest = np.delete(shares, way).max()
    if way not in (UPRIGHT, TRANSPOSED) or shares[way] < max(MIN_SHARE, MIN_RATIO * rest):
        return None
    agreeing = 0
    for digit in set(classes):
        of_class = orientation[np.array(classes) == digit]
        here, other = (float((of_class == each).mean()) for each in (way, 1 - way))
        agreeing += here >= max(MIN_SHARE, MIN_RATIO * other)
    return way == TRANSPOSED if agreeing >= MIN_CLASSES else None


def _sample(parts: Mapping[str, Part], place: int) -> list[NDArray[np.uint8]]:
    """Return up to PER_CLASS images (C, H, W) of one class, evenly from all parts."""
    found = [(part, index) for part in parts.values() for index in np.flatnonzero(part.labels == place).tolist()]
    step = -(-len(found) // PER_CLASS) or 1
    return [part.images[index] for part, index in found[::step]]


def _blocks(images: list[NDArray[np.uint8]], size: int = 500) -> list[NDArray[np.uint8]]:
    """Return the images in blocks (N, 28, 28), in gray."""
    blocks = []
    for start in range(0, len(images), size):
        gray = np.stack(images[start : start + size])[:, :3].mean(1, keepdims=True).round().astype(np.uint8)
        side = min(gray.shape[2:])  # what an image that is not square has beside its middle is mostly its margin
        top, left = ((length - side) // 2 for length in gray.shape[2:])
        gray = gray[:, :, top : top + side, left : left + side]
        blocks.append((gray if gray.shape[1:] == MNIST_SHAPE else scaled(gray, MNIST_SHAPE[1:]))[:, 0])
    return blocks


@cache
def _templates() -> NDArray[np.float64]:
    images, labels = embedded_digits()
    means = np.stack([images[labels == digit, 0].mean(0) for digit in range(len(DIGITS))])  # (10, 28, 28)
    ways = []
    for turns in range(ORIENTATIONS // 2):
        turned = np.rot90(means, turns, axes=(1, 2))
        ways += [turned, turned.swapaxes(1, 2)]
    return _unit(np.concatenate(ways))


def _unit(images: NDArray[np.uint8] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return flat images without their mean and of length 1, so that products are correlations."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    unit: NDArray[np.float64] = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    return unit


def _centered(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (N, H, W) whose center of mass is in the middle, as MNIST's is."""
    centered = images.copy()
    rows, columns = np.indices(images.shape[1:])
    for place, image in enumerate(images):
        if mass := int(image.sum()):
            middle = [
                (size - 1) / 2 - float((axis * image).sum()) / mass
                for axis, size in zip((rows, columns), image.shape, strict=True)
            ]
            centered[place] = np.roll(image, [round(step) for step in middle], (0, 1))
    return centered
