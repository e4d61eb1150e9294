"""Messages by code: the catalogs of all languages, and how values are put into a message."""

import pickle
import string
from pathlib import Path
from typing import Any

import pytest

from ziffern.errors import DivergedError, InputError
from ziffern.text import catalog as catalogs
from ziffern.text.catalog import Message, catalog, terminal_language
from ziffern.text.language import LANGUAGES


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
    catalog.cache_clear()
    yield
    catalog.cache_clear()


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


def placeholders(text: Any) -> set[str]:
    texts = [text] if isinstance(text, str) else list(text.values())
    return {name for each in texts for _, name, _, _ in string.Formatter().parse(each) if name is not None}


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_catalogs_have_the_same_messages_with_the_same_values(language: str) -> None:
    english, other = catalog("en"), catalog(language)
    assert english.keys() == other.keys()
    assert [key for key in english if placeholders(english[key]) != placeholders(other[key])] == []
