"""A data set of five digits, in every form that `read_local` accepts."""

import io
import struct
import zipfile

import numpy as np
from PIL import Image

IMAGES = np.arange(5 * 784).astype(np.uint8).reshape(5, 28, 28)
LABELS = np.array([0, 2, 9, 1, 9])  # sorted within each part, so that picture folders keep the order
TRAIN = 3


def table(part, labels=True):
    rows = np.column_stack([LABELS, IMAGES.reshape(5, 784)])[part, 0 if labels else 1 :]
    header = ["label"] * labels + [f"pixel{i}" for i in range(784)]
    return "\n".join(",".join(map(str, row)) for row in [header, *rows.tolist()]).encode()


def picture(pixels):
    raw = io.BytesIO()
    Image.fromarray(pixels).save(raw, "PNG")
    return raw.getvalue()


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


FIRST, LAST = slice(0, TRAIN), slice(TRAIN, None)
CSV = {"mnist_train.csv": table(FIRST), "mnist_test.csv": table(LAST)}
KAGGLE = {
    "train.csv": table(FIRST),
    "test.csv": table(LAST, labels=False),
    "sample_submission.csv": b"ImageId,Label",
}
PICTURES = {f"{'train' if i < TRAIN else 'test'}/{LABELS[i]}/{i}.png": picture(IMAGES[i]) for i in range(5)}
IDX = {
    f"{part}-{kind}-idx{array.ndim}-ubyte": idx(array[rows])
    for part, rows in (("train", FIRST), ("t10k", LAST))
    for kind, array in (("images", IMAGES), ("labels", LABELS))
}


def write(files, path, wrapper=""):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as target:
            for name, content in files.items():
                target.writestr(wrapper + name, content)
        return path
    for name, content in files.items():
        (path / wrapper / name).parent.mkdir(parents=True, exist_ok=True)
        (path / wrapper / name).write_bytes(content)
    return path
