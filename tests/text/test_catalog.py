"""Messages by code: the catalogs of all languages, and how values are put into a message."""

import errno
import os
import pickle
import re
import string
from pathlib import Path
from typing import Any

import pytest
from babel import Locale

import ziffern
from ziffern.errors import DivergedError, InputError
from ziffern.text import catalog as catalogs
from ziffern.text.catalog import CATALOGS, Message, os_reason
from ziffern.text.language import LANGUAGES, catalog, terminal_language

ROOT = Path(ziffern.__file__).parent
FOLDERS = sorted(path.parent for path in ROOT.rglob("en.yaml"))


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small catalogs."""
    english = """
sizes: {small: "{path}: {size} is too small: use data.size={limit}", seen: "{count:n} seen"}
files: {left: {one: "{count} file is left", other: "{count:n} files are left"}, nested: "{why}: {names}"}
"""
    german = """
sizes: {small: "{path}: {size} ist zu klein: data.size={limit} nehmen", seen: "{count:n} gesehen"}
files: {left: {one: "{count} Datei bleibt", other: "{count:n} Dateien bleiben"}, nested: "{why}: {names}"}
"""
    for code, text in (("en", english), ("de", german)):
        (tmp_path / f"{code}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(catalogs, "CATALOGS", tmp_path)


@pytest.mark.usefixtures("texts")
def test_a_message_is_put_together_in_each_language() -> None:
    error = InputError("sizes.small", path=Path("a b"), size=5, limit=1000)
    assert str(error) == "a b: 5 is too small: use data.size=1000"
    assert error.message.in_language("de") == "a b: 5 ist zu klein: data.size=1000 nehmen"
    assert error.code == "sizes.small"


@pytest.mark.usefixtures("texts")
def test_the_terminal_has_a_language() -> None:
    token = terminal_language.set("de")
    try:
        assert str(InputError("sizes.seen", count=12345)) == "12.345 gesehen"
    finally:
        terminal_language.reset(token)
    assert str(InputError("sizes.seen", count=12345)) == "12,345 seen"


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize(("count", "shown"), [(1, "1 Datei bleibt"), (0, "0 Dateien bleiben"), (2000, "2.000 Dateien")])
def test_plural_forms(count: int, shown: str) -> None:
    assert Message("files.left", count=count).in_language("de").startswith(shown)


@pytest.mark.usefixtures("texts")
def test_messages_lists_and_errors_as_values() -> None:
    why = InputError("sizes.seen", count=7)
    assert Message("files.nested", why=why, names=["a", Path("b")]).in_language("de") == "7 gesehen: a, b"


@pytest.mark.usefixtures("texts")
def test_foreign_text_is_made_printable() -> None:
    shown = str(Message("files.nested", why="\x1b[31mred\n", names="x" * 1000))
    assert shown.isprintable()
    assert len(shown) < 400


@pytest.mark.usefixtures("texts")
def test_an_error_can_be_sent_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(DivergedError("sizes.seen", count=7)))
    assert (type(error), str(error)) == (DivergedError, "7 seen")


def test_an_unknown_code_is_a_bug_of_ours() -> None:
    with pytest.raises(LookupError, match=r"no\.such"):
        str(Message("no.such"))


def forms(text: Any) -> dict[str, str]:
    return {"other": text} if isinstance(text, str) else text


def placeholders(text: Any) -> set[str | None]:
    return {name for each in forms(text).values() for _, name, _, _ in string.Formatter().parse(each)} - {None}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_languages_have_the_same_texts_with_the_same_values(folder: Path, language: str) -> None:
    english, other = catalog(folder / "en.yaml"), catalog(folder / f"{language}.yaml")
    assert english.keys() == other.keys()
    assert [key for key in english if placeholders(english[key]) != placeholders(other[key])] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_have_the_plural_forms_of_their_language(folder: Path, language: str) -> None:
    tags = {*Locale(language).plural_form.tags, "other"}
    texts = catalog(folder / f"{language}.yaml").values()
    assert [text for text in texts if not isinstance(text, str) and text.keys() != tags] == []


def test_every_code_has_a_message_and_every_message_is_used() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py"))
    known = {key for key in catalog(CATALOGS / "en.yaml") if not key.startswith("files.system.")}
    raised = set(re.findall(r'\b(?:InputError|DivergedError|Message)\(\s*"([^"]*)"', source))
    assert raised <= known
    built = tuple(re.findall(r'f"([a-z0-9_]+\.[a-z0-9_.]+)\{', source))  # the beginnings of composed codes
    assert {key for key in known if f'"{key}"' not in source and not key.startswith(built)} == set()


def test_reasons_of_the_operating_system_are_those_of_linux_in_english() -> None:
    reasons = {key: text for key, text in catalog(CATALOGS / "en.yaml").items() if key.startswith("files.system.")}
    assert len(reasons) >= 15
    assert reasons == {key: os.strerror(getattr(errno, key.removeprefix("files.system."))) for key in reasons}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EACCES, errno.ENOENT])
def test_an_error_of_the_operating_system_is_translated_without_its_path(number: int) -> None:
    error = OSError(number, os.strerror(number), "/home/somebody")
    assert str(os_reason(error)) == os.strerror(number)
    assert os_reason(error).in_language("de") not in ("", os.strerror(number))
    assert "somebody" not in Message("search.storage.unreadable", storage="x", why=error).in_language("de")


def test_a_rare_error_of_the_operating_system_keeps_its_words() -> None:
    assert os_reason(OSError(errno.EXDEV, "Invalid cross-device link")) == "Invalid cross-device link"
    assert os_reason(OSError("only text")) == "only text"
    assert os_reason(ConnectionError()) == "ConnectionError"


def test_an_exception_as_a_value_is_one_line() -> None:
    shown = Message("search.storage.unreadable", storage="x", why=ValueError("a\nb\x1b")).in_language("en")
    assert "a b\\x1b" in shown
