"""The folder of a batch: its reading and its pictures, which may come from anywhere.

Decision: pictures are opened only by the names in `reading.json`, below the folder and through no symbolic link.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.formats.decoding import MAX_FILE, decode
from ziffern.data.formats.members import Member
from ziffern.errors import InputError
from ziffern.files.untrusted import open_below, read_all
from ziffern.files.untrusted import reading as access
from ziffern.reading.result import Reading
from ziffern.records.convert import from_json, from_plain
from ziffern.text.printable import one_line

READING, MAX_READING = "reading.json", 2**28  # bytes
MAX_PIXELS = 2**26  # of a page image: A3 at 600 dpi


def load_reading(folder: Path) -> Reading:
    """Return the reading of a batch folder.

    Raises:
        InputError: It is missing, unreadable or not of the schema, or two fields of a page have the same name.
    """
    path = folder / READING
    try:
        with access(path):
            content = read_all(open_below(folder, READING, MAX_READING), path, MAX_READING).decode()
        found = from_plain(from_json(content, dict[str, Any]), Reading)
    except UnicodeDecodeError as error:
        raise InputError("files.not_utf8", path=path) from error
    except InputError as error:
        raise InputError("reading.folder.unusable", path=path, problem=error) from error
    for page in found.pages:
        names: set[str] = set()
        for field in page.fields:
            if field.name in names:
                where = {"source": page.source, "number": page.number}
                raise InputError("reading.folder.twice", path=path, field=field.name, **where)
            names.add(field.name)
    return found


def load_picture(folder: Path, name: str) -> NDArray[np.uint8]:
    """Return the pixels (H, W, 3) of a picture that the reading names.

    Raises:
        InputError: It is missing, behind a symbolic link, not a picture, damaged or too large.
    """
    with access(folder / name):
        raw = read_all(open_below(folder, name, MAX_FILE), folder / name, MAX_FILE)
    member = Member(one_line(name), len(raw), lambda: raw)
    return decode(member, channels=3, max_pixels=MAX_PIXELS).pixels.transpose(1, 2, 0)
