"""Files of CIFAR-10 as its authors wrote them, with Python 2's cPickle (protocol 2) and numpy."""

import struct
from pathlib import Path
from typing import Any

import numpy as np


def python2_pickle(node: Any) -> bytes:
    """Return the pickle that Python 2 made of dicts, lists, text, whole numbers and arrays of bytes."""
    return b"\x80\x02" + _opcodes(node) + b"."


def _opcodes(node: Any) -> bytes:
    if isinstance(node, bytes):
        return b"U" + bytes([len(node)]) + node if len(node) < 256 else b"T" + struct.pack("<i", len(node)) + node
    if isinstance(node, int):
        return b"J" + struct.pack("<i", node) if not 0 <= node < 65536 else b"M" + struct.pack("<H", node)
    if isinstance(node, list):
        return b"](" + b"".join(map(_opcodes, node)) + b"e"
    if isinstance(node, dict):
        return b"}(" + b"".join(_opcodes(key) + _opcodes(value) for key, value in node.items()) + b"u"
    assert isinstance(node, np.ndarray)
    assert node.dtype == np.uint8
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(map(_opcodes, node.shape)) + b"t"
    return empty + b"(K\x01" + shape + dtype + b"\x89" + _opcodes(node.tobytes()) + b"tb"


def write_cifar10(folder: Path, per_batch: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Write a tiny CIFAR-10, whose color tells the class; return its images (N, 3, 32, 32) and labels (N,)."""
    random = np.random.RandomState(seed)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    labels = np.tile(np.arange(10), len(names) * per_batch // 10)
    images = random.randint(0, 60, (len(labels), 3, 32, 32)).astype(np.uint8)
    images[np.arange(len(labels)), labels % 3, labels * 3] = 220
    inner = folder / "cifar-10-batches-py"
    inner.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(names):
        part = slice(place * per_batch, (place + 1) * per_batch)
        content = {b"data": images[part].reshape(-1, 3072), b"labels": labels[part].tolist()}
        (inner / name).write_bytes(python2_pickle({b"batch_label": name.encode(), **content}))
    classes = b"airplane automobile bird cat deer dog frog horse ship truck".split()
    (inner / "batches.meta").write_bytes(python2_pickle({b"label_names": classes, b"num_vis": 3072}))
    return images, labels
