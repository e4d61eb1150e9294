"""Splits of a data set into training, validation and test images, as three index arrays.

Decisions: a split depends only on the number of images (or their labels), the fractions and its own seed; it is drawn
with numpy's RandomState, whose stream is frozen (NEP 19), so that it is the same on any machine and under any numpy.
Every image is in exactly one part. The single exception is explicit: `official` with `val_from=test` validates on the
test set, as one published recipe does, and `leak` explains it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ziffern.data.dataset import LabeledImages
from ziffern.errors import InputError
from ziffern.text.catalog import Message

Indices = NDArray[np.int64]
SPLITS = ("resplit", "stratified", "official", "kfold")  # and `auto`, which is `official` where there are parts
VAL_FROM = ("auto", "train", "test")
MIN_FOLDS = 3  # one fold tests, one validates, at least one trains


@dataclass(frozen=True)
class Split:
    """Three arrays of original indices."""

    train: Indices
    val: Indices
    test: Indices
    leak: Message | None = None  # a warning if validation uses the test part
    dropped: tuple[int, int] = (0, 0)  # images left out because they repeat, or contradict, an identical one

    @property
    def indices(self) -> tuple[Indices, Indices, Indices]:
        """Train, val and test."""
        return self.train, self.val, self.test

    def drawn(self, train: int, others: int, seed: int) -> "Split":
        """Return at most `train` training images and `others` of each other part, drawn at random, in their order."""
        random = np.random.RandomState(seed)

        def draw(part: Indices, most: int) -> Indices:
            return part[np.sort(random.permutation(len(part))[:most])]

        return replace(self, train=draw(self.train, train), val=draw(self.val, others), test=draw(self.test, others))


def resplit(count: int, fractions: Sequence[float], seed: int) -> Split:
    """Divide 0 ... count - 1 at random; fractions are the shares of train, val and test (sum 1)."""
    order = np.random.RandomState(seed).permutation(count)
    train, val, test = map(np.sort, np.split(order, _cuts(count, fractions)))
    return Split(train, val, test)


def stratified(labels: NDArray[np.int64], fractions: Sequence[float], seed: int) -> Split:
    """Divide at random so that each class has its share in every part, to within one image.

    Each part gets its share of each shuffled class, rounded down; the one or two remaining images of a class go to
    the parts that are furthest below their size in `resplit`, so the totals are exact as well.
    """
    order = np.random.RandomState(seed).permutation(len(labels))
    classes = [order[labels[order] == label] for label in np.unique(labels)]
    shares = np.outer([len(members) for members in classes], fractions)  # (C, 3)
    counts = np.floor(shares + 1e-9).astype(np.int64)  # 0.29 * 100 is 28.999..., not 29
    lacking = np.diff([0, *_cuts(len(order), fractions), len(order)]) - counts.sum(0)  # (3,)
    cut = []
    for members, count in zip(classes, counts, strict=True):
        left_over = np.argsort(-lacking, kind="stable")[: len(members) - count.sum()]
        count[left_over] += 1
        lacking[left_over] -= 1
        cut.append(np.split(members, np.cumsum(count)[:2]))
    train, val, test = (np.sort(np.concatenate(pieces)) for pieces in zip(*cut, strict=True))
    return Split(train, val, test)


def official(data: LabeledImages, val_from: str, val_share: float, test_share: float, seed: int) -> Split:
    """Keep the published parts, and cut those that are missing from the training part at random.

    Args:
        data: A data set with a published test or validation part.
        val_from: `train` cuts validation from the training part, which a published validation part then belongs to;
            `test` uses the test part; `auto` uses the published validation part or, without one, cuts one.
        val_share: The share of the training part that is cut off for validation.
        test_share: The share of the training part that is cut off for the test where there is no test part.
        seed: The seed of what is drawn.

    Raises:
        InputError: There is no published part but that of training, or val_from or val_share is out of range.
    """
    if data.train_size == len(data):
        raise InputError("data.split.no_test_part")
    if val_from not in VAL_FROM:
        raise InputError("data.split.val_from", value=val_from)
    if not 0 < val_share < 1:
        raise InputError("data.split.val_share", value=val_share)
    random = np.random.RandomState(seed)

    def cut(images: Indices, share: float) -> tuple[Indices, Indices]:
        order, count = random.permutation(len(images)), round(len(images) * share)
        return np.sort(images[order[count:]]), np.sort(images[order[:count]])

    train, val, test = np.split(np.arange(len(data)), [data.train_size, data.train_size + data.val_size])
    if val_from != "auto":  # another part validates
        train, val = np.append(train, val), np.zeros(0, np.int64)
    if val_from == "test" and len(test):
        return Split(train, test, test, Message("data.split.leak"))
    if not len(val):
        train, val = cut(train, val_share)
    if not len(test):
        train, test = cut(train, test_share)
    return Split(train, val, test)


def kfold(count: int, fold: int, folds: int, seed: int) -> Split:
    """Test on fold `fold` of `folds`, validate on the next one, train on the rest.

    Raises:
        InputError: Fewer than three folds, more folds than images, or no such fold.
    """
    if not MIN_FOLDS <= folds <= count:
        raise InputError("data.split.folds", folds=folds, minimum=MIN_FOLDS, images=count)
    if not 0 <= fold < folds:
        raise InputError("data.split.fold", fold=fold, folds=folds, last=folds - 1)
    parts = np.array_split(np.random.RandomState(seed).permutation(count), folds)
    chosen = {fold, (fold + 1) % folds}
    train = np.concatenate([part for number, part in enumerate(parts) if number not in chosen])
    return Split(np.sort(train), np.sort(parts[(fold + 1) % folds]), np.sort(parts[fold]))


def make_split(
    data: LabeledImages,
    kind: str,
    *,
    fractions: Sequence[float],
    seed: int,
    val_from: str,
    val_share: float,
    fold: int,
    folds: int,
) -> Split:
    """Split `data` by the rule `kind`, one of SPLITS.

    Raises:
        InputError: An unknown rule, a parameter out of range, or a part without any image.
    """
    if not 0 <= seed < 2**32:
        raise InputError("data.split.seed", seed=seed, limit=2**32 - 1)
    match kind:
        case "resplit":
            split = resplit(len(data), _checked(fractions), seed)
        case "stratified":
            split = stratified(data.labels, _checked(fractions), seed)
        case "official":
            split = official(data, val_from, val_share, _checked(fractions)[2], seed)
        case "kfold":
            split = kfold(len(data), fold, folds, seed)
        case _:
            raise InputError("data.split.unknown", kind=kind, known=(*SPLITS, "auto"))
    check_parts(split, kind)
    return split


def check_parts(split: Split, kind: str) -> None:
    """Raise InputError if a part of a split by the rule `kind` is empty."""
    images = sum(map(len, split.indices))
    for part in ("train", "val", "test"):
        if not len(getattr(split, part)):
            raise InputError("data.split.empty", kind=kind, part=Message(f"data.part.{part}"), images=images)


def _checked(fractions: Sequence[float]) -> Sequence[float]:
    shown, total = str([float(part) for part in fractions]), sum(fractions)
    problems = {
        "count": len(fractions) != 3,  # noqa: PLR2004
        "range": not all(0 < part < 1 for part in fractions),
        "sum": abs(total - 1) > 1e-6,  # noqa: PLR2004
    }
    for problem, exists in problems.items():
        if exists:
            raise InputError(f"data.split.fractions.{problem}", fractions=shown, sum=f"{total:.4g}")
    return fractions


def _cuts(count: int, fractions: Sequence[float]) -> tuple[int, int]:
    """Return where train and val end in a sequence of `count` images."""
    return round(count * fractions[0]), round(count * (fractions[0] + fractions[1]))
