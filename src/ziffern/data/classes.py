"""Number the classes of a data set from the labels in its files.

Decisions: the labels of all parts are looked at together, so that a class has the same number in each; names are
compared in Unicode's composed form (NFC), since macOS and Linux write umlauts differently, and sorted as people count
(2 before 10); labels that start at 1, as in letters or Matlab files, are moved to 0 and keep their numbers as names; a
label that is missing between others is a class without images, unless more are missing than present, beyond digits.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.content import Part, numbered
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.text.printable import one_line

MAX_CLASSES = 256  # a report has a table of classes × classes; a larger label is rather an error in the file
MAX_NAME = 100  # characters of a class name
DIGITS = 10  # up to 9, the labels are digits, of which a small data set may lack most
INTEGER = re.compile(r"-?[0-9]{1,9}")

Numbered = tuple[dict[str, Part], tuple[str, ...], list[Message]]  # parts, class names, notes


def number_classes(parts: Mapping[str, Part], declared: Sequence[str], num_classes: int | None) -> Numbered:
    """Return the parts with labels from 0, the class names in label order, and what was assumed.

    Args:
        parts: Their labels are whole numbers or text.
        declared: Further classes that exist, even without an image.
        num_classes: How many classes there must be; None accepts any number. The number of classes that None leads to
            gives the same classes, so that a run may be repeated with the number that it recorded.

    Raises:
        InputError: A label is out of range, or there are more classes than `num_classes`; numbers and words are mixed;
            a name is too long.
    """
    if all(part.labels.dtype.kind in "iu" for part in parts.values()) and not declared:
        return _number_integers(dict(parts), num_classes)
    places: dict[str, str] = {}  # where each class occurs first
    texts = {}
    for name, part in parts.items():
        texts[name] = np.array([_composed(label) for label in part.labels.astype(str)], object)
        for label in dict.fromkeys(texts[name]):
            places.setdefault(label, part.where)
    kinds = {bool(INTEGER.fullmatch(name)) for name in places}
    for name in map(_composed, declared):  # an empty folder among classes of the other kind is none of them
        if bool(INTEGER.fullmatch(name)) in kinds or not kinds:
            places.setdefault(name, next(iter(parts.values())).where)
    integers = sorted(filter(INTEGER.fullmatch, places), key=_as_people_count)
    words = sorted(places.keys() - set(integers), key=_as_people_count)
    if not words:
        numbers = {name: part._replace(labels=texts[name].astype(np.int64)) for name, part in parts.items()}
        by_number = {number: [name for name in integers if int(name) == number] for number in map(int, integers)}
        merged = [names for names in by_number.values() if len(names) > 1]
        more = [Message("data.note.same_number", names=names) for names in merged]
        numbered_parts, class_names, notes = _number_integers(numbers, num_classes, frozenset(by_number))
        return numbered_parts, class_names, [*notes, *more]
    if integers and any(len(word) > 1 for word in words):
        raise InputError("data.picture.mixed", path=places[words[0]], number=integers[0], word=words[0])
    names = [*integers, *words]
    longest = max(words, key=len)
    if len(longest) > MAX_NAME:
        raise InputError("data.classes.long_name", where=places[longest], count=len(longest), limit=MAX_NAME)
    if len(names) > MAX_CLASSES:
        raise InputError("data.classes.too_many", where=places[names[0]], count=len(names), limit=MAX_CLASSES)
    if num_classes is not None and len(names) > num_classes:
        values = {"path": places[names[0]], "folders": len(names), "limit": num_classes}
        raise InputError("data.picture.folders", **values)
    number = {name: label for label, name in enumerate(names)}
    numbers = {
        name: part._replace(labels=np.array([number[text] for text in texts[name]], np.int64))
        for name, part in parts.items()
    }
    return numbers, tuple(map(one_line, names)), []


def _number_integers(
    parts: dict[str, Part], num_classes: int | None, declared: frozenset[int] = frozenset()
) -> Numbered:
    present = np.array(sorted(declared.union(*(np.unique(part.labels).tolist() for part in parts.values()))))
    if not len(present):
        raise InputError("data.set.empty", name=next(iter(parts.values())).where)
    for part in parts.values():
        check_labels(part.labels, _limit(present, num_classes), part.where)
    check_labels(present, _limit(present, num_classes), next(iter(parts.values())).where)
    values = _labels(present, num_classes)
    if np.array_equal(values, np.arange(len(values))):
        numbers = {name: part._replace(labels=part.labels.astype(np.int64)) for name, part in parts.items()}
        return numbers, numbered(len(values)), []
    moved = {name: part._replace(labels=np.searchsorted(values, part.labels)) for name, part in parts.items()}
    first, last = int(present[0]), int(present[-1])
    note = Message("data.note.labels_moved", first=first, last=last, classes=len(values))
    return moved, tuple(map(str, values)), [note]


def _labels(present: NDArray[Any], num_classes: int | None) -> NDArray[Any]:
    """Return the labels that are classes: from 0 or 1 up to the last one, or those present if most are missing."""
    low, high = int(present[0]), int(present[-1])
    is_dense = low in (0, 1) and (high < DIGITS or high - low + 1 <= 2 * len(present))
    labels = np.arange(low, high + 1) if is_dense else present
    if num_classes in (None, len(labels)):
        return labels
    return np.arange(num_classes) + int(_starts_at_1(present, num_classes))


def _limit(present: NDArray[Any], num_classes: int | None) -> int:
    """Return the number that all labels must be below."""
    if num_classes is None or num_classes == len(_labels(present, None)):
        return MAX_CLASSES
    return num_classes + int(_starts_at_1(present, num_classes))


def _starts_at_1(present: NDArray[Any], num_classes: int) -> bool:
    return bool(present[0] >= 1 and present[-1] == num_classes)


def check_labels(labels: NDArray[Any], num_classes: int, where: str) -> NDArray[np.int64]:
    """Return integer labels of any width and shape as int64.

    Raises:
        InputError: A label is not in 0 ... num_classes - 1.
    """
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        worst = wrong.max() if wrong.min() >= 0 else wrong.min()
        values = {"label": int(wrong[0]), "limit": num_classes - 1, "fix": label_fix(int(worst))}
        raise InputError("data.label.range", where=where, **values)
    return labels.astype(np.int64)


def label_fix(label: int) -> Message:
    """Return the fix for a label that is out of range."""
    if 0 <= label < MAX_CLASSES:
        return Message("data.label.more_classes", classes=label + 1)
    return Message("data.label.correct")


def _composed(name: object) -> str:
    return unicodedata.normalize("NFC", str(name)).strip()


def _as_people_count(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts numbers in names by value, and the rest without case; no two names have the same key."""
    pieces = re.split(r"([0-9]+)", name)  # every second one is a number
    for place in range(1, len(pieces), 2):
        pieces[place] = pieces[place].lstrip("0")
    return [(len(piece) if place % 2 else 0, piece.casefold()) for place, piece in enumerate(pieces)], name
