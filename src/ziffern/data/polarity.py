"""Make ink light on dark, as the training images of digits are, where a data set has dark ink on light paper.

Decisions: the ground of an image is the median of its border, and the ink is what differs from it; an image without a
plain ground (a photo, a texture) has no polarity and stays as it is; a part is decided as a whole where nearly all its
images agree, so that a filled shape or a blank page cannot differ from the rest, and image by image where it is mixed,
which is reported with numbers; images in color stay as they
are, unless the user says that all are dark on light.
"""

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part
from ziffern.data.conversion import WHITE, borders
from ziffern.text.catalog import Message

POLARITIES = ("auto", "dark_on_light", "light_on_dark", "mixed", "keep")
LIGHT, DARK = 0.95, 0.05  # shares of light grounds from which on, or up to which, a part counts as a whole
MIN_PLAIN = 0.3  # of a part's images have a plain ground; else they are photos or textures
MIN_PLAIN_MIXED = 0.9  # also of photos, one third may have a plain ground, but not nearly all
TOLERANCE = 32  # levels by which a plain ground may vary
MIN_GROUND = 0.6  # of the border is ground; ink and frames may be the rest
MIN_STEP = 8  # levels between ground and ink; less is noise
DOMINANT = 3  # times as many pixels on one side of the ground as on the other
BLOCK = 4096  # images at once


def in_training_polarity(part: Part, polarity: str, name: str) -> tuple[Part, list[Message]]:
    """Return a part with images (N, C, H, W) that are light on dark, and what was assumed.

    Args:
        part: The part.
        polarity: One of POLARITIES; `mixed` decides each image by itself, `auto` only where a part is mixed.
        name: `train`, `val` or `test`.
    """
    images = part.images
    assert isinstance(images, np.ndarray)
    if polarity == "dark_on_light":
        return part._replace(images=WHITE - images), []
    is_gray = _is_gray(images)
    if polarity in ("keep", "light_on_dark") or not len(images) or not is_gray:
        note = Message("data.note.color_polarity", part=Message(f"data.part.{name}"))
        return part, [note] if polarity == "mixed" and not is_gray else []
    grounds = light_grounds(images)
    light, dark = (int((grounds == value).sum()) for value in (1, 0))
    plain, count = light + dark, len(images)
    values = {"part": Message(f"data.part.{name}"), "count": count, "light": light, "dark": dark}
    if polarity == "auto":
        if plain < MIN_PLAIN * count or light <= DARK * plain:
            return part, []
        if light >= LIGHT * plain:
            return part._replace(images=WHITE - images), [Message("data.note.inverted", **values)]
        if plain < MIN_PLAIN_MIXED * count:
            return part, []
    turned = np.where((grounds == 1)[:, None, None, None], WHITE - images, images)
    return part._replace(images=turned), [Message("data.note.mixed", unclear=count - plain, **values)] if light else []


def light_grounds(images: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return 1 for dark ink on a light ground, 0 for light ink on a dark one, and -1 without a plain ground.

    Only the first channel of images (N, C, H, W) counts. A blank image is as light as its ground.
    """
    return np.concatenate([_light_grounds(images[at : at + BLOCK, 0]) for at in range(0, len(images), BLOCK)])


def inverted_if_light(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (N, C, H, W) light on dark: gray ones with a light ground are inverted, each decided by itself."""
    border = borders(images[:, 0])
    # Only a ground of at least MIN_STEP can be light, and that is rare: the quick test saves most of the time.
    may_be = np.flatnonzero(2 * np.count_nonzero(border >= MIN_STEP, axis=1) >= border.shape[1])
    if not len(may_be):
        return images
    chosen = images[may_be]
    light = may_be[(light_grounds(chosen) == 1) & (chosen == chosen[:, :1]).all((1, 2, 3))]
    result = images.copy()
    result[light] = WHITE - result[light]
    return result


def _light_grounds(images: NDArray[np.uint8]) -> NDArray[np.int8]:
    border = borders(images)  # (n, border)
    middle = border.shape[1] // 2
    ground = np.partition(border, middle, axis=1)[:, middle].astype(np.int16)  # (n,)
    distance = np.abs(border.astype(np.int16) - ground[:, None])
    pixels = images.reshape(len(images), -1)  # (n, H * W)
    span = (pixels.max(1) - pixels.min(1)).astype(np.int16)
    step = np.maximum(MIN_STEP, span // 4)
    low, high = (ground + sign * step for sign in (-1, 1))
    darker = ((pixels < np.clip(low, 0, WHITE).astype(np.uint8)[:, None]).sum(1)) * (low > 0)
    lighter = ((pixels > np.clip(high, 0, WHITE).astype(np.uint8)[:, None]).sum(1)) * (high < WHITE)
    is_plain = (distance <= TOLERANCE).mean(1) >= MIN_GROUND
    is_blank = darker + lighter == 0
    is_light = np.where(is_blank, ground > WHITE // 2, darker > lighter)
    is_clear = is_blank | (np.maximum(darker, lighter) >= DOMINANT * np.minimum(darker, lighter))
    return np.where(is_plain & is_clear, is_light, -1).astype(np.int8)


def _is_gray(images: NDArray[np.uint8]) -> bool:
    few = images[:: max(1, len(images) // 100)]
    return all(bool((each == each[:, :1]).all()) for each in (few, images)) if images.shape[1] > 1 else True
