"""The advice in an error about own data works: each case makes an error, follows its advice, and reads the data."""

import gzip
import io
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.support.data_files import idx, picture, write

from ziffern.data.datamodule import ImageDataModule
from ziffern.data.formats import decoding, folders, members, table_text
from ziffern.data.sources.source import Local
from ziffern.errors import InputError

RANDOM = np.random.RandomState(0)
LABELS = np.arange(40) % 2
IMAGES = np.zeros((40, 28, 28), np.uint8)
IMAGES[:, 4:24, 4:24] = RANDOM.randint(0, 256, (40, 20, 20))
PICTURES = {f"{label}/{place}.png": picture(IMAGES[place]) for place, label in enumerate(LABELS)}
ROWS = [[str(label), *map(str, image.ravel())] for label, image in zip(LABELS, IMAGES, strict=True)]
NAMES = ["label", *(f"pixel{place}" for place in range(784))]
Files = Mapping[str, bytes]


def csv(rows: list[list[str]] = ROWS, names: list[str] | None = NAMES) -> bytes:
    return "\n".join(",".join(row) for row in [*([names] if names else []), *rows]).encode()


def changed(row: int, column: int, value: str, rows: list[list[str]] = ROWS) -> list[list[str]]:
    return [
        [value if (number, place) == (row, column) else cell for place, cell in enumerate(cells)]
        for number, cells in enumerate(rows)
    ]


def npz(**arrays: Any) -> bytes:
    raw = io.BytesIO()
    np.savez_compressed(raw, **arrays)
    return raw.getvalue()


def saved(image: Image.Image, suffix: str) -> bytes:
    raw = io.BytesIO()
    image.save(raw, suffix)
    return raw.getvalue()


def zipped(files: Files, **settings: Any) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as target:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            for key, value in settings.items():
                setattr(info, key, value)
            target.writestr(info, content)
    return raw.getvalue()


@dataclass(frozen=True)
class Case:
    """Files that cause an error, words of its advice, and the files and settings that follow it.

    `path` is the data; `None` as files keeps those that caused the error.
    """

    code: str
    files: Files
    advice: str
    fixed: Files | None = None
    settings: tuple[str, ...] = ()
    fixed_settings: tuple[str, ...] | None = None
    path: str = ""
    fixed_path: str | None = None
    limits: tuple[tuple[Any, str, Any], ...] = field(default=())


GOOD = {"a.csv": csv()}
NPZ = {"a.npz": npz(x=IMAGES, y=LABELS)}
SCALED = (IMAGES.astype(np.float32) - 3) / 7
TWO = {"x_train": IMAGES, "y_train": LABELS}
SAVE = "np.savez(path, x_train=…, y_train=…, x_test=…, y_test=…)"
GOOD_NPZ = {"a.npz": npz(**TWO, x_test=IMAGES[:4], y_test=LABELS[:4])}
IDX_FILES = {
    "train-images-idx3-ubyte": idx(IMAGES),
    "train-labels-idx1-ubyte": idx(LABELS),
}
OTHER_IDX = {f"letters-{name}": raw for name, raw in IDX_FILES.items()}
LAB = saved(Image.new("LAB", (28, 28)), "TIFF")
DEEP = saved(Image.fromarray(IMAGES[0].astype(np.int32) * 1000), "TIFF")
DARK = {**PICTURES, "0/0.png": b"no picture"}
BESIDE = {**PICTURES, "a.npz": NPZ["a.npz"]}
WORDS = [["cat" if row[0] == "0" else "dog", *row[1:]] for row in ROWS]
NUMBERED = [[row[0], str(number), *row[1:]] for number, row in enumerate(ROWS)]
CASES = [
    Case(
        "data.num_classes.too_small",
        GOOD,
        "must be at least 2",
        settings=("data.num_classes=1",),
        fixed_settings=("data.num_classes=2",),
    ),
    Case(
        "data.num_classes.mismatch",
        {f"{'ab'[int(k[0])]}/{k[2:]}": v for k, v in PICTURES.items()},
        "use data.num_classes=2",
        settings=("data.num_classes=4",),
        fixed_settings=("data.num_classes=2",),
    ),
    Case("data.local.label_column", PICTURES, "remove it", settings=("data.label_column=0",), fixed_settings=()),
    Case("data.local.missing", GOOD, "check the path", path="b.csv", fixed_path="a.csv"),
    Case("data.local.unknown", {"a.doc": b"", **GOOD}, "give a folder or ZIP", path="a.doc", fixed_path="a.csv"),
    Case("data.local.several", BESIDE, "keep one", PICTURES),
    Case("data.local.several", BESIDE, "or give the path of one", path="", fixed_path="a.npz"),
    Case("data.local.none", {"readme.md": b""}, "one folder per class", {"readme.md": b"", **PICTURES}),
    Case(
        "data.local.tables",
        {"a_train.csv": csv(), "b_train.csv": csv()},
        "name it as another part, such as digits_test.csv",
        {"a_train.csv": csv(), "digits_test.csv": csv()},
    ),
    Case("data.local.tables", {"a_train.csv": csv(), "b_train.csv": csv()}, "remove one", {"a_train.csv": csv()}),
    Case(
        "data.image.invalid",
        PICTURES,
        "such as data.image=[3,32,32]",
        settings=("data.image=[32,32]",),
        fixed_settings=("data.image=[3,32,32]",),
    ),
    Case(
        "data.image.channels",
        NPZ,
        "use data.image=[1,28,28]",
        settings=("data.image=[2,28,28]",),
        fixed_settings=("data.image=[1,28,28]",),
    ),
    Case(
        "data.picture.channels",
        PICTURES,
        "1 (gray), 3 (color) or 4",
        settings=("data.image=[2,28,28]",),
        fixed_settings=("data.image=[4,28,28]",),
    ),
    Case(
        "data.prepare.unknown",
        PICTURES,
        "resize",
        settings=("data.prepare=resice",),
        fixed_settings=("data.prepare=resize",),
    ),
    Case(
        "data.prepare.shape",
        {"a.npz": npz(x=IMAGES[:, 2:], y=LABELS)},
        "use data.prepare=auto",
        settings=("data.prepare=none",),
        fixed_settings=("data.prepare=auto",),
    ),
    Case(
        "data.prepare.color",
        PICTURES,
        "use data.image=[1,32,32]",
        settings=("data.prepare=digit", "data.image=[3,32,32]"),
        fixed_settings=("data.prepare=digit", "data.image=[1,32,32]"),
    ),
    Case(
        "data.prepare.color",
        PICTURES,
        "or data.prepare=resize",
        settings=("data.prepare=digit", "data.image=[3,32,32]"),
        fixed_settings=("data.prepare=resize", "data.image=[3,32,32]"),
    ),
    Case("data.set.empty", {"a.npz": npz(x=IMAGES[:0], y=LABELS[:0])}, "each part needs at least one", NPZ),
    Case(
        "data.classes.too_many",
        {"a.npz": npz(x=np.tile(IMAGES, (10, 1, 1)), y=np.array([f"w{n}" for n in range(400)]))},
        "else merge some",
        {"a.npz": npz(x=np.tile(IMAGES, (10, 1, 1)), y=np.array([f"w{n % 256}" for n in range(400)]))},
    ),
    Case(
        "data.classes.long_name",
        {f"{k[0] * 101}w/{k[2:]}": v for k, v in PICTURES.items()},
        "at most 100 are possible: shorten it",
        {f"{k[0] * 99}w/{k[2:]}": v for k, v in PICTURES.items()},
    ),
    Case("data.classes.only", {"a.csv": csv([["0", *row[1:]] for row in ROWS])}, "add images of others", GOOD),
    Case(
        "data.label.range",
        {"a.npz": npz(x=IMAGES, y=LABELS * 5)},
        "set data.num_classes=6",
        settings=("data.num_classes=3",),
        fixed_settings=("data.num_classes=6",),
    ),
    Case("data.label.range", {"a.npz": npz(x=IMAGES, y=-LABELS)}, "correct it", NPZ),
    Case("data.label.range", {"a.npz": npz(x=IMAGES, y=LABELS * 300)}, "correct it", NPZ),
    Case(
        "data.members.too_many",
        {**PICTURES, **{f"other/{n}.txt": b"" for n in range(10)}},
        "use the folder of the data set alone",
        PICTURES,
        limits=((folders, "MAX_FILES", 45),),
    ),
    Case(
        "data.members.no_data",
        {**{f"a/{n}/x.md": b"" for n in range(9)}, **{f"set/{k}": v for k, v in PICTURES.items()}},
        "use the folder of the data set itself",
        path="",
        fixed_path="set",
        limits=((folders, "MAX_EMPTY", 5),),
    ),
    # Settings of the data
    Case(
        "data.batch_size.too_small",
        PICTURES,
        "such as data.batch_size=16",
        settings=("data.batch_size=0",),
        fixed_settings=("data.batch_size=16",),
    ),
    Case(
        "data.batch_size.too_large",
        PICTURES,
        "use at most data.batch_size=24",
        settings=("data.batch_size=30",),
        fixed_settings=("data.batch_size=24",),
    ),
    Case(
        "data.limit.too_small",
        PICTURES,
        "null for all images",
        settings=("data.limit=0",),
        fixed_settings=("data.limit=null",),
    ),
    Case(
        "data.split.no_test_part",
        PICTURES,
        "use data.split=resplit or stratified",
        settings=("data.split=official",),
        fixed_settings=("data.split=stratified",),
    ),
    Case(
        "data.split.val_from",
        GOOD_NPZ,
        "expected auto, train or test",
        settings=("data.val_from=val",),
        fixed_settings=("data.val_from=test",),
    ),
    Case(
        "data.split.val_share",
        GOOD_NPZ,
        "such as 0.1",
        settings=("data.val_share=2",),
        fixed_settings=("data.val_share=0.1",),
    ),
    Case(
        "data.split.folds",
        PICTURES,
        "must lie between 3",
        settings=("data.split=kfold", "data.folds=2"),
        fixed_settings=("data.split=kfold", "data.folds=3"),
    ),
    Case(
        "data.split.fold",
        PICTURES,
        "between 0 and 4",
        settings=("data.split=kfold", "data.fold=5"),
        fixed_settings=("data.split=kfold", "data.fold=4"),
    ),
    Case(
        "data.split.seed",
        PICTURES,
        "between 0 and",
        settings=("data.split_seed=-1",),
        fixed_settings=("data.split_seed=0",),
    ),
    Case(
        "data.split.unknown",
        PICTURES,
        "stratified",
        settings=("data.split=random",),
        fixed_settings=("data.split=stratified",),
    ),
    Case(
        "data.split.empty",
        {k: PICTURES[k] for k in list(PICTURES)[:3]},
        "use more images",
        {k: PICTURES[k] for k in list(PICTURES)[:8]},
    ),
    Case(
        "data.split.empty",
        {k: PICTURES[k] for k in list(PICTURES)[:20]},
        "or a larger share",
        settings=("data.fractions=[0.98,0.01,0.01]",),
        fixed_settings=("data.fractions=[0.6,0.2,0.2]",),
    ),
    Case(
        "data.split.fractions.sum",
        PICTURES,
        "such as [0.6,0.2,0.2]",
        settings=("data.fractions=[0.6,0.2,0.3]",),
        fixed_settings=("data.fractions=[0.6,0.2,0.2]",),
    ),
    Case(
        "data.classes.only_in_part",
        {"a.npz": npz(x_train=IMAGES, y_train=LABELS * 0, x_test=IMAGES, y_test=LABELS)},
        "use data.split=stratified",
        fixed_settings=("data.split=stratified",),
    ),
    # ZIP files
    Case(
        "data.archive.encrypted",
        {"a.zip": zipped(PICTURES).replace(b"\x14\x00\x00\x00\x00\x00", b"\x14\x00\x01\x00\x00\x00")},
        "without a password",
        {"a.zip": zipped(PICTURES)},
        path="a.zip",
    ),
    Case(
        "data.archive.too_many",
        {"a.zip": zipped({**PICTURES, "0/x.png": picture(IMAGES[0])})},
        "include fewer files",
        {"a.zip": zipped(PICTURES)},
        path="a.zip",
        limits=((members, "MAX_FILES", 40),),
    ),
    Case(
        "data.archive.twice",
        {"a.zip": zipped({**PICTURES, "0//0.png": picture(IMAGES[0])})},
        "create the archive again",
        {"a.zip": zipped(PICTURES)},
        path="a.zip",
    ),
    Case(
        "data.archive.member_damaged",
        {"a.zip": zipped(PICTURES).replace(PICTURES["0/0.png"][-40:], bytes(40), 1)},
        "create the archive again",
        {"a.zip": zipped(PICTURES)},
        path="a.zip",
    ),
    Case(
        "data.members.twice",
        {**PICTURES, "0/\u00e4.png": PICTURES["0/0.png"], "0/a\u0308.png": PICTURES["0/2.png"]},
        "rename one of them",
        {**PICTURES, "0/\u00e4.png": PICTURES["0/0.png"], "0/b.png": PICTURES["0/2.png"]},
    ),
    Case(
        "data.archive.nested",
        {**PICTURES, "0/more.zip": zipped({"x.png": picture(IMAGES[0])})},
        "unpack it first",
        {**PICTURES, "0/x.png": picture(IMAGES[0])},
    ),
    Case(
        "data.archive.damaged", {"a.zip": b"PK nothing"}, "create it again", {"a.zip": zipped(PICTURES)}, path="a.zip"
    ),
    Case(
        "data.archive.climbs",
        {"a.zip": zipped({"../0/a.png": b"", **PICTURES})},
        "paths must be relative and use /",
        {"a.zip": zipped(PICTURES)},
        path="a.zip",
    ),
    Case(
        "data.archive.long",
        {"a.zip": zipped({f"0/{'n' * 300}.png": picture(IMAGES[0]), **PICTURES})},
        "shorten it",
        {"a.zip": zipped({f"0/{'n' * 200}.png": picture(IMAGES[0]), **PICTURES})},
        path="a.zip",
    ),
    Case(
        "data.archive.link",
        {"a.zip": zipped(PICTURES, external_attr=0o120777 << 16)},
        "include the file itself",
        {"a.zip": zipped(PICTURES)},
        path="a.zip",
    ),
    Case(
        "data.archive.special",
        {"a.zip": zipped(PICTURES, external_attr=0o010777 << 16)},
        "without it",
        {"a.zip": zipped(PICTURES)},
        path="a.zip",
    ),
    Case(
        "data.archive.method",
        {"a.zip": zipped(PICTURES, compress_type=zipfile.ZIP_LZMA)},
        "as an ordinary ZIP",
        {"a.zip": zipped(PICTURES)},
        path="a.zip",
    ),
    Case(
        "data.archive.bomb",
        {"a.zip": zipped({"a.csv": csv()}, compress_type=zipfile.ZIP_DEFLATED)},
        "unpack it yourself and use the folder",
        {"b/a.csv": csv()},
        path="a.zip",
        fixed_path="b",
        limits=((members, "FREE_BYTES", 0), (members, "MAX_RATIO", 1)),
    ),
    Case(
        "data.archive.bomb",
        GOOD_NPZ,
        "unpack it yourself and use the folder",
        {
            f"b/{k}": v
            for k, v in (
                (n, zipfile.ZipFile(io.BytesIO(GOOD_NPZ["a.npz"])).read(n)) for n in ("x_train.npy", "y_train.npy")
            )
        },
        path="a.npz",
        fixed_path="b",
        limits=((members, "FREE_BYTES", 0), (members, "MAX_RATIO", 1)),
    ),
    Case(
        "data.archive.bomb",
        {"train-images-idx3-ubyte.gz": gzip.compress(idx(IMAGES)), "train-labels-idx1-ubyte": idx(LABELS)},
        "unpack it yourself and use the folder",
        IDX_FILES,
        limits=((members, "FREE_BYTES", 0), (members, "MAX_RATIO", 1)),
    ),
    # Arrays
    Case(
        "data.array.several", {"a.npz": NPZ["a.npz"], "b.npz": NPZ["a.npz"]}, "give the path of one", fixed_path="b.npz"
    ),
    Case(
        "data.array.several",
        {"a.npz": NPZ["a.npz"], "b.npz": NPZ["a.npz"]},
        "name them train.npz, val.npz and test.npz",
        {"train.npz": NPZ["a.npz"], "test.npz": NPZ["a.npz"]},
    ),
    Case("data.array.missing", {"a.npz": npz(x=IMAGES)}, SAVE, GOOD_NPZ, path="a.npz"),
    Case("data.array.ambiguous", {"a.npz": npz(x=IMAGES, images=IMAGES + 1, y=LABELS)}, SAVE, GOOD_NPZ, path="a.npz"),
    Case(
        "data.array.images",
        {"a.npz": npz(x=IMAGES.reshape(40, -1)[:, :700], y=LABELS)},
        "reshape it",
        GOOD_NPZ,
        path="a.npz",
    ),
    Case(
        "data.array.range",
        {"a.npz": npz(x=SCALED, y=LABELS)},
        "save (x - low) / (high - low) of each array",
        {"a.npz": npz(x=(SCALED - SCALED.min()) / (SCALED.max() - SCALED.min()), y=LABELS)},
        path="a.npz",
    ),
    Case(
        "data.array.range",
        {"a.npz": npz(x=IMAGES.astype(np.uint16) * 200, y=LABELS)},
        "save (x - low) / (high - low) of each array",
        {"a.npz": npz(x=(IMAGES.astype(np.uint16) * 200 - 0) / (255 * 200 - 0), y=LABELS)},
        path="a.npz",
    ),
    Case(
        "data.array.not_finite",
        {"a.npz": npz(x=np.where(IMAGES > 250, np.nan, IMAGES), y=LABELS)},
        "as with np.nan_to_num",
        {"a.npz": npz(x=np.nan_to_num(np.where(IMAGES > 250, np.nan, IMAGES)), y=LABELS)},
        path="a.npz",
    ),
    Case(
        "data.array.labels",
        {"a.npz": npz(x=IMAGES, y=np.stack([LABELS, LABELS, LABELS], 1))},
        "one whole number or name per image",
        NPZ,
        path="a.npz",
    ),
    Case("data.array.counts", {"a.npz": npz(x=IMAGES, y=LABELS[:30])}, "save the arrays again so", NPZ, path="a.npz"),
    Case(
        "data.array.objects",
        {"a.npz": npz(x=IMAGES.astype(object), y=LABELS)},
        "numbers with .astype(float)",
        {"a.npz": npz(x=IMAGES.astype(object).astype(float), y=LABELS)},
        path="a.npz",
    ),
    Case(
        "data.array.objects",
        {"a.npz": npz(x=IMAGES, y=np.array(["a", "b"] * 20, object))},
        "names with .astype(str)",
        {"a.npz": npz(x=IMAGES, y=np.array(["a", "b"] * 20, object).astype(str))},
        path="a.npz",
    ),
    Case(
        "data.array.objects",
        {"a.npz": npz(x=np.array([*IMAGES[:39], IMAGES[39, 1:]], object), y=LABELS)},
        "save them as picture files",
        PICTURES,
        path="a.npz",
        fixed_path="",
    ),
    Case("data.array.damaged", {"x.npy": b"damaged", "y.npy": b""}, SAVE, GOOD_NPZ),
    # IDX
    Case(
        "data.idx.sets",
        {**IDX_FILES, **OTHER_IDX},
        "to a folder of their own, and give that folder",
        {f"own/{k}": v for k, v in OTHER_IDX.items()} | IDX_FILES,
        fixed_path="own",
    ),
    Case("data.idx.missing", {k: v for k, v in IDX_FILES.items() if "images" in k}, "add it", IDX_FILES),
    Case(
        "data.idx.counts",
        {**IDX_FILES, "train-labels-idx1-ubyte": idx(LABELS[1:])},
        "use two files of the same data set",
        IDX_FILES,
    ),
    Case("data.idx.cut", {k: v[:-1] for k, v in IDX_FILES.items()}, "download the file again", IDX_FILES),
    Case("data.idx.too_long", {k: v + b"0" for k, v in IDX_FILES.items()}, "download the file again", IDX_FILES),
    Case("data.idx.magic", {k: b"1" + v[1:] for k, v in IDX_FILES.items()}, "download the file again", IDX_FILES),
    Case("data.idx.header", {k: v[:6] for k, v in IDX_FILES.items()}, "download the file again", IDX_FILES),
    # Tables
    Case(
        "data.table.long_line",
        {"a.csv": csv()},
        "save the images as pictures",
        PICTURES,
        path="a.csv",
        fixed_path="",
        limits=((table_text, "MAX_LINE", 500),),
    ),
    Case(
        "data.table.long_line",
        {"a.csv": csv()},
        "or as .npz",
        NPZ,
        path="a.csv",
        fixed_path="a.npz",
        limits=((table_text, "MAX_LINE", 500),),
    ),
    Case(
        "data.table.both",
        {"a.csv": csv([[*row[:-1], row[0]] for row in ROWS], None)},
        "set data.label_column=0 or data.label_column=784",
        path="a.csv",
        fixed_settings=("data.label_column=784",),
    ),
    Case(
        "data.table.unnamed",
        {"train.csv": csv(names=["kind", *NAMES[1:]]), "test.csv": csv(names=["", *NAMES[1:]])},
        "write that name",
        {"train.csv": csv(names=["kind", *NAMES[1:]]), "test.csv": csv(names=["kind", *NAMES[1:]])},
    ),
    Case(
        "data.table.unnamed",
        {"train.csv": csv(names=["kind", *NAMES[1:]]), "test.csv": csv(names=["", *NAMES[1:]])},
        "or remove the column",
        {"train.csv": csv(names=["kind", *NAMES[1:]]), "test.csv": csv([row[1:] for row in ROWS], NAMES[1:])},
    ),
    Case(
        "data.table.no_train_rows",
        {"a.csv": csv([["test", *row] for row in ROWS], ["split", *NAMES])},
        "write train in the rows",
        {"a.csv": csv([["train", *row] for row in ROWS], ["split", *NAMES])},
        path="a.csv",
    ),
    Case(
        "data.table.no_train_rows",
        {"a.csv": csv([["test", *row] for row in ROWS], ["split", *NAMES])},
        "or remove the column",
        GOOD,
        path="a.csv",
    ),
    Case("data.table.empty", {"a.csv": csv([])}, "add rows", GOOD),
    Case(
        "data.table.columns",
        {"a.csv": csv([row[:-9] for row in ROWS], NAMES[:-9])},
        "label, pixel0 … pixel783",
        GOOD,
        path="a.csv",
    ),
    Case(
        "data.table.color",
        {"a.csv": csv([[row[0], *row[1:433]] for row in ROWS], None)},
        "use data.image=[3,12,12]",
        path="a.csv",
        fixed_settings=("data.image=[3,12,12]",),
    ),
    Case(
        "data.table.damaged",
        {"a.csv": csv([*ROWS, [*ROWS[0], "1", "2"]])},
        "write 785 values in each line",
        GOOD,
        path="a.csv",
    ),
    Case(
        "data.table.names",
        {"a.csv": csv([[row[0], *row] for row in ROWS], ["cls", "kind", *NAMES[1:]])},
        "set data.label_column=0",
        path="a.csv",
        fixed_settings=("data.label_column=0",),
    ),
    Case(
        "data.table.no_column",
        GOOD,
        "'label' to 'pixel783'",
        path="a.csv",
        settings=("data.label_column=kind",),
        fixed_settings=("data.label_column=label",),
    ),
    Case(
        "data.table.no_number",
        {"a.csv": csv(names=None)},
        "use a number from 0 to 784",
        path="a.csv",
        settings=("data.label_column=kind",),
        fixed_settings=("data.label_column=0",),
    ),
    Case(
        "data.table.no_label",
        {"a.csv": csv([row[1:] for row in ROWS], NAMES[1:])},
        "add a column named label",
        GOOD,
        path="a.csv",
    ),
    Case(
        "data.table.no_train",
        {"a_val.csv": csv(), "a_test.csv": csv()},
        "name one train.csv",
        {"train.csv": csv(), "a_test.csv": csv()},
    ),
    Case(
        "data.table.missing",
        {"a.csv": csv(changed(3, 9, ""))},
        "fill it in or delete the line",
        {"a.csv": csv([row for place, row in enumerate(ROWS) if place != 3])},
        path="a.csv",
    ),
    Case("data.table.value", {"a.csv": csv(changed(3, 9, "256"))}, "levels from 0 to 255", GOOD, path="a.csv"),
    Case("data.table.value", {"a.csv": csv(changed(3, 0, "1.5"))}, "write the class number", GOOD, path="a.csv"),
    Case(
        "data.table.value",
        {"a.csv": csv(changed(3, 0, "7"))},
        "set data.num_classes=8",
        path="a.csv",
        settings=("data.num_classes=3",),
        fixed_settings=("data.num_classes=8",),
    ),
    Case(
        "data.table.number",
        {"a.csv": csv(changed(3, 0, "5", WORDS))},
        "write a word",
        {"a.csv": csv(WORDS)},
        path="a.csv",
    ),
    Case(
        "data.table.encoding", {"a.csv": csv().decode().encode("utf-16")[:-1]}, "save it as UTF-8", GOOD, path="a.csv"
    ),
    Case(
        "data.table.gzip",
        {"a.csv.gz": gzip.compress(csv())[:-20]},
        "download the file again",
        {"a.csv.gz": gzip.compress(csv())},
        path="a.csv.gz",
    ),
    # Pictures
    Case("data.picture.none", DARK, "replace or remove it", {k: v for k, v in DARK.items() if k != "0/0.png"}),
    Case("data.picture.damaged", {**PICTURES, "0/0.png": PICTURES["0/0.png"][:200]}, "replace or remove it", PICTURES),
    Case(
        "data.picture.mode",
        {**PICTURES, "0/x.tif": LAB},
        "save it as RGB or gray",
        {**PICTURES, "0/x.tif": saved(Image.new("RGB", (28, 28)), "TIFF")},
    ),
    Case(
        "data.picture.levels",
        {**PICTURES, "0/x.tif": DEEP},
        "save it with 8 or 16 bits",
        {**PICTURES, "0/x.tif": saved(Image.fromarray(IMAGES[0]), "TIFF")},
    ),
    Case(
        "data.picture.mixed",
        {**PICTURES, "word/1.png": picture(IMAGES[0])},
        "rename",
        {**PICTURES, "2/1.png": picture(IMAGES[0])},
    ),
    Case(
        "data.picture.folders",
        {**{f"c{k}": v for k, v in PICTURES.items()}, "word/1.png": picture(IMAGES[0])},
        "use data.num_classes=3",
        settings=("data.num_classes=2",),
        fixed_settings=("data.num_classes=3",),
    ),
    Case(
        "data.picture.folders",
        {**{f"c{k}": v for k, v in PICTURES.items()}, "word/1.png": picture(IMAGES[0])},
        "omit it",
        settings=("data.num_classes=2",),
        fixed_settings=(),
    ),
    Case(
        "data.picture.pixels",
        {**PICTURES, "0/x.png": picture(np.tile(IMAGES[0], (2, 2)))},
        "scale it down",
        {**PICTURES, "0/x.png": picture(IMAGES[0])},
        limits=((decoding, "MAX_PIXELS", 784),),
    ),
    Case(
        "data.picture.bomb",
        {**PICTURES, "0/x.png": picture(np.zeros((400, 400), np.uint8))},
        "scale it down",
        {**PICTURES, "0/x.png": picture(np.zeros((28, 28), np.uint8))},
        limits=((decoding, "FREE_BYTES", 784 * 4),),
    ),
    Case(
        "data.picture.too_large",
        {**PICTURES, "0/x.png": picture(RANDOM.randint(0, 256, (99, 99)).astype(np.uint8))},
        "scale it down",
        PICTURES,
        limits=((decoding, "MAX_FILE", 2000),),
    ),
]


def attempt(path: Path, settings: tuple[str, ...]) -> None:
    given = {
        name.removeprefix("data."): yaml.safe_load(value)
        for name, _, value in (each.partition("=") for each in settings)
    }
    ImageDataModule(Local(), str(path), **{"split": "auto", "val_from": "auto", "batch_size": 1, **given}).setup("fit")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code.removeprefix('data.')}: {case.advice[:30]}")
def test_the_advice_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    for module, name, value in case.limits:
        monkeypatch.setattr(module, name, value)
    data = write(case.files, tmp_path / "data")
    with pytest.raises(InputError) as error:
        attempt(data / case.path, case.settings)
    assert error.value.code == case.code, error.value
    assert case.advice in str(error.value)
    if case.fixed is not None:
        shutil.rmtree(data)
        write(case.fixed, data)
    path = case.path if case.fixed_path is None else case.fixed_path
    attempt(data / path, case.settings if case.fixed_settings is None else case.fixed_settings)
