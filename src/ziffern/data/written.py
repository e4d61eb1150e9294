"""Write a data set as picture files in folders, which `data=local` reads back to the same images."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from ziffern.data.content import PARTS
from ziffern.data.dataset import LabeledImages
from ziffern.data.formats.decoding import MODES
from ziffern.data.formats.members import is_ignored
from ziffern.data.spec import as_setting, displayed
from ziffern.errors import InputError
from ziffern.files.atomic import writing

UNSAFE = re.compile(r"[/\\:*?\"<>|\x00-\x1f]")
MAX_STEM = 60  # characters, of up to four bytes; file systems allow 255 bytes
NO_FOLDER = re.compile(r"[/\\:*?\"<>|\x00-\x1f]|^\.*$|[. ]$")  # names that a system refuses, or reads as another


def write_pictures(data: LabeledImages, folder: Path) -> None:
    """Write each image as folder/<part>/<class>/<name>.png, in the order of the data; also empty classes.

    The name is that of the image's file; with its number before it where names repeat or are sorted otherwise, and the
    number alone where there is no file.

    Raises:
        InputError: A class cannot be the name of a folder, or images with this number of channels have no file format.
        OutputError: A file cannot be written.
    """
    channels, height, width = data.spec.shape
    if channels not in MODES:
        values = {"gray": as_setting([1, height, width]), "color": as_setting([3, height, width])}
        raise InputError("data.written.channels", channels=channels, **values)
    for name in data.class_names:
        if NO_FOLDER.search(name) or is_ignored(name):
            raise InputError("data.written.class_name", name=name)
    digits = len(str(len(data)))
    sizes = (data.train_size, data.val_size, data.test_size)
    ends = np.cumsum(sizes)
    for part, size, end in zip(PARTS, sizes, ends, strict=True):
        for label, name in enumerate(data.class_names if size else ()):
            below = folder / part / name
            with writing(below):
                below.mkdir(parents=True)
                places = np.flatnonzero(data.labels[end - size : end] == label) + end - size
                for place, stem in zip(places, _stems(data.names, places.tolist(), digits), strict=True):
                    image = data.images[place]
                    pixels = image.transpose(1, 2, 0) if channels == max(MODES) else displayed(image)
                    Image.fromarray(np.ascontiguousarray(pixels)).save(below / f"{stem}.png")


def _stems(names: Sequence[str], places: Sequence[int], digits: int) -> list[str]:
    """Return names of files, without suffix, that are unique, safe and sorted as the places are."""
    numbers = [f"{place:0{digits}}" for place in places]
    if not names:
        return numbers
    stems = [UNSAFE.sub("_", PurePath(names[place]).stem)[:MAX_STEM].strip(". ") or "_" for place in places]
    is_ordered = sorted(f"{stem}.png" for stem in stems) == [f"{stem}.png" for stem in stems]
    if is_ordered and len({stem.casefold() for stem in stems}) == len(stems) and not any(map(is_ignored, stems)):
        return stems
    return [f"{number}_{stem}" for number, stem in zip(numbers, stems, strict=True)]
