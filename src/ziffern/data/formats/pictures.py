"""Read digits from picture files, one folder a class: train/<class>/<file>, and the same below test/.

Decisions: the order is that of the sorted paths, the same on every machine; a picture's size and mode are
read from its header before its pixels are decoded, so that no bomb unfolds; nothing is scaled or turned to
grey silently, for that is a choice about the data; a file that is no picture is an error, not a gap.
"""

import io
import re
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import IMAGE_SIZE
from ziffern.data.formats.archive import refuse_nested
from ziffern.data.formats.members import Member, Members
from ziffern.data.parts import Part, label_fix, numbered
from ziffern.errors import InputError
from ziffern.text.printable import one_line

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP")
MODES = ("L", "1")
MAX_FILE = 2**20  # bytes; 784 pixels fill a thousandth of it
INTEGER = re.compile(r"-?[0-9]{1,9}")
LEVELS = 3  # train/<class>/<file>


def has_pictures(members: Members) -> bool:
    """Tell whether anything lies in train/."""
    return any(path.startswith("train/") for path in members)


def read_pictures(members: Members, num_classes: int) -> tuple[Part, Part | None, tuple[str, ...]]:
    """Return the training part, the test part if there is one, and the class names.

    Folders named by integers are the labels themselves; other names are sorted and numbered, over train/
    and test/ together, and become the class names.

    Raises:
        InputError: A file lies outside a class folder, is an archive, no picture, damaged, larger than
            1 MiB, not 28×28 or not grey; the folders' names mix integers and words, are more than
            `num_classes`, or out of range.
    """
    paths = {part: sorted(path for path in members if path.startswith(f"{part}/")) for part in ("train", "test")}
    wanted = {path: members[path] for part in paths.values() for path in part}
    refuse_nested(wanted)
    labels, names = _number(_class_folders(wanted), num_classes)
    train, test = (_read_part({path: members[path] for path in part}, labels) for part in paths.values())
    return train, test if paths["test"] else None, names


def _class_folders(members: Members) -> dict[str, str]:
    """Return each class folder's name with how messages name the folder."""
    folders: dict[str, str] = {}
    for path, member in members.items():
        parts = PurePosixPath(path).parts
        if len(parts) != LEVELS:
            raise InputError(f"{member.label}: lies at {one_line(path)}, expected {parts[0]}/<class>/<file>: move it")
        folders.setdefault(parts[1], member.label.rpartition("/")[0])
    return folders


def _number(folders: dict[str, str], num_classes: int) -> tuple[dict[str, int], tuple[str, ...]]:
    integers = sorted(name for name in folders if INTEGER.fullmatch(name))
    words = sorted(folders.keys() - set(integers))
    if integers and words:
        raise InputError(
            f"{folders[words[0]]}: the class folders mix numbers ({integers[0]!r}) and words "
            f"({one_line(words[0])!r}), all must be of one kind: rename or remove some"
        )
    if len(words) > num_classes:
        raise InputError(
            f"{folders[words[0]]}: is one of {len(words)} class folders, at most {num_classes} are expected: "
            f"set data.num_classes={len(words)}"
        )
    for name in integers:
        if not 0 <= int(name) < num_classes:
            fix = label_fix(int(name))
            raise InputError(f"{folders[name]}: label {name} is out of range 0 to {num_classes - 1}: {fix}")
    if words:
        return {name: label for label, name in enumerate(words)}, tuple(one_line(name) for name in words)
    return {name: int(name) for name in integers}, numbered(num_classes)


def _read_part(members: Members, numbers: dict[str, int]) -> Part:
    images = np.empty((len(members), IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of oddities in headers; what matters is checked here
        for image, member in zip(images, members.values(), strict=True):
            image[:] = _decode(member)
    labels = [numbers[path.split("/")[1]] for path in members]
    return Part(images, np.array(labels, np.int64))


def _decode(member: Member) -> NDArray[np.uint8]:
    """Return a picture's grey levels (28, 28)."""
    from PIL import Image, UnidentifiedImageError

    if member.size > MAX_FILE:
        raise InputError(
            f"{member.label}: has {member.size:,} bytes, at most {MAX_FILE:,} are allowed: scale it to 28×28"
        )
    raw = member.read()
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as picture:
            _check_header(picture, member.label)
            return np.asarray(picture.convert("L"))
    except InputError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise InputError(
            f"{member.label}: is no picture, or damaged ({known} are read): replace or remove it"
        ) from None
    except Exception as error:  # each of PIL's decoders has errors of its own for broken data
        reason = one_line(error) or type(error).__name__
        raise InputError(f"{member.label}: is a damaged picture ({reason}): replace or remove it") from None


def _check_header(picture: "Image.Image", label: str) -> None:
    """Check size first: reading a palette decodes the pixels."""
    if picture.size != (IMAGE_SIZE, IMAGE_SIZE) or not _is_grey(picture):
        width, height = picture.size
        raise InputError(
            f"{label}: is {width}×{height} in mode {picture.mode}, expected 28×28 in grey (mode L or 1): "
            "scale it and turn it to grey, for example with PIL's convert('L').resize((28, 28))"
        )


def _is_grey(picture: "Image.Image") -> bool:
    """Tell whether turning a picture to grey loses nothing; GIF keeps even grey levels in a palette."""
    if picture.mode != "P" or "transparency" in picture.info:
        return picture.mode in MODES
    colours = np.array(picture.getpalette("RGB")).reshape(-1, 3)  # (colours, RGB)
    return bool((colours == colours[:, :1]).all())
