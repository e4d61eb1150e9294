"""Recognize pictures of a single mark, such as a digit or a letter, on a plain ground.

Decisions: the features are those that set handwriting, print and drawings apart from photos of things, textures and
filled shapes once the paper's shading is evened out: two separate groups of levels, ink in a narrow stroke, few
pieces, and little of it at the border. The limits lie between the measured sets: of digits of MNIST, of exam papers,
rendered or photographed, 94 % or more pass; of photos, textures and clothes, 36 % or less.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ziffern.data.conversion import borders
from ziffern.data.ground import BOX, MIN_CONTRAST, NEIGHBORS, dark_on_light, even, otsu, reduced

SAMPLE_SIZE = 128  # pixels of the longer side
MIN_SEPARATION = 0.8  # of the variance of levels, explained by ink and paper
MAX_INK = 0.5  # of the area
MAX_WIDTH = 0.3  # of a stroke, as a share of the mark's longer side
MAX_BORDER = 0.3  # of the border is ink, in pictures that are cut close
MAX_PIECES = 12
MIN_MARKS = 0.8  # of the pictures


def are_marks(pictures: Iterable[NDArray[np.uint8]]) -> bool:
    """Return whether nearly all gray pictures (H, W) are single marks; blank ones do not count."""
    answers = [answer for picture in pictures if (answer := is_mark(picture)) is not None]
    return bool(answers) and sum(answers) >= MIN_MARKS * len(answers)


def is_mark(picture: NDArray[np.uint8]) -> bool | None:
    """Return whether a gray picture (H, W) is a single mark, or None if it is blank."""
    if picture.size == 0 or picture.min() == picture.max():
        return None
    if min(picture.shape) < BOX:
        return False  # a cut-out would only be blurred
    contrast = even(dark_on_light(reduced(picture, SAMPLE_SIZE)))
    if np.ptp(contrast) < MIN_CONTRAST:
        return None
    mask = contrast > otsu(contrast)
    share = mask.mean()
    step = contrast[mask].mean() - contrast[~mask].mean()
    _, count = ndimage.label(mask, NEIGHBORS)
    extent = max(np.ptp(places) + 1 for places in np.nonzero(mask))
    filled = ndimage.binary_closing(np.pad(mask, 2), NEIGHBORS)  # a rough surface is no bundle of thin strokes
    depth = ndimage.distance_transform_edt(filled)[filled].mean()
    return bool(
        share * (1 - share) * step**2 >= MIN_SEPARATION * contrast.var()
        and share <= MAX_INK
        and 4 * (depth - 1 / 2) <= MAX_WIDTH * extent  # a stroke's mean depth is a quarter of its width
        and borders(mask).mean() <= MAX_BORDER
        and count <= MAX_PIECES
    )
