"""CIFAR's pickled batches: read as Python 2 wrote them, and nothing in them is ever called."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.support.cifar import python2_pickle

from ziffern.data.formats.cifar import read_cifar, read_cifar_names

IMAGES = np.random.RandomState(0).randint(0, 256, (4, 3, 32, 32)).astype(np.uint8)


def batch(key: bytes = b"labels", images: np.ndarray = IMAGES) -> bytes:
    labels = list(range(len(images)))
    return python2_pickle({b"data": images.reshape(-1, 3072), key: labels, b"filenames": [b"a.png"] * len(labels)})


@pytest.mark.parametrize("key", [b"labels", b"fine_labels"])
def test_batches_come_one_after_the_other(tmp_path: Path, key: bytes) -> None:
    (tmp_path / "one").write_bytes(batch(key, IMAGES[:3]))
    (tmp_path / "two").write_bytes(batch(key, IMAGES[3:]))
    part = read_cifar(tmp_path, ["one", "two"])
    np.testing.assert_array_equal(part.images, IMAGES)
    assert (part.labels.tolist(), part.labels.dtype) == ([0, 1, 2, 0], np.int64)


def test_names_come_from_the_meta_file(tmp_path: Path) -> None:
    (tmp_path / "meta").write_bytes(python2_pickle({b"label_names": [b"airplane", b"frog"], b"num_vis": 3072}))
    assert read_cifar_names(tmp_path / "meta", "label_names") == ("airplane", "frog")


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trapped"),))


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_nothing_in_a_pickle_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").write_bytes(pickle.dumps({b"data": Trap(), b"labels": []}, protocol))
    with pytest.raises(ValueError, match="pickled objects"):
        read_cifar(tmp_path, ["one"])
    assert not Path("trapped").exists()


def test_large_numbers_of_a_memo_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")  # LONG_BINPUT 2**31 - 1
    with pytest.raises(ValueError, match="unpack"):
        read_cifar(tmp_path, ["one"])


@pytest.mark.parametrize("change", [(b"M\x00\x0c", b"M\x01\x0c"), (b"u1", b"O8"), (b"T", b"U")])
def test_arrays_that_do_not_fit_their_header_are_refused(tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    (tmp_path / "one").write_bytes(batch().replace(*change))
    with pytest.raises(Exception, match=r".") as error:
        read_cifar(tmp_path, ["one"])
    assert not isinstance(error.value, MemoryError)
