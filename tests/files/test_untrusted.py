"""Files that somebody else may have written: only regular ones, within their limit, and through no link."""

import os
from pathlib import Path

import pytest

from ziffern.errors import InputError
from ziffern.files.untrusted import open_below, read_bytes, read_text


def test_a_file_up_to_its_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_bytes(path, 10) == b"x" * 10
    with pytest.raises(InputError) as error:
        read_bytes(path, 9)
    assert (error.value.code, error.value.message.values["size"], error.value.message.values["limit"]) == (
        "files.too_large",
        10,
        9,
    )


def test_a_file_that_hides_its_size_is_read_to_its_limit_alone() -> None:
    with pytest.raises(InputError) as error:
        read_bytes(Path("/proc/self/status"), 10)
    assert error.value.code == "files.too_long"


def test_text_is_utf8(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(InputError) as error:
        read_text(tmp_path / "file", 10)
    assert error.value.code == "files.not_utf8"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError) as error:
        read_bytes(tmp_path / "pipe", 10)
    assert error.value.code == "files.not_regular"


@pytest.mark.parametrize("name", ["link", "folder/file"])
def test_no_link_below_a_folder_is_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").touch()
    (tmp_path / "link").symlink_to("there/file")
    (tmp_path / "folder").symlink_to("there")
    with pytest.raises(InputError) as error:
        open_below(tmp_path, name, 10)
    assert error.value.code == "files.link"
    open_below(tmp_path, "there/file", 10).close()
