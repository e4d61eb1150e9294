"""What a data set shows about itself before anything is trained: repeated images, and rare, missing or unequal classes.

Decisions: every check is on the parts as they are used, so that a note is about the images that train and test this
run; identical means equal in every pixel after preparation, because that is what a model sees; whatever is found is a
note and never an error, since it may be intended.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import LabeledImages
from ziffern.data.split import Indices, Split
from ziffern.text.catalog import Message

PARTS = ("train", "val", "test")
MIN_IMAGES = {"train": 10, "test": 5}  # of a class; below, its scores are mostly chance
LARGE_SHARE = 0.5  # of the training images in one class; of two classes, three quarters
TIMES_MEAN = 10  # a class of this many times the mean size is large among many classes, too
MAX_NAMES = 5  # class names in a note

Groups = NDArray[np.int64]  # (N,) equal numbers for identical images


def identical(images: NDArray[np.uint8]) -> Groups:
    """Return a number for each image (N, ...), the same for images that are equal in every pixel."""
    numbers: dict[bytes, int] = {}
    rows = images.reshape(len(images), -1)
    digests = (hashlib.blake2b(row.data, digest_size=16).digest() for row in map(np.ascontiguousarray, rows))
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], np.int64)


def contradicting(groups: Groups, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each image whether an identical one has another label; both arrays and the result are (N,)."""
    pairs = np.unique(np.stack([groups, labels]), axis=1)[0]
    values, counts = np.unique(pairs, return_counts=True)
    return np.isin(groups, values[counts > 1])


def without_duplicates(split: Split, groups: Groups, labels: NDArray[np.int64]) -> Split:
    """Return the split with one of each group of identical images, in the test part rather than val rather than train.

    Identical images with different labels are all left out, since none of the labels is known to be right.
    """
    used = np.unique(np.concatenate(split.indices))
    doubtful = np.zeros(len(groups), np.bool_)
    doubtful[used] = contradicting(groups[used], labels[used])
    kept: dict[str, Indices] = {}
    seen = groups[doubtful]
    for name in reversed(PARTS):
        part = getattr(split, name)
        if name == "val" and np.array_equal(part, split.test):  # val_from=test
            kept[name] = kept["test"]
            continue
        first = part[np.sort(np.unique(groups[part], return_index=True)[1])]
        kept[name] = first[~np.isin(groups[first], seen)]
        seen = np.concatenate([seen, groups[kept[name]]])
    contradictions = int(doubtful.sum())
    left = len(np.unique(np.concatenate(list(kept.values()))))
    counts = len(used) - contradictions - left, contradictions
    return replace(split, train=kept["train"], val=kept["val"], test=kept["test"], dropped=counts)


def notes_on_duplicates(split: Split, groups: Groups, labels: NDArray[np.int64]) -> Iterator[Message]:
    """Yield a note on repeated images within parts, on those across parts, and on those with different labels."""
    used = np.unique(np.concatenate(split.indices))
    if len(np.unique(groups[used])) == len(used):
        return
    within = {name: len(part) - len(np.unique(groups[part])) for name, part in zip(PARTS, split.indices, strict=True)}
    is_twice = np.array_equal(split.val, split.test)  # val_from=test
    if is_twice:
        within["val"] = 0
    if count := sum(within.values()):
        yield Message("data.note.repeated", count=count, **within)
    earlier = [("train", "val"), ("train", "test"), *([] if is_twice else [("val", "test")])]
    for first, second in earlier:
        if count := int(np.isin(groups[getattr(split, second)], groups[getattr(split, first)]).sum()):
            parts = {"part": Message(f"data.part.{second}"), "other": Message(f"data.part.{first}")}
            yield Message("data.note.in_two_parts", count=count, total=len(getattr(split, second)), **parts)
    if count := int(contradicting(groups[used], labels[used]).sum()):
        yield Message("data.note.contradicting", count=count)


def notes_on_classes(dataset: LabeledImages, split: Split, stratified: Split | None) -> Iterator[Message]:
    """Yield a note on classes without images, on those that a part lacks, on rare ones, and on a large one.

    Args:
        dataset: The data set.
        split: Its parts; those without images, as in an evaluation, are not looked at.
        stratified: The stratified split that the user could choose instead; None if the user has it or cannot.
    """
    names, counts = dataset.class_names, _counts(dataset, split)
    total = np.bincount(dataset.labels, minlength=len(names))
    empty = np.flatnonzero(total == 0)
    if not len(split.train):  # an evaluation: the model may have learned them
        total = np.ones_like(total)
    elif len(empty):
        yield Message("data.note.empty_classes", count=len(empty), names=_some(names, empty))
    present = {name: counts[name] for name, part in zip(PARTS, split.indices, strict=True) if len(part)}
    for part, count in present.items():
        if len(absent := np.flatnonzero((count == 0) & (total > 0))):
            values = {"count": len(absent), "names": _some(names, absent)}
            yield Message("data.note.absent", part=Message(f"data.part.{part}"), **values)
    for part in sorted(MIN_IMAGES.keys() & present.keys(), reverse=True):
        if len(rare := np.flatnonzero((present[part] > 0) & (present[part] < MIN_IMAGES[part]))):
            values = {"count": len(rare), "names": _some(names, rare), "limit": MIN_IMAGES[part]}
            yield Message("data.note.rare", part=Message(f"data.part.{part}"), **values)
    better = {} if stratified is None else _counts(dataset, stratified)
    minimums = {"val": 1, **MIN_IMAGES}
    if any(((count >= minimums[part]) & (counts[part] < minimums[part])).any() for part, count in better.items()):
        yield Message("data.note.stratify")
    if "train" in present and (largest := _largest(present["train"])) is not None:
        share = present["train"][largest] / present["train"].sum()
        yield Message("data.note.unequal", name=names[largest], share=round(100 * share))


def _counts(dataset: LabeledImages, split: Split) -> dict[str, NDArray[np.int64]]:
    classes = len(dataset.class_names)
    parts = zip(PARTS, split.indices, strict=True)
    return {name: np.bincount(dataset.labels[part], minlength=classes) for name, part in parts}


def _largest(counts: NDArray[np.int64]) -> int | None:
    """Return the class with so many images that always predicting it is a high score; None if there is none."""
    classes, share = int((counts > 0).sum()), counts.max() / counts.sum()
    is_large = share > max(LARGE_SHARE, 1.5 / classes) or share >= TIMES_MEAN / classes
    return int(counts.argmax()) if classes > 1 and is_large else None


def _some(names: tuple[str, ...], places: NDArray[np.int64]) -> str:
    shown = ", ".join(names[place] for place in places[:MAX_NAMES])
    return f"{shown}, …" if len(places) > MAX_NAMES else shown
