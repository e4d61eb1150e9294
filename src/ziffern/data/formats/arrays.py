"""Read arrays of images and labels from an .npz, such as Keras' mnist.npz, or from a folder of .npy files.

Decisions: the arrays are recognized by their names, as Keras, scikit-learn, MedMNIST and other people write them, and
two or four arrays without such names by their shapes; where two arrays fit, none is chosen; what is not used is noted.
An npz is a ZIP, so it passes the checks of an archive first; the header of each array is checked before its content is
read, and the content is used as plain bytes, so no pickle can run.
"""

import io
import math
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Set
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import PARTS, Content, Part, Reading
from ziffern.data.formats.layout import part_of
from ziffern.data.formats.levels import class_labels, image_levels
from ziffern.data.formats.members import Member, Members, open_zip_file, refuse_bomb
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import reason

WORDS = {
    "labels": {"y", "label", "labels", "target", "targets", "class", "classes", "lbl", "lbls"},
    "images": {"x", "image", "images", "img", "imgs", "data", "pixels", "pictures", "input", "inputs", "features"},
}
ARRAY = re.compile(r"((?P<folder>[^/]+)/)?[^/]+\.npy")
NAME_WORDS = {"name", "names"}  # target_names are not labels
GLUED = re.compile(r"(?<=^[xy])(?=train|val|test)|(?:(?<=train)|(?<=val)|(?<=valid)|(?<=test))(?=[xy]$)")  # xtrain
PAIRS = {2: ("train",), 4: ("train", "test")}  # parts in arr_0, arr_1, ..., by the number of arrays
SAVE = Message("data.array.save")


def find_npz(members: Members) -> list[str]:
    """Return the .npz files at the top of a folder or ZIP."""
    return [path for path in members if "/" not in path and path.lower().endswith(".npz")]


def find_arrays(members: Members) -> bool:
    """Return whether .npy files of images and labels are at the top of a folder or ZIP, or in folders of parts."""
    found = [match for path in members if (match := ARRAY.fullmatch(path))]
    arrays = [match[0] for match in found if match["folder"] is None or part_of(match["folder"])]
    return "train" in _roles(path.removesuffix(".npy") for path in arrays)


def read_inner_npz(members: Members, reading: Reading, label: str) -> Content:
    """Return the parts of the only .npz at the top of a folder or ZIP, or of one per part; see `read_npz`.

    Raises:
        InputError: There are several that are not named as parts; one would unpack to too much; or as `read_npz`.
    """
    paths = find_npz(members)
    parts = [part_of(path) for path in paths]
    if len(paths) > 1 and (None in parts or "train" not in parts or len(set(parts)) < len(parts)):
        raise InputError("data.array.several", path=label, count=len(paths), names=paths)
    arrays: Members = {}
    with ExitStack() as stack:
        for path, part in zip(paths, parts, strict=True):
            member = members[path]
            inner = stack.enter_context(open_zip_file(io.BytesIO(member.read()), member.label))
            refuse_bomb(sum(array.size for array in inner.values()), member.packed or member.size, member.label)
            is_bare = len(paths) > 1 and not any(map(part_of, inner))
            arrays |= {f"{part}_{name}" if is_bare else name: array for name, array in inner.items()}
        content = read_npz(arrays, reading, members[paths[0]].label if len(paths) == 1 else label)
    notes = (*content.notes, *_unused(members, set(paths)))
    return Content(content.parts, content.classes, notes)


def read_npz(members: Members, reading: Reading, label: str) -> Content:
    """Return the parts that have images and labels; see `image_levels` and `class_labels` for shapes and types.

    Raises:
        InputError: The training images or labels are missing, two arrays fit, an array contains objects or is damaged,
            or its shape, type or range is none of those.
    """
    names = {path.removesuffix(".npy"): member for path, member in members.items() if path.endswith(".npy")}
    pairs = _by_name(names, label)
    notes, read = [], {}
    if "train" not in pairs and len(names) in PAIRS and not any(map(part_of, names)):
        read = {name: read_array(member) for name, member in sorted(names.items(), key=lambda item: _number(item[0]))}
        pairs = _by_shape(read)
        for part, (images, labels) in pairs.items():
            values = {"images": images, "labels": labels, "part": Message(f"data.part.{part}")}
            notes.append(Message("data.note.arrays_by_shape", **values))
    if "train" not in pairs:
        present: object = sorted(names) or Message("data.array.nothing")
        raise InputError("data.array.missing", path=label, present=present, save=SAVE)
    unused = sorted(names.keys() - {name for pair in pairs.values() for name in pair})
    if unused:
        notes.append(Message("data.note.arrays_left_out", count=len(unused), names=unused))
    notes += _unused(members, {f"{name}.npy" for name in names})
    arrays = {name: read[name] if name in read else read_array(names[name]) for pair in pairs.values() for name in pair}
    levels, more = image_levels({images: arrays[images] for images, _ in pairs.values()}, reading.shape, label)
    parts, one_hot = {}, {}
    for part in (part for part in PARTS if part in pairs):
        images, labels = pairs[part]
        numbers, columns = class_labels(arrays[labels], len(levels[images]), names[labels].label)
        if columns:
            one_hot[labels] = columns
        parts[part] = Part(levels[images], numbers, names[labels].label)
    classes = max(one_hot.values(), default=0)
    if one_hot:
        more.append(Message("data.note.one_hot", names=list(one_hot), classes=classes))
    return Content(parts, tuple(map(str, range(classes))), (*notes, *more))


def _unused(members: Members, used: Set[str]) -> list[Message]:
    unused = sorted(path for path in members.keys() - used if not path.endswith("/"))
    return [Message("data.note.files_left_out", count=len(unused), example=unused[0])] if unused else []


def _roles(names: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Return the names that fit images and labels of each part; those without a part are the training part."""
    roles = array_roles(names)
    if "train" not in roles and "" in roles:
        roles["train"] = roles.pop("")
    return {part: roles[part] for part in PARTS if len(roles.get(part, ())) == len(WORDS)}


def array_roles(names: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Return the names of arrays that fit `images` and `labels`, by part; the part of names without one is ""."""
    roles: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        spaced = GLUED.sub(" ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
        words = set(re.findall(r"[a-z]+", spaced))
        role = next((role for role, known in WORDS.items() if words & known), None)
        if role and not words & NAME_WORDS:
            roles[part_of(spaced) or ""][role].append(name)
    return {part: dict(fitting) for part, fitting in roles.items()}


def _by_name(names: Members, label: str) -> dict[str, tuple[str, str]]:
    """Return the names of images and labels of each part that has both."""
    return {
        part: (_only(fitting["images"], names, label), _only(fitting["labels"], names, label))
        for part, fitting in _roles(names).items()
    }


def _only(fitting: list[str], names: Members, label: str) -> str:
    """Return the only name, or the one with most axes of equal arrays, such as data and images of scikit-learn."""
    if len(fitting) == 1:
        return fitting[0]
    arrays = {name: read_array(names[name]) for name in fitting}
    contents = {(array.dtype.str, array.tobytes()) for array in arrays.values()}
    if len(contents) > 1:
        raise InputError("data.array.ambiguous", path=label, names=sorted(fitting), save=SAVE)
    return max(fitting, key=lambda name: arrays[name].ndim)


def _number(name: str) -> tuple[str, int]:
    """Return a key that sorts arr_10 after arr_2."""
    return re.sub(r"\d+$", "", name), int((re.findall(r"\d{1,9}$", name) or ["0"])[0])


def _by_shape(arrays: dict[str, NDArray[Any]]) -> dict[str, tuple[str, str]]:
    """Return the names of images and labels of each part: images have more axes, or longer rows.

    They are in pairs of one length, in the order images, labels, images, labels or images, images, labels, labels.
    """
    largest = sorted(arrays, key=lambda name: (-min(arrays[name].ndim, 3), -math.prod(arrays[name].shape[1:])))
    half = len(arrays) // 2
    images = [name for name in arrays if name in largest[:half]]
    labels = [name for name in arrays if name in largest[half:]]
    pairs = list(zip(images, labels, strict=True))
    fits = all(arrays[x].ndim > 1 and arrays[y].ndim > 0 and len(arrays[x]) == len(arrays[y]) for x, y in pairs)
    return dict(zip(PAIRS[len(arrays)], pairs, strict=True)) if fits else {}


def read_array(member: Member) -> NDArray[Any]:
    """Return the array of numbers or text in an .npy file, read-only.

    Raises:
        InputError: It is damaged, or contains objects.
    """
    raw = member.read()
    stream = io.BytesIO(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns about headers written by Python 2, which are fine
            version = np.lib.format.read_magic(stream)
            headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, columns_first, dtype = headers[version](stream)
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")  # noqa: TRY301
    except Exception as error:  # numpy parses the header as Python text: almost any error is possible
        raise InputError("data.array.damaged", path=member.label, reason=reason(error), save=SAVE) from None
    if dtype.hasobject:
        raise InputError("data.array.objects", path=member.label, dtype=dtype, save=SAVE)
    declared, start = math.prod(shape) * dtype.itemsize, stream.tell()
    if declared != len(raw) - start or dtype.itemsize == 0:
        raise InputError("data.array.size", path=member.label, size=len(raw) - start, declared=declared, save=SAVE)
    return np.frombuffer(raw, dtype, offset=start).reshape(shape, order="F" if columns_first else "C")
