"""The LightningDataModule: one source, merged, split again, held as tensors on the training device.

Decisions: it keeps index arrays instead of a copy of each part; the trainer's device is looked up when a loader is
made, so the same object serves CPU and GPU; validation is sharded under DDP, the test part is not: every process has
all of it, so that predictions are in order and need no gathering.
"""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ziffern.data.attention import attention_first
from ziffern.data.batches import Batch, Batches
from ziffern.data.checks import identical, notes_on_classes, notes_on_duplicates, without_duplicates
from ziffern.data.classes import MAX_CLASSES
from ziffern.data.dataset import LabeledImages
from ziffern.data.preparation import check_names
from ziffern.data.sources.source import Local, Source
from ziffern.data.spec import image_shape
from ziffern.data.split import Split, check_parts, make_split
from ziffern.errors import InputError
from ziffern.text.catalog import Message


class ImageDataModule(pl.LightningDataModule):
    """Images from `source`, split into train, val and test.

    Args:
        source: Where the images come from (`ziffern.data.sources.source`).
        dir: Folder where data sets are found, or downloaded to; for the user's own data, its path. A leading `~` is
            the home folder.
        image: Channels, height and width of the images, to which others are converted; None is MNIST's shape, and
            refuses others.
        num_classes: How many classes the data must have; None: any number of them.
        batch_size: Training images per step and process.
        eval_batch_size: Images per batch of validation and test; changes speed, not results.
        split: resplit, stratified, official or kfold (`ziffern.data.split`), or auto: official for data with parts
            of its own, else resplit.
        fractions: Shares of train, val and test for resplit and stratified.
        split_seed: Seed of the split alone.
        val_from: For official: `train` cuts validation from the training part, `test` uses the test part, and `auto`
            the published validation part or, without one, the training part.
        val_share: For official: the share of the training part that validates.
        fold: For kfold: the fold that tests, from 0.
        folds: For kfold: how many folds.
        limit: Images kept of each part, drawn at random, but at least `batch_size` of training; None is all.
        drop_duplicates: Keep one of each group of identical images, in the test part rather than the validation part
            rather than the training part, and none that also occurs with another label.
        seed: Seed of the order of training batches.
        label_column: For the user's own data, as the following: see `ziffern.data.content.Reading`.
        prepare: Likewise.
        polarity: Likewise.
        transpose: Likewise.
        preview: Write a contact sheet of the images into the run folder.

    Raises:
        InputError: A batch size below 1, fewer than 2 classes, or an invalid shape; from `setup`: unusable data, an
            impossible split, a batch larger than the training part, or training images of one class alone.
    """

    def __init__(
        self,
        source: Source,
        dir: str,
        image: Sequence[int] | None = None,
        num_classes: int | None = None,
        batch_size: int = 16,
        eval_batch_size: int = 1000,
        split: str = "resplit",
        fractions: Sequence[float] = (0.6, 0.2, 0.2),
        split_seed: int = 0,
        val_from: str = "train",
        val_share: float = 0.1,
        fold: int = 0,
        folds: int = 5,
        seed: int = 0,
        limit: int | None = None,
        drop_duplicates: bool = False,
        label_column: str | int | None = None,
        prepare: str | None = None,
        polarity: str | None = None,
        transpose: bool | None = None,
        preview: bool = False,
    ) -> None:
        super().__init__()
        for name, size in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if size < 1:
                raise InputError("data.batch_size.too_small", name=name, size=size)
        if num_classes is not None and num_classes < 2:  # noqa: PLR2004
            raise InputError("data.num_classes.too_small", classes=num_classes)
        if limit is not None and limit < 1:
            raise InputError("data.limit.too_small", limit=limit)
        reading = {"label_column": label_column, "prepare": prepare, "polarity": polarity, "transpose": transpose}
        self._reading = {name: value for name, value in reading.items() if value is not None}
        if self._reading and not isinstance(source, Local):
            raise InputError("data.local.only", name=next(iter(self._reading)))
        check_names(prepare or "auto", polarity or "auto")
        self.preview = preview
        self.source, self.dir = source, Path(os.path.expanduser(dir))  # noqa: PTH111  # ~x may be a file
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        parameters = {"val_from": val_from, "val_share": val_share, "fold": fold, "folds": folds}
        self._split: dict[str, Any] = {"kind": split, "fractions": fractions, "seed": split_seed, **parameters}
        self.limit, self.drop_duplicates = limit, drop_duplicates
        self.image = None if image is None else image_shape(image)
        self.num_classes, self.seed = num_classes, seed
        self._tensors: tuple[torch.device, Tensor, Tensor] | None = None

    def load(self) -> LabeledImages:
        """Return the whole data set, merged; it is downloaded where needed, and not kept."""
        return self.source.load(self.dir, self.num_classes, self.image, **self._reading)

    @cached_property
    def dataset(self) -> LabeledImages:
        """The whole data set, merged; loaded at first use.

        Raises:
            InputError: The data is unusable, or has another number of classes than `num_classes`.
        """
        dataset = self.load()
        known = dataset.spec.num_classes
        if self.num_classes not in (None, known):
            raise InputError("data.num_classes.mismatch", classes=self.num_classes, name=dataset.name, known=known)
        if known > MAX_CLASSES:
            raise InputError("data.classes.too_many", where=dataset.name, count=known, limit=MAX_CLASSES)
        self.num_classes = known
        return dataset

    @cached_property
    def split_kind(self) -> str:
        """The rule by which the images are split, one of SPLITS."""
        kind = str(self._split["kind"])
        if kind != "auto":
            return kind
        return "resplit" if self.dataset.train_size == len(self.dataset) else "official"

    @cached_property
    def split_name(self) -> str:
        """The name of the split; equal names mean equal parts of the same data."""
        kind, how = self.split_kind, self._split
        text = "/".join(f"{share:g}" for share in how["fractions"])
        if kind == "official":
            text = "val = test" if how["val_from"] == "test" else f"val {how['val_share']:g} of train"
            if how["val_from"] == "auto" and self.dataset.val_size:
                text = "val part"
        elif kind == "kfold":
            text = f"fold {how['fold']} of {how['folds']}"
        few = "" if self.limit is None else f", at most {self.limit} of each part"
        if self.limit is not None and self.batch_size > self.limit:
            few = f", at most {self.batch_size} of train and {self.limit} of val and test"
        unique = ", without duplicates" if self.drop_duplicates else ""
        return f"{kind} {text}, split_seed {how['seed']}{unique}{few}"

    @cached_property
    def parts(self) -> Split:
        """The three parts as arrays of original indices."""
        split = self._whole
        if self.batch_size > len(split.train):
            raise InputError("data.batch_size.too_large", size=self.batch_size, images=len(split.train))
        if self.limit is None:
            return split
        return split.drawn(max(self.limit, self.batch_size), self.limit, self._split["seed"])

    @cached_property
    def notes(self) -> list[Message]:
        """What was assumed, left out or noticed about the data; what needs attention is marked, and comes first."""
        dataset, parts = self.dataset, self.parts
        notes = [*dataset.notes]
        if not self.drop_duplicates:
            notes += notes_on_duplicates(parts, self._groups, dataset.labels)
        for kind, count in zip(("repeated", "contradicting"), parts.dropped, strict=True):
            if count:
                notes.append(Message(f"data.note.dropped_{kind}", count=count))
        if self.limit is None:  # which leaves few images on purpose
            can_stratify = self.split_kind == "resplit" and len(parts.train)
            notes += notes_on_classes(dataset, parts, self._cut("stratified") if can_stratify else None)
        return attention_first(notes)

    def setup(self, stage: str | None = None) -> None:
        """Load and split now, so that errors appear before training starts."""
        self.parts  # noqa: B018
        if stage in (None, "fit"):
            self._check_classes()

    def unique(self, split: Split) -> Split:
        """Return a split of the data set, without duplicates if these are dropped."""
        return without_duplicates(split, self._groups, self.dataset.labels) if self.drop_duplicates else split

    def _cut(self, kind: str) -> Split:
        split = self.unique(make_split(self.dataset, **self._split | {"kind": kind}))
        check_parts(split, kind)
        return split

    @cached_property
    def _whole(self) -> Split:
        """The parts before `limit` is applied."""
        return self._cut(self.split_kind)

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        return identical(self.dataset.images)

    def _check_classes(self) -> None:
        """Raise InputError if all training images have the same label."""
        dataset, train = self.dataset, self._whole.train
        if np.ptp(dataset.labels[train]):
            return
        label = dataset.class_names[dataset.labels[train[0]]]
        if not np.ptp(dataset.labels):
            fix = Message("data.classes.fix.column" if isinstance(self.source, Local) else "data.classes.fix.add")
            raise InputError("data.classes.only", where=dataset.name, count=len(dataset), label=label, fix=fix)
        helps = self.split_kind != "stratified" and np.ptp(dataset.labels[self._cut("stratified").train])
        values = {"kind": self.split_kind, "count": len(train), "label": label}
        fix = Message("data.classes.fix.stratify" if helps else "data.classes.fix.add")
        raise InputError("data.classes.only_in_part", **values, fix=fix)

    def train_dataloader(self) -> Batches:
        """Shuffled batches of the training part, sharded under DDP; in a fixed order with `overfit_batches`."""
        overfits = getattr(self.trainer, "overfit_batches", 0) > 0
        model = getattr(self.trainer, "lightning_module", None)
        has_batch_norm = model is not None and any(isinstance(part, _BatchNorm) for part in model.modules())
        return self._batches("train", self.batch_size, None if overfits else self.seed, keep_single=not has_batch_norm)

    def val_dataloader(self) -> Batches:
        """Batches of the validation part in order, sharded under DDP."""
        return self._batches("val", self.eval_batch_size)

    def test_dataloader(self) -> Batches:
        """Batches of the whole test part in order, on every process."""
        return self._batches("test", self.eval_batch_size, sharded=False)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Return the batch as it is: it was cut on the device."""
        return batch

    def _batches(
        self, part: str, batch_size: int, seed: int | None = None, sharded: bool = True, keep_single: bool = True
    ) -> Batches:
        trainer = self.trainer
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        rank, world = (trainer.global_rank, trainer.world_size) if trainer and sharded else (0, 1)
        if self._tensors is None or self._tensors[0] != device:
            images, labels = torch.from_numpy(self.dataset.images), torch.from_numpy(self.dataset.labels)
            self._tensors = (device, images.to(device), labels.to(device))
        if world > len(getattr(self.parts, part)):
            raise InputError(
                "data.processes.too_many", part=part, images=len(getattr(self.parts, part)), processes=world
            )
        _, images, labels = self._tensors
        indices = torch.from_numpy(getattr(self.parts, part)).to(device)
        return Batches(images, labels, indices, batch_size, seed, rank, world, keep_single)
