"""Measure how quickly a scripted user checks doubtful fields on the page of `ziffern verify`, in headless Chromium.

    python scripts/measure_verify.py --fields 200

The user looks at each field for a while, presses Enter where the guess is right, and otherwise types the true value.
Reported are the seconds per field, and the wait from a key press until the next field and both its pictures are shown.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import which
from typing import Any

from make_batch import make_batch

COMMAND = [sys.executable, "-c", "from ziffern.cli.main import main; main()", "verify"]
PER_PAGE = 10
GOAL = 0.1  # seconds of a wait
WATCH = """() => {
  window.waits = [];
  document.addEventListener("keydown", (event) => {
    const before = document.getElementById("work").dataset.place, start = performance.now();
    if (event.key !== "Enter") return;
    const check = () => {
      const pictures = [...document.querySelectorAll("#crop img, #context img")];
      const isThere = pictures.length === 2 && pictures.every((picture) => picture.complete && picture.naturalWidth);
      const isOther = document.getElementById("work").dataset.place !== before;
      if (isOther && isThere) requestAnimationFrame(() => window.waits.push(performance.now() - start));
      else setTimeout(check, 1);
    };
    setTimeout(check);
  }, true);
}"""


def measure(count: int, look: float, key: float) -> dict[str, Any]:
    """Return figures in seconds; `look` and `key` are those that the user needs per field and per key."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary, "batch")
        truth = make_batch(folder, -(-count // PER_PAGE), PER_PAGE, doubtful=1.0)
        server = subprocess.Popen([*COMMAND, str(folder), "--no-browser"], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        found = re.search(r"http://\S+/", server.stdout.readline())
        assert found
        browser = playwright.chromium.launch(executable_path=which("chromium"))
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{found[0]}en/")
            page.fill("#name", "script")
            page.press("#name", "Enter")
            page.click("text=Check doubtful fields")
            page.wait_for_selector("#work[data-place]")
            page.evaluate(WATCH)
            start = page.evaluate("performance.now()")
            for number in range(count - 1):
                place, guess = page.evaluate("[document.getElementById('work').dataset.place, value.value]")
                page.wait_for_timeout(1000 * look)
                index, row = map(int, place.split("/"))
                if guess != truth[index][row]:
                    page.keyboard.type(truth[index][row], delay=1000 * key)
                    page.wait_for_timeout(1000 * key)
                page.keyboard.press("Enter")
                if page.text_content("#warning"):
                    page.keyboard.press("Enter")
                page.wait_for_function("number => window.waits.length > number", arg=number)
            seconds = (page.evaluate("performance.now()") - start) / 1000
            waits = [wait / 1000 for wait in page.evaluate("window.waits")]
        finally:
            browser.close()
            server.terminate()
            server.wait()
    return {
        "fields": len(waits),
        "seconds_per_field": round(seconds / len(waits), 3),
        "wait_median": round(statistics.median(waits), 4),
        "wait_99_percent": round(statistics.quantiles(waits, n=100)[-1], 4),
        "wait_max": round(max(waits), 4),
        "waits_above_100_ms": sum(wait > GOAL for wait in waits),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=200)
    parser.add_argument(
        "--look", type=float, default=0.6, help="seconds in which a person sees whether the guess is right"
    )
    parser.add_argument("--key", type=float, default=0.08, help="seconds per key")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.fields, arguments.look, arguments.key), indent=2))
