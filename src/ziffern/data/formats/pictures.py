"""Read images from picture files, one folder per class: train/<class>/<file>, and the same below test/.

Decisions: images are in the order of the sorted paths, the same on every machine; a picture's size and mode are read
from its header before its pixels are decoded, as a guard against decompression bombs; pictures are scaled and converted
only to a shape that the user chose (`data.image`), and never silently; a file that is not a picture is an error.
"""

import io
import re
import warnings
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ziffern.data.conversion import scaled
from ziffern.data.dataset import Content, Part, label_fix, numbered
from ziffern.data.formats.members import Member, Members, refuse_bomb, refuse_nested
from ziffern.data.spec import MNIST_SHAPE, Shape
from ziffern.errors import InputError
from ziffern.text.printable import one_line, reason

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP")
GRAY_MODES = ("L", "1")
DEEP_MODES = ("I", "F")  # beginnings of modes with more than 8 bits per pixel
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by the number of channels
MAX_FILE = 2**20  # bytes of a picture file
INTEGER = re.compile(r"-?[0-9]{1,9}")
LEVELS = 3  # train/<class>/<file>


def has_pictures(members: Members) -> bool:
    """Return whether there are files in train/."""
    return any(path.startswith("train/") for path in members)


def read_pictures(members: Members, num_classes: int, image: Shape | None = None, _label: str = "") -> Content:
    """Return the training part, the test part if there is one, and the class names.

    Pictures are converted to `image` (channels, height, width); without it they must be gray and 28×28.

    Integer folder names are the labels; other names, sorted over train/ and test/ together, become the class names.

    Raises:
        InputError: A file is outside a class folder, an archive, not a picture, damaged, larger than 1 MiB, or of
            another shape; folder names mix integers and words, are more than `num_classes`, or are out of range.
    """
    if image is not None and image[0] not in MODES:
        raise InputError("data.picture.channels", image=str(list(image)))
    parts = [{path: members[path] for path in sorted(members) if path.startswith(top)} for top in ("train/", "test/")]
    pictures = parts[0] | parts[1]
    refuse_nested(pictures)
    labels, names = _number(pictures, num_classes)
    return [_read_part(part, labels, image) for part in parts if part], names


def _number(members: Members, num_classes: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the label of each class folder, and the class names."""
    folders: dict[str, str] = {}  # and their names in messages
    for path, member in members.items():
        parts = PurePosixPath(path).parts
        if len(parts) != LEVELS:
            raise InputError("data.picture.place", path=member.label, place=path, part=parts[0])
        folders.setdefault(parts[1], member.label.rpartition("/")[0])
    integers = sorted(name for name in folders if INTEGER.fullmatch(name))
    words = sorted(folders.keys() - set(integers))
    if integers and words:
        raise InputError("data.picture.mixed", path=folders[words[0]], number=integers[0], word=words[0])
    if len(words) > num_classes:
        raise InputError("data.picture.folders", path=folders[words[0]], folders=len(words), limit=num_classes)
    for name in integers:
        if not 0 <= int(name) < num_classes:
            limit, fix = num_classes - 1, label_fix(int(name))
            raise InputError("data.label.range", where=folders[name], label=name, limit=limit, fix=fix)
    if words:
        return {name: label for label, name in enumerate(words)}, tuple(one_line(name) for name in words)
    return {name: int(name) for name in integers}, numbered(num_classes)


def _read_part(members: Members, numbers: dict[str, int], image: Shape | None) -> Part:
    images, count = np.empty((len(members), *(image or MNIST_SHAPE)), np.uint8), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns about odd headers; the checks here suffice
        for place, member in enumerate(members.values()):
            images[place], is_converted = _decode(member, image)
            count += is_converted
    labels = [numbers[path.split("/")[1]] for path in members]
    return Part(images, np.array(labels, np.int64), count)


def _decode(member: Member, image: Shape | None) -> tuple[NDArray[np.uint8], bool]:
    """Return a picture (C, H, W), and whether its size or colors were converted."""
    if member.size > MAX_FILE:
        raise InputError("data.picture.too_large", path=member.label, size=member.size, limit=MAX_FILE)
    raw = member.read()
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as picture:
            _check_header(picture, len(raw), member.label, image)
            return _pixels(picture, image or MNIST_SHAPE)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("data.picture.none", path=member.label, known=FORMATS) from None
    except Exception as error:  # each of PIL's decoders has errors of its own for broken data
        raise InputError("data.picture.damaged", path=member.label, reason=reason(error)) from None


def _check_header(picture: Image.Image, packed: int, label: str, image: Shape | None) -> None:
    """Check the size before the colors, as reading a palette decodes the pixels."""
    width, height = picture.size
    values = {"path": label, "width": width, "height": height, "mode": picture.mode}
    if image is not None:
        refuse_bomb(width * height * len(MODES[4]), packed, label)
        if picture.mode.startswith(DEEP_MODES):
            raise InputError("data.picture.deep", **values)
    elif (1, height, width) != MNIST_SHAPE or not _is_gray(picture):
        raise InputError("data.picture.mismatch", **values)


def _pixels(picture: Image.Image, shape: Shape) -> tuple[NDArray[np.uint8], bool]:
    """Return the pixels (C, H, W) in `shape`, and whether size or colors were converted; transparent becomes black."""
    mode = MODES[shape[0]]
    same = picture.mode == mode or (mode == "L" and _is_gray(picture))
    if picture.has_transparency_data and mode != "RGBA":
        whole = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", whole.size, "black"), whole)
    pixels = np.array(picture.convert(mode))  # (H, W) or (H, W, C)
    pixels = pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
    if pixels.shape != shape:
        return scaled(pixels[None], shape[1:])[0], True
    return pixels, not same


def _is_gray(picture: Image.Image) -> bool:
    """Return whether converting to gray loses nothing; GIF stores even gray levels in a palette."""
    if picture.mode != "P" or "transparency" in picture.info:
        return picture.mode in GRAY_MODES
    colors = np.array(picture.getpalette("RGB")).reshape(-1, 3)  # (colors, RGB)
    return bool((colors == colors[:, :1]).all())
