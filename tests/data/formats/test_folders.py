"""Folders on disk: links, limits, and files that the operating system refuses to read."""

import os

import pytest

from ziffern.data.formats import folders
from ziffern.data.formats.folders import folder_members
from ziffern.data.sources.local import read_local
from ziffern.errors import InputError
from ziffern.text.printable import one_line


def refusal(call, *args):
    with pytest.raises(InputError) as error:
        call(*args)
    assert str(error.value).isprintable()
    return str(error.value)


def test_a_search_without_data_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_EMPTY", 3)
    for path in ("a/b/c", "d/e"):
        (tmp_path / path).mkdir(parents=True)
    assert "no data in 4 folders" in refusal(folder_members, tmp_path)


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(folder_members(tmp_path)) < 10


def test_a_name_is_the_same_however_it_is_written(tmp_path):
    (tmp_path / "u\u0308").mkdir()
    (tmp_path / "u\u0308" / "a.png").touch()
    assert list(folder_members(tmp_path)) == ["\u00fc/a.png"]


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_FILES", 2)
    for name in "abc":
        (tmp_path / name).touch()
    assert "more than 2 files" in refusal(folder_members, tmp_path)


def test_too_large_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_BYTES", 2)
    (tmp_path / "a.csv").write_bytes(b"123")
    assert "a.csv: 3 bytes, but at most 2 are read" in refusal(read_local, tmp_path / "a.csv")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_unreadable_file_and_folder_are_named(tmp_path, monkeypatch, error):
    for name in ("a.zip", "a.csv", "a.npz"):
        (tmp_path / name).touch()

    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(folders, "read_bytes", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr("ziffern.data.formats.members.open_regular", refuse)
    for path in (tmp_path, tmp_path / "a.zip", tmp_path / "a.csv", tmp_path / "a.npz"):
        message = refusal(read_local, path)
        assert message.startswith(f"{path}: cannot be read ({error.strerror}): ")
        assert ("chmod" in message) == isinstance(error, PermissionError)


@pytest.mark.parametrize("inner", ["", "train", "train/0", "train/0/0.png"])
def test_locked_path_is_named(tmp_path, inner):
    (tmp_path / "train" / "0").mkdir(parents=True)
    (tmp_path / "train" / "0" / "0.png").touch()
    locked = tmp_path / inner
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read everything")
    message = refusal(read_local, tmp_path)
    locked.chmod(0o700)
    assert message.startswith(f"{locked}: cannot be read")
    assert "chmod" in message


def test_links_are_followed_but_not_forever(tmp_path):
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "train" / "0").mkdir(parents=True)
    (tmp_path / "train" / "0" / "good").symlink_to(tmp_path / "real")
    (tmp_path / "train" / "0" / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "train" / "loop").symlink_to(tmp_path)
    entries = folder_members(tmp_path)
    assert entries["train/0/good"].read() == b"1"
    with pytest.raises(InputError, match="broken: cannot be read"):
        entries["train/0/broken"].read()


def test_text_is_shown_on_one_line():
    assert one_line("a\nb\x1b[31m\udc80") == "a\\nb\\x1b[31m\\udc80"
    assert len(one_line("x" * 10**6)) < 400


def test_a_link_to_a_folder_that_contains_it_repeats_no_file(tmp_path):
    (tmp_path / "0" / "up").mkdir(parents=True)
    (tmp_path / "0" / "a.png").touch()
    (tmp_path / "0" / "up" / "loop").symlink_to(tmp_path)
    (tmp_path / "0" / "link").symlink_to(tmp_path / "0" / "up")
    assert [path for path in folder_members(tmp_path) if path.endswith(".png")] == ["0/a.png"]


def test_two_names_that_differ_only_in_unicode_are_refused(tmp_path):
    for name in ("u\u0308", "\u00fc"):
        (tmp_path / f"{name}.png").touch()
    assert "rename one of them" in refusal(folder_members, tmp_path)
