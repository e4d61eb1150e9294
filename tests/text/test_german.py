"""German pages: no message that they can show has English left in it."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests.support.data_files import write

from ziffern.data.sources.local import read_local
from ziffern.data.sources.source import Torchvision
from ziffern.errors import InputError, OutputError
from ziffern.experiment.failure import describe
from ziffern.studio.views import Words

FILES = [f"MNIST/raw/{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
ENGLISH = re.compile(r"\b(the|and|not|is|of|with|give|cannot)\b")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr("ziffern.data.sources.source.download", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("file", ["", "train-images-idx3-ubyte"])
@pytest.mark.parametrize("fallback", [True, False])
def test_data_that_cannot_be_loaded(tmp_path: Path, file: str, fallback: bool) -> None:
    if file:
        write({f"MNIST/raw/{file}": b"x"}, tmp_path)
    try:
        message: Any = Torchvision("mnist", "MNIST", FILES, fallback=fallback).load(tmp_path, 10).note
    except InputError as error:
        message = error
    shown = Words("de").text(message)
    assert str(tmp_path) in shown
    assert not ENGLISH.search(shown.replace(str(tmp_path), ""))


@pytest.mark.parametrize("files", [None, {"a.txt": ""}, {"3/a.png": "no picture"}, {"train.csv": "label,x\n1,2\n"}])
def test_a_bad_upload(tmp_path: Path, files: dict[str, Any] | None) -> None:
    broken = tmp_path / "digits.zip"
    if files is None:
        broken.write_bytes(b"no archive")
    else:
        write(files, broken)
    with pytest.raises(InputError) as error:
        read_local(broken)
    shown = Words("de").text(error.value)
    assert "digits.zip" in shown
    assert not ENGLISH.search(shown.replace(str(broken), ""))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EACCES])
def test_a_file_that_fails(number: int) -> None:
    for kind in (OSError, OutputError):
        shown = Words("de").text(describe(kind(number, os.strerror(number), "a/b"), "hydra.run.dir=FOLDER"))
        assert "a/b" in shown
        assert os.strerror(number) not in shown


def test_a_full_disk_is_told_without_a_path() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/somebody/outputs")
    assert Words("de").text(error) == "Das hat nicht funktioniert: Die Platte ist voll"
    assert Words("en").text(error) == "That did not work: No space left on device"
