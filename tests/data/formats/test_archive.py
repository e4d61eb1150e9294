"""ZIP archives and folders: the same view of both, and a refusal of everything that could do harm."""

import io
import stat
import struct
import warnings
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.data.formats import members as archive
from ziffern.data.formats.folders import folder_members
from ziffern.data.formats.members import Member, open_zip, refuse_bomb, refuse_nested
from ziffern.errors import InputError

FILES = {"train/0/a.png": b"first", "train/1/b.png": b"second" * 50, "readme.md": b"text"}
IGNORED = {
    "__MACOSX/train/0/._a.png": b"x",
    "train/.DS_Store": b"x",
    "train/Thumbs.db": b"x",
    "desktop.ini": b"x",
}


def pack(files, method=zipfile.ZIP_DEFLATED):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names, meant
        for name, content in files:
            target.writestr(name, content)
    return raw.getvalue()


def entry(name, mode=0o644):
    info = zipfile.ZipInfo("x")
    info.filename = name  # past the constructor, which would clean it
    info.external_attr = mode << 16
    return info


def read_all(path):
    with open_zip(path) as found:
        return {name: found[name].read() for name in found}


def message(path):
    with pytest.raises(InputError) as error:
        read_all(path)
    assert str(error.value).isprintable()
    return str(error.value)


def test_zip_and_folder_give_the_same_files(tmp_path):
    (tmp_path / "a.zip").write_bytes(pack((FILES | IGNORED).items()))
    for name, content in (FILES | IGNORED).items():
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).write_bytes(content)
    folder = folder_members(tmp_path / "a")
    assert {name: member.read() for name, member in folder.items()} == FILES == read_all(tmp_path / "a.zip")
    assert {name: member.size for name, member in folder.items()} == {k: len(v) for k, v in FILES.items()}


@pytest.mark.parametrize(
    ("info", "word"),
    [
        (entry("../evil"), "leads out"),
        (entry("train/../../evil"), "leads out"),
        (entry("/etc/passwd"), "leads out"),
        (entry("C:/evil"), "leads out"),
        (entry("train\\..\\evil"), "leads out"),
        (entry("a\0b"), "leads out"),
        (entry("train/link", stat.S_IFLNK | 0o777), "symbolic link"),
        (entry("train/pipe", stat.S_IFIFO | 0o644), "device or pipe"),
    ],
)
def test_dangerous_member_is_refused(tmp_path, info, word):
    path = tmp_path / "evil.zip"
    path.write_bytes(pack([*FILES.items(), (info, b"x")]))
    assert word in message(path)
    assert "evil.zip" in message(path)


def test_duplicate_encrypted_and_rarely_packed_members_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(pack([("a", b"1"), ("a", b"2")]))
    assert "twice" in message(path)
    path.write_bytes(pack(FILES.items(), zipfile.ZIP_LZMA))
    assert "method 14" in message(path)
    raw = bytearray(pack([("a", b"1")]))
    raw[raw.index(b"PK\1\2") + 8] |= 1  # the directory's flag for encryption
    path.write_bytes(raw)
    assert "encrypted" in message(path)


@pytest.mark.parametrize(
    ("declared", "packed", "word"), [(2**32 + 1, 2**32, "4,294,967,296"), (10**8 + 1, 10**6, "bomb")]
)
def test_bomb_is_refused(declared, packed, word):
    with pytest.raises(InputError, match=word):
        refuse_bomb(declared, packed, "a.zip")
    refuse_bomb(10**8, 1, "a.zip")
    refuse_bomb(10**9, 10**7, "a.zip")


def test_declared_size_is_judged_before_unpacking(tmp_path):
    raw = bytearray(pack([("a", b"1" * 100)]))
    raw[(at := raw.index(b"PK\1\2") + 24) : at + 4] = struct.pack("<I", 2**31)
    (tmp_path / "a.zip").write_bytes(raw)
    assert "bomb" in message(tmp_path / "a.zip")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    (tmp_path / "a.zip").write_bytes(pack(FILES.items()))
    assert "3 entries" in message(tmp_path / "a.zip")


def test_damage_is_named(tmp_path):
    raw, path = pack([("a.png", b"content")], zipfile.ZIP_STORED), tmp_path / "a.zip"
    path.write_bytes(raw.replace(b"content", b"c0ntent"))
    assert all(word in message(path) for word in ("a.zip:a.png", "CRC", "again"))
    for content in (b"", raw[:-1], b"no zip"):
        path.write_bytes(content)
        assert "not a ZIP file, or damaged" in message(path)


def test_archive_among_the_members_is_refused():
    with pytest.raises(InputError, match=r"inner\.ZIP: an archive inside"):
        refuse_nested({"train/0/inner.ZIP": Member("inner.ZIP", 0, bytes)})


def test_name_is_shown_on_one_line(tmp_path):
    (tmp_path / "a.zip").write_bytes(pack([("bad\nname/../..", b"")]))
    assert "bad\\nname" in message(tmp_path / "a.zip")


@pytest.fixture(scope="module")
def fuzz_path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "fuzz.zip"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_bytes_load_or_raise_input_error(fuzz_path, data):
    raw = bytearray(pack(FILES.items()))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[place] ^= data.draw(st.integers(0, 255))
    fuzz_path.write_bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw), len(raw) // 2, 30]))])
    message = ""
    try:
        read_all(fuzz_path)
    except InputError as error:
        message = str(error)
    assert message.isprintable()


@pytest.mark.parametrize("name", ["-" * 256 + ".png", "a/" * 2048 + "b.png"])
def test_long_names_are_refused(tmp_path, name):
    path = tmp_path / "long.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr(name, b"")
    assert "shorten it" in message(path)


def test_only_empty_folders_are_members(tmp_path):
    path = tmp_path / "folders.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name in ("a/", "a/b/", "a/b/c.png", "d/", "e/", "e/f/"):
            target.writestr(name, b"")
    with open_zip(path) as found:
        assert list(found) == ["a/b/c.png", "d/", "e/f/"]
