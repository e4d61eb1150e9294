"""Make images that are no digits, from digits and rendered letters, to teach a model what it must not read.

Decisions: they are made, not downloaded: letters that look like no digit, pieces of digits, two digits side by side,
and smooth noise, in equal numbers; each is scaled and centered as a digit is, because everything that reaches a model
by a cut-out is; everything is drawn with a seed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.conversion import WHITE
from ziffern.data.drawing import BOX, SIZE

Images = NDArray[np.uint8]

LETTERS = "ABCDEFGHJKLMNPQRTUVWXYacdefhkmnprtuvwxy&%#?@+*=§"  # not those that are also digits: O, I, l, S, Z, g, q
HALVES = 2
FAINT = 32  # levels that do not count for the box


def make_negatives(digits: Images, count: int, seed: int) -> Images:
    """Return about `count` images (M, 1, 28, 28) that are no digits.

    Args:
        digits: (N, 1, 28, 28) uint8, N > 1, light on dark, from which pieces and pairs are made.
        count: Images in all, of four kinds.
        seed: Of all choices.
    """
    rng, share = np.random.default_rng(seed), count // 4
    kinds = (_letters(rng, share), _pieces(rng, digits, share), _pairs(rng, digits, share), _noise(rng, share))
    boxed = [_boxed(picture) for kind in kinds for picture in kind if (picture > FAINT).any()]
    return np.concatenate([np.zeros((0, 1, SIZE, SIZE), np.uint8), *boxed])


def _letters(rng: np.random.Generator, count: int) -> Iterator[Images]:
    """Yield rendered letters and signs, sheared and rotated a little, in Pillow's own font."""
    from PIL import ImageFont

    font = ImageFont.load_default(size=40)
    for _ in range(count):
        width = int(rng.integers(0, 3))
        yield letter(rng, font, rng.choice(list(LETTERS)), width)


def letter(rng: np.random.Generator, font: Any, sign: str, width: int = 0) -> Images:
    """Return a rendered sign, light on dark, sheared and rotated a little; `width` pixels are added to its strokes."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (64, 64))
    ImageDraw.Draw(canvas).text((32, 32), sign, WHITE, font, "mm", stroke_width=width)
    shear = float(rng.uniform(-0.3, 0.3))
    leaning = canvas.transform(canvas.size, Image.Transform.AFFINE, (1, shear, -32 * shear, 0, 1, 0))
    return np.asarray(leaning.rotate(float(rng.uniform(-15, 15)), Image.Resampling.BILINEAR), np.uint8)


def _pieces(rng: np.random.Generator, digits: Images, count: int) -> Iterator[Images]:
    """Yield a half or a quarter of a digit's box."""
    for place in rng.integers(0, len(digits), count):
        digit = _cropped(digits[place, 0])
        for axis in rng.permutation(2)[: rng.integers(1, HALVES + 1)]:
            half = digit.shape[axis] // HALVES
            digit = np.take(digit, range(half) if rng.random() < 1 / HALVES else range(half, digit.shape[axis]), axis)
        yield digit


def _pairs(rng: np.random.Generator, digits: Images, count: int) -> Iterator[Images]:
    """Yield two digits side by side, touching or not."""
    for first, second in rng.integers(0, len(digits), (count, 2)):
        left, right = (_cropped(digits[place, 0]) for place in (first, second))
        height = max(len(left), len(right))
        left, right = (np.pad(each, ((0, height - len(each)), (0, 0))) for each in (left, right))
        yield np.hstack([left, np.zeros((height, int(rng.integers(0, 4))), np.uint8), right])


def _noise(rng: np.random.Generator, count: int) -> Iterator[Images]:
    """Yield smooth noise, from specks to blots."""
    from scipy.ndimage import gaussian_filter

    for width in rng.uniform(0.5, 3, count):
        field = gaussian_filter(rng.standard_normal((SIZE, SIZE)), width)
        yield ((field > np.quantile(field, rng.uniform(0.6, 0.9))) * WHITE).astype(np.uint8)


def _cropped(image: Images) -> Images:
    """Return the part of an image (H, W) with ink; all of it if there is none."""
    rows, columns = (np.flatnonzero((image > FAINT).any(axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else image


def _boxed(picture: Images) -> Images:
    """Return a picture (H, W) in a box of 20 pixels, in the middle of (1, 1, 28, 28)."""
    from PIL import Image

    ink = _cropped(picture)
    height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    scaled = np.asarray(Image.fromarray(np.ascontiguousarray(ink)).resize((width, height), Image.Resampling.BOX))
    image = np.zeros((1, 1, SIZE, SIZE), np.uint8)
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    image[0, 0, top : top + height, left : left + width] = scaled
    return image
