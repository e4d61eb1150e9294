"""The file of names and passwords, and how passwords are checked."""

import asyncio
import base64
import io
import stat
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.support.people import HASHED, PEOPLE, basic

from ziffern.errors import InputError
from ziffern.web import logins as logins_module
from ziffern.web import people as people_module
from ziffern.web.logins import (
    BUCKETS,
    FIRST_DELAY,
    FORGOTTEN,
    FREE,
    MAX_ADDRESS_DELAY,
    MAX_NAME_DELAY,
    MAX_WAITING_OF_ONE,
    Failures,
    Logins,
)
from ziffern.web.people import add_person, hashed, read_people, verify
from ziffern.web.refused import RefusedError

# The file


def test_hash_holds_no_password_and_a_salt_of_its_own() -> None:
    first, second = hashed("correct horse"), hashed("correct horse")
    assert first != second
    assert first.startswith("scrypt$15$8$3$")
    assert "horse" not in first
    assert verify({"anna": first}, "anna", "correct horse")
    assert not verify({"anna": first}, "anna", "correct horsf")


def test_people_are_read(tmp_path: Path) -> None:
    path = tmp_path / "people"
    path.write_text("# who\n\n" + "".join(f"{name}:{line}\n" for name, line in HASHED.items()), encoding="utf-8-sig")
    assert read_people(path) == HASHED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no names"),
        ("# only\n", "no names"),
        ("anna", "line 1: the password of anna is not hashed: run ziffern studio --add-person anna"),
        ("anna:correct horse", "line 1: the password of anna is not hashed: run ziffern studio --add-person anna"),
        ("anna:CUT", "line 1: the password of anna is not hashed"),
        ("anna:scrypt$10$8$1$AAAA$AAAA", "line 1: the password of anna is not hashed"),
        ("anna:HASH\n../bert:battery staple", "line 2: a name consists of"),
        (":battery staple", "a name consists of"),
        ("a b:battery staple", "a name consists of"),
        ("x" * 41 + ":battery staple", "a name consists of"),
        ("anna:HASH\nAnna:HASH", "line 2: Anna is listed twice"),
        ("\x1b[2J:x", "a name consists of"),
    ],
)
def test_people_that_would_be_unsafe_are_refused(tmp_path: Path, text: str, words: str) -> None:
    text = text.replace("HASH", HASHED["anna"]).replace("CUT", HASHED["anna"][:-1])  # the salt differs each time
    (tmp_path / "people").write_text(text)
    with pytest.raises(InputError) as error:
        read_people(tmp_path / "people")
    assert words in str(error.value)
    assert not any(secret in str(error.value) for secret in ("battery", "horse", "\x1b"))


@pytest.mark.parametrize("content", [None, b"anna:gr\xf6\xdfer als acht"])
def test_people_that_cannot_be_read_are_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "people.txt"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"--people .* cannot be read"):
        read_people(path)


@pytest.mark.slow
def test_person_is_added_and_changed_and_what_else_is_in_the_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "people.txt"
    path.write_text(f"# who\nanna:in plain text\nbert:{HASHED['bert']}\n")
    path.chmod(0o644)
    monkeypatch.setattr(sys, "stdin", io.StringIO("größer als acht\n"))
    assert not add_person(path, "anna")
    monkeypatch.setattr(sys, "stdin", io.StringIO("another one\n"))
    assert add_person(path, "carl")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["people.txt"]
    assert path.read_text().startswith("# who\nanna:scrypt$")
    people = read_people(path)
    assert list(people) == ["anna", "bert", "carl"]
    assert verify(people, "anna", "größer als acht")
    assert verify(people, "bert", "battery staple")


def test_password_is_asked_twice_in_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    typed = ["correct horse", "correct house", "correct horse", "correct horse"]
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(people_module.getpass, "getpass", lambda _: typed.pop(0))
    with pytest.raises(InputError, match="the two passwords differ"):
        add_person(tmp_path / "people.txt", "anna")
    assert not (tmp_path / "people.txt").exists()
    assert add_person(tmp_path / "people.txt", "anna")


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [
        ("../x", "correct horse", "a name consists of up to 40"),
        ("anna", "short", "8 to 1024 printable characters"),
        ("anna", "", "8 to 1024 printable characters"),
        ("anna", "with\ta tab in", "8 to 1024 printable characters"),
        ("anna", "x" * 1025, "8 to 1024 printable characters"),
        ("BERT", "correct horse", "with different capitalization"),
    ],
)
def test_person_that_does_not_fit_leaves_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, password: str, words: str
) -> None:
    path = tmp_path / "people.txt"
    path.write_text(f"bert:{HASHED['bert']}\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
    with pytest.raises(InputError, match=words):
        add_person(path, name)
    assert path.read_text() == f"bert:{HASHED['bert']}\n"


def run_cli(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    from ziffern.cli.main import main

    monkeypatch.setattr(sys, "argv", ["ziffern", "studio", *arguments])
    main()


def test_refusal_of_a_plain_password_names_a_command_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "people.txt"
    path.write_text("anna:correct horse\n")
    with pytest.raises(SystemExit, match="2"):
        run_cli(monkeypatch, "--people", str(path), "--no-browser")
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    command = line.strip().rpartition("run ziffern studio ")[2].split()
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    run_cli(monkeypatch, *command)
    assert verify(read_people(path), "anna", "correct horse")


def test_adding_a_person_needs_a_file_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    for more, words in (
        ([], "--people FILE"),
        (["--people", str(tmp_path / "file/people.txt")], "cannot be written ("),
    ):
        with pytest.raises(SystemExit, match="2"):
            run_cli(monkeypatch, "--add-person", "anna", *more)
        assert words in capsys.readouterr().err


# Checking passwords


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Checked:
    """Stands in for scrypt, and counts."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, _: object, name: str, password: str) -> bool:
        assert threading.current_thread() is not threading.main_thread()  # the event loop goes on meanwhile
        self.names.append(name)
        return PEOPLE.get(name) == password


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Checked:
    found = Checked()
    monkeypatch.setattr(logins_module, "verify", found)
    return found


def logins(clock: Clock) -> Logins:
    found = Logins(HASHED, clock.sleep)
    found.failures = Failures(clock)
    return found


async def several(*waiting: Coroutine[Any, Any, Any]) -> list[Any]:
    return await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.mostly_slow(fast=8)
@pytest.mark.parametrize(
    ("given", "who"),
    [
        (basic("anna", "correct horse"), "anna"),
        (basic("anna", "correct horse").replace("Basic", "bAsIc"), "anna"),
        (basic("anna", "battery staple"), None),
        (basic("anna", ""), None),
        (basic("carl", ""), None),
        (basic("", ""), None),
        (basic("../bert", "battery staple"), None),
        (basic("anna", HASHED["anna"]), None),
        ("Basic %%%", None),
        ("Basic ä", None),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), None),
        ("Bearer x", None),
        ("Basic", None),
        ("", None),
    ],
)
def test_a_person_is_who_knows_the_password(clock: Clock, given: str, who: str | None) -> None:
    person, proof = asyncio.run(logins(clock).person(given, "", "192.0.2.1"))
    assert person == who
    assert bool(proof) == bool(who)


@pytest.mark.slow
def test_unknown_name_costs_as_much_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[dict[str, Any]] = []
    scrypt = people_module.hashlib.scrypt

    def noted(password: bytes, **how: Any) -> bytes:
        costs.append({name: value for name, value in how.items() if name != "salt"} | {"salt": len(how["salt"])})
        return scrypt(password, **how)

    monkeypatch.setattr(people_module.hashlib, "scrypt", noted)
    for name in ("anna", "carl", ""):
        assert not verify(HASHED, name, "wrong password")
    assert costs == [costs[0]] * 3
    assert costs[0]["n"] * costs[0]["r"] * costs[0]["p"] >= 2**15 * 8 * 3


def test_failed_guesses_wait_longer_and_longer(clock: Clock, checked: Checked) -> None:
    who = logins(clock)

    async def guess() -> None:
        for place in range(FREE + 12):
            assert await who.person(basic("anna", f"guess {place}"), "", "192.0.2.1") == (None, "")

    asyncio.run(guess())
    assert len(checked.names) == FREE + 12
    assert clock.slept[:4] == [FIRST_DELAY * 2**place for place in range(4)]
    assert clock.slept[-1] == MAX_ADDRESS_DELAY
    assert clock.slept == sorted(clock.slept)


def test_guesses_at_many_names_from_one_address_wait_too(clock: Clock, checked: Checked) -> None:
    who = logins(clock)

    async def guess() -> None:
        for place in range(FREE + 9):
            await who.person(basic(f"name{place}", "guess"), "", f"2001:db8::{place}")

    asyncio.run(guess())
    assert clock.slept[-1] == MAX_ADDRESS_DELAY


def test_guesses_from_many_addresses_at_one_name_wait_too_but_lock_nobody_out(clock: Clock, checked: Checked) -> None:
    who = logins(clock)

    async def guess() -> tuple[str | None, str]:
        for place in range(200):
            await who.person(basic("anna", "guess"), "", f"192.0.2.{place}")
        clock.slept.clear()
        return await who.person(basic("anna", PEOPLE["anna"]), "", "198.51.100.1")

    assert asyncio.run(guess())[0] == "anna"
    assert clock.slept == [MAX_NAME_DELAY]


def test_unknown_name_waits_as_a_known_one(clock: Clock, checked: Checked) -> None:
    slept = []
    for name in ("anna", "carl"):
        who = logins(clock)

        async def guess(who: Logins = who, name: str = name) -> None:
            for place in range(8):
                await who.person(basic(name, "guess"), "", f"192.0.2.{place}")

        clock.slept.clear()
        asyncio.run(guess())
        slept.append(list(clock.slept))
    assert slept[0] == slept[1] != []


def test_whoever_has_the_cookie_pays_and_waits_no_more(clock: Clock, checked: Checked) -> None:
    who, right = logins(clock), basic("anna", PEOPLE["anna"])

    async def come() -> None:
        _, proof = await who.person(right, "", "192.0.2.1")
        for place in range(20):
            await who.person(basic("anna", f"guess {place}"), "", "192.0.2.1")
        before = len(checked.names), len(clock.slept)
        assert await who.person(right, proof, "192.0.2.1") == ("anna", proof)
        assert before == (len(checked.names), len(clock.slept))
        assert await who.person(basic("anna", "guess"), proof, "192.0.2.1") == (None, "")  # the cookie is no password
        assert await who.person(basic("bert", PEOPLE["anna"]), proof, "192.0.2.1") == (None, "")
        assert len(checked.names) == before[0] + 2

    asyncio.run(come())


def test_cookie_of_another_server_is_worth_nothing(clock: Clock, checked: Checked) -> None:
    right = basic("anna", PEOPLE["anna"])

    async def come() -> None:
        _, proof = await logins(clock).person(right, "", "192.0.2.1")
        await logins(clock).person(right, proof, "192.0.2.1")

    asyncio.run(come())
    assert checked.names == ["anna", "anna"]


def test_requests_that_a_browser_sends_at_once_are_checked_once(clock: Clock, checked: Checked) -> None:
    who, right = logins(clock), basic("anna", PEOPLE["anna"])

    async def come() -> list[Any]:
        return await several(*(who.person(right, "", "192.0.2.1") for _ in range(30)))

    assert {person for person, _ in asyncio.run(come())} == {"anna"}
    assert checked.names == ["anna"]
    assert clock.slept == []


def test_guesses_at_once_are_refused_beyond_some_and_leave_nothing_behind(clock: Clock, checked: Checked) -> None:
    who = logins(clock)

    async def come() -> list[Any]:
        return await several(*(who.person(basic("anna", f"guess {n}"), "", "192.0.2.1") for n in range(500)))

    answers = asyncio.run(come())
    refused = [answer for answer in answers if isinstance(answer, RefusedError)]
    assert [answer.status for answer in refused] == [429] * (500 - MAX_WAITING_OF_ONE)
    assert len(checked.names) == MAX_WAITING_OF_ONE
    assert who._waiting == {}


def test_memory_is_bounded_and_failures_are_forgotten(clock: Clock) -> None:
    failures = Failures(clock)
    for place in range(3 * BUCKETS):
        failures.change(f"name {place}", 1)
    assert len(failures._counts) <= BUCKETS
    for _ in range(20):
        failures.change("name anna", 1)
    assert failures.delay("name anna", 4.0) == 4.0
    clock.now += FORGOTTEN
    assert failures.delay("name anna", 4.0) == 0


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("unknown", "other", False),
    ],
)
def test_addresses_of_one_household_are_one(one: str, other: str, is_same: bool) -> None:
    network: Callable[[str], str] = logins_module._network
    assert (network(one) == network(other)) == is_same
