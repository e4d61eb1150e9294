"""The file of decisions: what stands, and files that cannot be used."""

import io
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from make_batch import make_batch
from ziffern.errors import InputError
from ziffern.reading.decisions import FILE, Decision, Decisions, Kind, Standing, decided
from ziffern.reading.folder import load_reading

KEY = 0, "number_1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_batch(folder, pages=1, fields=2)
    return folder


@pytest.fixture
def batch(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "batch"))


def entry(person: str, value: str = "", kind: Kind = "value", settles: int = 0) -> Decision:
    return Decision(1.0, person, *KEY, kind, value, 0.5, settles)


def standing(double: bool, *entries: Decision) -> Standing:
    found = Standing(double)
    for each in entries:
        found.add(each)
    return found


@pytest.mark.parametrize(
    ("double", "entries", "state", "value"),
    [
        (False, [], "open", None),
        (False, [entry("a", "1")], "done", "1"),
        (False, [entry("a", "1"), entry("a", "2")], "done", "2"),
        (False, [entry("a", "1"), entry("a", kind="undo")], "open", None),
        (False, [entry("a", "1"), entry("b", kind="undo")], "done", "1"),
        (False, [entry("a", kind="later")], "open", None),
        (False, [entry("a", "1"), entry("b", "2")], "disputed", None),
        (True, [entry("a", "1")], "half", None),
        (True, [entry("a", "1"), entry("a", "1")], "half", None),
        (True, [entry("a", "1"), entry("b", "1")], "done", "1"),
        (True, [entry("a", "1"), entry("b", kind="empty")], "disputed", None),
        (True, [entry("a", "1"), entry("b", "2"), entry("c", "2", settles=1)], "done", "2"),
        (
            True,
            [entry("a", "1"), entry("b", "2"), entry("a", "2", settles=1), entry("a", kind="undo")],
            "disputed",
            None,
        ),
    ],
)
def test_what_stands(double: bool, entries: list[Decision], state: str, value: str | None) -> None:
    found = standing(double, *entries)
    final = found.final(KEY)
    assert (found.state(KEY), final and final.value) == (state, value)


def test_entries_are_read_again_and_two_people_stay_needed(batch: Path) -> None:
    reading = load_reading(batch)
    assert decided(batch, reading).of_person == {}
    assert not (batch / FILE).exists()
    for double in (False, True, False):
        with closing(Decisions(batch, reading, double)) as decisions:
            decisions.append(entry("anna", "12345"))
    found = decided(batch, reading)
    assert found.needed == 2
    assert [each.value for each in found.of_field[KEY]] == ["12345"] * 3


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = os.urandom(4096)
    path.write_bytes(content)


def change(*statements: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return run


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


INSERT = "INSERT INTO decisions VALUES (NULL, 1, 'a', {}, 'value', {}, 1, {})"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: path.write_bytes(b"SQLite format 3\0" + b"x" * 5000), "damaged"),
        (lambda path: path.write_bytes(b"no database"), "damaged"),
        (damage, "damaged"),
        (linked, "symbolic link"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "regular"),
        (change("CREATE TRIGGER t AFTER INSERT ON decisions BEGIN DELETE FROM decisions; END"), "move it away"),
        (change("ALTER TABLE decisions ADD COLUMN more TEXT"), "move it away"),
        (change("DROP TABLE decisions", "CREATE VIEW decisions AS SELECT 1"), "move it away"),
        (change("PRAGMA application_id=0"), "move it away"),
        (change("PRAGMA user_version=12"), "another reading"),
        (change(INSERT.format("7, 'number_1'", "'1'", 0)), "another reading"),
        (change(INSERT.format("0, 'nothing'", "'1'", 0)), "another reading"),
        (change(INSERT.format("0, 'number_1'", "'\x1b[2J'", 0)), "damaged"),
        (change(INSERT.format("0, 'number_1'", "'" + "9" * 2501 + "'", 0)), "damaged"),
        (change(INSERT.format("0, 'number_1'", "'" + "9" * 10**6 + "'", 0)), "damaged"),
        (change(INSERT.format("0, 'number_1'", "'1'", 2)), "damaged"),
        (change(INSERT.format("-1, 'number_1'", "'1'", 0)), "damaged"),
    ],
)
def test_file_that_is_foreign_or_damaged_is_refused_in_one_line(
    batch: Path, harm: Callable[[Path], None], words: str
) -> None:
    reading = load_reading(batch)
    with closing(Decisions(batch, reading)) as decisions:
        decisions.append(entry("anna", "12345"))
    harm(batch / FILE)
    for use in (lambda: Decisions(batch, reading), lambda: decided(batch, reading)):
        with pytest.raises(InputError, match=words) as error:
            use()
        assert str(error.value).isprintable()


def test_decisions_about_another_reading_are_refused(batch: Path) -> None:
    Decisions(batch, load_reading(batch)).close()
    plain = (batch / "reading.json").read_text()
    (batch / "reading.json").write_text(plain.replace("2026-11-29", "2026-11-30"))
    with pytest.raises(InputError, match="another reading"):
        Decisions(batch, load_reading(batch))


def test_a_disk_on_which_nothing_can_be_written_is_named(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (batch / FILE).mkdir()  # cannot be opened, like a file in a folder that may only be read
    monkeypatch.setattr("ziffern.reading.decisions.open_regular", lambda *_: io.BytesIO())
    with pytest.raises(InputError) as caught:
        Decisions(batch, load_reading(batch))
    assert caught.value.code == "reading.decisions.unwritable"
    assert "unable to open database file" in str(caught.value)
