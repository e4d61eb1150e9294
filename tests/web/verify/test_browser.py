"""The page in headless Chromium: keys alone, two people, a server that is killed, lists, and axe-core."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ziffern.reading.folder import load_reading
from ziffern.reading.result import REVIEW
from ziffern.reading.verified import verified_fields

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
VERIFY = [sys.executable, "-c", "from ziffern.cli.main import main; main()", "verify"]
PATIENCE = 60_000  # milliseconds; other programs may need the machine too


class Server:
    """`ziffern verify` in a process of its own, which can be killed and started anew at the same address."""

    def __init__(self, batch: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.batch = batch
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self, *more: str) -> None:
        command = [*VERIFY, str(self.batch), "--no-browser", "--port", str(self.port), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.address in self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def server(batch: Path) -> Iterator[Server]:
    server = Server(batch)
    server.start()
    yield server
    server.kill()


def page_of(browser: Browser, server: Server, name: str, **how: Any) -> Page:
    page = browser.new_context(**how).new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script("AbortSignal.timeout = () => null")  # rules are checked however slow this machine is
    page.problems = []  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.problems.append(str(error)))  # type: ignore[attr-defined]
    page.goto(f"{server.address}/en/")
    page.fill("#name", name)
    page.press("#name", "Enter")
    page.get_by_text(f"You are {name}.").wait_for()
    return page


def begin(page: Page) -> None:
    link = page.get_by_role("link", name="Check doubtful fields")
    expect(link).to_be_focused()
    link.press("Enter")
    page.wait_for_selector("#work[data-place]")


def place(page: Page) -> tuple[int, int]:
    first, second = page.get_attribute("#work", "data-place").split("/")  # type: ignore[union-attr]
    return int(first), int(second)


def press(page: Page, *keys: str, shows: tuple[int, int] | None = None) -> None:
    """Press keys, and wait until another field is shown, or the one at a place."""
    before = page.get_attribute("#work", "data-place")
    for key in keys:
        page.keyboard.press(key)
    if shows:
        expect(page.locator("#work")).to_have_attribute("data-place", f"{shows[0]}/{shows[1]}")
    else:
        page.wait_for_function("before => document.getElementById('work')?.dataset.place !== before", arg=before)


def keep(page: Page) -> None:
    """Confirm a value in spite of its warning, after it could be read."""
    page.wait_for_timeout(500)
    press(page, "Enter")


def saved(batch: Path, count: int) -> list[str]:
    """Return the values of the checked fields as soon as there are `count`; the page sends them in the background."""
    end = time.monotonic() + PATIENCE / 1000
    while len(found := verified_fields(batch)) < count and time.monotonic() < end:
        time.sleep(0.1)
    assert len(found) == count
    return [each.value for each in found]


def test_a_batch_is_checked_with_keys_alone(
    browser: Browser, server: Server, batch: Path, truth: list[list[str]]
) -> None:
    page = page_of(browser, server, "Anna")
    begin(page)
    fields = {
        (number, row): field for number, p in enumerate(load_reading(batch).pages) for row, field in enumerate(p.fields)
    }
    doubtful = [key for key, field in fields.items() if field.status == REVIEW]
    first = place(page)
    press(page, "/")
    press(page, "Control+z", shows=first)
    press(page, "*")
    press(page, *["Backspace"] * 2, shows=first)  # in the empty field
    press(page, *"/*/*")
    press(page, *["Control+z"] * 4, shows=first)  # more than the page holds beside those that wait
    press(page, "+")
    for _ in doubtful:
        here = place(page)
        value = truth[here[0]][here[1]]
        assert page.input_value("#value") == fields[here].guess
        assert page.evaluate("document.activeElement.id") == "value"
        press(page, *([] if fields[here].guess == value else value), "Enter")
    page.get_by_text("All doubtful fields are checked.").wait_for()
    found = {(each.page, int(each.field[-1]) - 1): each.value for each in verified_fields(batch)}
    assert found == {(number, row): truth[number][row] for number, row in doubtful}
    assert page.problems == []  # type: ignore[attr-defined]


def test_lists_complete_and_warn(browser: Browser, server: Server, truth: list[list[str]]) -> None:
    page = page_of(browser, server, "Anna")
    page.goto(f"{server.address}/en/field/0/0")
    page.wait_for_selector("#options li")
    page.keyboard.type("00")
    page.keyboard.press("Enter")
    expect(page.locator("#warning")).to_contain_text("00 is not in the list")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    page.keyboard.type(truth[0][0][:2])
    expect(page.locator("#options li")).to_have_text([truth[0][0]])
    press(page, "ArrowDown", "Enter")
    page.goto(f"{server.address}/en/field/1/0")
    page.wait_for_selector("#options li")
    page.keyboard.type("00")
    page.keyboard.press("Enter")
    expect(page.locator("#warning")).to_contain_text("00 is not in the list")
    keep(page)
    assert saved(server.batch, 2) == [truth[0][0], "00"]


def with_fields(batch: Path, limits: dict[str, Any], lists: dict[str, list[str]] | None = None) -> None:
    """Give the fields of the first pages other names and rules, in their order."""
    content = json.loads((batch / "reading.json").read_bytes())
    fields = [field for page in content["pages"] for field in page["fields"]]
    for name, field in zip(limits, fields, strict=False):
        field |= {"name": name}
    (batch / "reading.json").write_text(json.dumps(content | {"limits": limits, "lists": lists or {}}))


def test_values_that_break_a_rule_are_kept_only_if_confirmed(browser: Browser, batch: Path) -> None:
    rules = [
        ({"length": [4, 5]}, "123", "123 has 3 digits, not 4–5."),
        ({"range": [10, 99]}, "100", "100 does not lie between 10 and 99."),
        ({"date": "DDMMY"}, "31024", "31024 is not a date (DDMMY)"),
        ({"check": "luhn"}, "79927398710", "79927398710 has a wrong check digit (luhn)."),
        ({"check": "iban", "country": "AT"}, "611904300234573202", "has a wrong check digit (iban)."),
        ({"pattern": r"1\d{2}"}, "223", r"223 does not match 1\d{2}."),
        ({"length": [4, 4]}, "12a4", "12a4 contains characters other than digits."),
    ]
    with_fields(batch, {f"f{number}": limits for number, (limits, _, _) in enumerate(rules)})
    server = Server(batch)
    server.start()
    try:
        page = page_of(browser, server, "Anna")
        page.add_init_script("globalThis.passed = 1000; performance.now = () => passed")
        for number, (_, value, text) in enumerate(rules):
            page.goto(f"{server.address}/en/field/{number // 4}/{number % 4}")
            page.wait_for_selector("#options li")
            page.keyboard.type(value)
            page.keyboard.press("Enter")
            expect(page.locator("#warning")).to_contain_text(text)
            expect(page.locator("#warning")).to_contain_text("Press Enter again")
            assert page.get_attribute("#work", "data-place") == f"{number // 4}/{number % 4}"
            page.keyboard.press("Enter")  # too soon to have read it
            assert page.get_attribute("#work", "data-place") == f"{number // 4}/{number % 4}"
            page.evaluate("passed += 500")
            press(page, "Enter")
            expect(page.locator("#warning")).to_have_text("")
        page.goto(f"{server.address}/en/field/0/3")
        page.wait_for_selector("#options li")
        press(page, *"79927398713", "Enter")
        saved_values = [value for _, value, _ in rules]
        saved_values[3] = "79927398713"
        assert saved(batch, len(rules)) == saved_values
        assert page.problems == []  # type: ignore[attr-defined]
    finally:
        server.kill()


def test_keys_pressed_while_a_rule_is_checked_are_for_the_next_fields(browser: Browser, batch: Path) -> None:
    with_fields(batch, {f"f{number}": {"length": [2, 2]} for number in range(99)})
    server = Server(batch)
    server.start()
    try:
        page = page_of(browser, server, "Anna")
        held: list[Any] | None = []

        def answer(route: Any) -> None:
            route.continue_() if held is None else held.append(route)

        def release() -> None:
            nonlocal held
            routes, held = held or [], None
            for route in routes:
                route.continue_()

        page.route("**/doubt/**", answer)
        page.goto(f"{server.address}/en/field/0/0")
        page.wait_for_selector("#options li")
        page.keyboard.type("12")
        for key in ("Enter", *"35", "Backspace", *"4", "Enter", *"/56"):
            page.keyboard.press(key)
        assert page.get_attribute("#work", "data-place") == "0/0"
        release()
        expect(page.locator("#value")).to_have_value("56")
        assert sorted(saved(batch, 3)) == ["", "12", "34"]
        held = []
        page.keyboard.type("7")
        for key in ("Enter", *"8", "Enter"):
            page.keyboard.press(key)
        release()
        expect(page.locator("#warning")).to_contain_text("567 has 3 digits, not 2.")
        page.keyboard.press("Enter")  # which only shows the warning to who typed on before it came
        keep(page)
        assert sorted(saved(batch, 4)) == ["", "12", "34", "567"]
        assert page.problems == []  # type: ignore[attr-defined]
    finally:
        server.kill()


def test_a_value_is_kept_if_the_check_of_its_rules_takes_too_long(browser: Browser, batch: Path) -> None:
    with_fields(batch, {f"f{number}": {"length": [2, 2]} for number in range(99)})
    server = Server(batch)
    server.start()
    try:
        page = page_of(browser, server, "Anna")
        page.add_init_script("AbortSignal.timeout = () => AbortSignal.abort()")
        page.goto(f"{server.address}/en/field/0/0")
        page.wait_for_selector("#options li")
        press(page, *"123", "Enter")
        assert saved(batch, 1) == ["123"]
    finally:
        server.kill()


def test_ticks_are_chosen_with_keys(browser: Browser, batch: Path) -> None:
    labels = ["yes", "no", "n/a", "Neither"]
    with_fields(batch, {"one": {"choose": [1, 1]}, "many": {"choose": [0, 4]}}, {"one": labels, "many": labels})
    server = Server(batch)
    server.start()
    try:
        page = page_of(browser, server, "Anna")
        page.goto(f"{server.address}/en/field/0/0")
        options = page.locator("#options li")
        expect(options).to_have_count(5)  # the guess, and the labels
        for _ in range(4):
            page.keyboard.press("ArrowDown")
        expect(page.locator("#value")).to_have_value("n/a")  # which nobody can type, since / is a key of its own
        press(page, "Enter")
        page.goto(f"{server.address}/en/field/0/1")
        expect(options).to_have_count(5)
        page.keyboard.type("ne")
        expect(options).to_have_text(["Neither"])
        page.keyboard.press("ArrowDown")
        page.keyboard.type(";")
        expect(options).to_have_text(["Neither;yes", "Neither;no", "Neither;n/a"])
        press(page, "ArrowDown", "ArrowDown", "Enter")
        page.goto(f"{server.address}/en/field/0/0")
        page.keyboard.type("yes;no")
        page.keyboard.press("Enter")
        expect(page.locator("#warning")).to_contain_text("2 boxes are ticked, not 1.")
        page.keyboard.press("Escape")
        page.keyboard.type("maybe")
        page.keyboard.press("Enter")
        expect(page.locator("#warning")).to_contain_text("maybe is not in the list of valid values.")
        assert saved(batch, 2) == ["n/a", "no;Neither"]  # in the order of the form
    finally:
        server.kill()


def test_two_people_disagree_and_a_third_settles(browser: Browser, batch: Path) -> None:
    server = Server(batch)
    server.start("--double")
    try:
        pages = [page_of(browser, server, name) for name in ("Anna", "Bert", "Cem")]
        for page, value in zip(pages, ("11111", "22222"), strict=False):
            page.goto(f"{server.address}/en/field/0/1")
            page.wait_for_selector("#work[data-place]")
            assert not page.locator("#options li").count()  # nobody is led by a guess
            with page.expect_response("**/decide"):
                press(page, *value, "Enter")
        pages[2].goto(f"{server.address}/en/settle")
        expect(pages[2].locator("#options")).to_contain_text("11111")
        expect(pages[2].locator("#options")).to_contain_text("Bert")
        pages[2].keyboard.press("ArrowDown")
        pages[2].keyboard.press("ArrowDown")
        pages[2].keyboard.press("Enter")
        pages[2].get_by_text("You are Cem.").wait_for()
        assert saved(batch, 1) == ["22222"]
    finally:
        server.kill()


def test_entries_are_kept_while_the_server_is_away(browser: Browser, server: Server, batch: Path) -> None:
    page = page_of(browser, server, "Anna")
    begin(page)
    press(page, "Enter", "Enter")
    saved(batch, 2)
    server.kill()
    press(page, "/")
    expect(page.locator("#warning")).to_contain_text("Not saved yet: 1")
    server.start()
    expect(page.locator("#warning")).to_have_text("")
    saved(batch, 3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_accessible_and_on_a_phone(browser: Browser, server: Server, scheme: Any, width: int) -> None:
    page = page_of(browser, server, "Anna", color_scheme=scheme, viewport={"width": width, "height": 800})
    for path in ("en/", "de/review", "de/field/0/0", "en/settle", "en/sample"):
        page.goto(f"{server.address}/{path}")
        page.wait_for_load_state("networkidle")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, (path, found.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert re.search("lang=.de", page.goto(f"{server.address}/de/").text())  # type: ignore[union-attr]
    assert page.problems == []  # type: ignore[attr-defined]
