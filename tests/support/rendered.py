"""Pictures of digits with their truth, rendered from the embedded ones."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ziffern.data.embedded import embedded_digits

Gray = NDArray[np.uint8]


@cache
def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the embedded digits (5000, 28, 28) and their labels."""
    images, labels = embedded_digits()
    return images[:, 0], labels


class Sheet:
    """White paper to draw on; every digit that is drawn is noted."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.gray = np.full((height, width), 255, np.uint8)
        self.random = np.random.default_rng(seed)

    def digit(self, x: float, y: float, size: float, label: int | None = None) -> int:
        """Draw a digit of this height around a place; a random one unless it is given."""
        images, labels = digits()
        index = self.random.choice(len(labels) if label is None else np.flatnonzero(labels == label))
        image = images[index]
        rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
        image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        zoom = size / max(image.shape)
        image = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA)
        top, left = round(y - image.shape[0] / 2), round(x - image.shape[1] / 2)
        part = self.gray[top : top + image.shape[0], left : left + image.shape[1]]
        np.minimum(part, 255 - (image * 0.85).astype(np.uint8), out=part)
        return int(labels[index])

    def string(self, x: float, y: float, size: float, text: str, pitch: float = 0.85) -> None:
        """Draw digits from left to right, the first one around a place."""
        for index, letter in enumerate(text):
            self.digit(x + index * pitch * size, y + self.random.normal(0, 0.04) * size, size, int(letter))

    def box(self, left: float, top: float, right: float, bottom: float, line: int = 2) -> None:
        """Draw the outline of a box."""
        cv2.rectangle(self.gray, (round(left), round(top)), (round(right), round(bottom)), 40, line)

    def text(self, x: int, y: int, text: str, size: float = 1.0) -> None:
        """Draw printed letters above a base line."""
        cv2.putText(self.gray, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, 30, max(1, round(2 * size)), cv2.LINE_AA)


def photo(gray: Gray, seed: int, tilt: float = 0.06, bend: float = 0.0, angle: float = 0.0, noise: float = 4.0) -> Gray:
    """Return a picture as a phone takes it: perspective, curved paper, shade, blur and noise.

    Args:
        gray: The paper.
        seed: Of all that is random.
        tilt: By how much corners move, as a share of the sides.
        bend: Height of a wave in the paper, as a share of its height.
        angle: By which it is turned, in degrees.
        noise: Standard deviation in gray levels.
    """
    random = np.random.default_rng(seed)
    height, width = gray.shape
    margin = round(0.15 * max(height, width))
    paper = cv2.copyMakeBorder(gray, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=255)
    height, width = paper.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    paper = cv2.remap(
        paper,
        x,
        y + bend * height * np.sin(2.5 * x / width + 1).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    moved = corners + random.uniform(-tilt, tilt, (4, 2)).astype(np.float32) * [width, height]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    moved = cv2.transform(moved[None].astype(np.float32), turn)[0].astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, moved)
    paper = cv2.warpPerspective(paper, matrix, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    shade = 0.75 + 0.25 * np.cos(3 * (x * random.uniform(-1, 1) / width + y * random.uniform(-1, 1) / height))
    dirt = random.normal(0, noise, paper.shape)
    return np.asarray(np.clip(cv2.GaussianBlur(paper, (0, 0), 0.8) * 0.88 * shade + dirt, 0, 255), np.uint8)


def grid(
    rows: int, columns: int, cell: int, seed: int, line: int = 2, filled: float = 0.8
) -> tuple[Gray, NDArray[np.int64]]:
    """Return a grid of squares and its digits (rows, columns), -1 where a cell is empty."""
    sheet = Sheet(columns * cell + 2 * cell, rows * cell + 2 * cell, seed)
    truth = np.full((rows, columns), -1)
    for row in range(rows):
        for column in range(columns):
            left, top = cell * (column + 1), cell * (row + 1)
            sheet.box(left, top, left + cell, top + cell, line)
            if sheet.random.random() < filled:
                x, y = sheet.random.uniform(0.42, 0.58, 2)
                truth[row, column] = sheet.digit(
                    left + x * cell, top + y * cell, cell * sheet.random.uniform(0.5, 0.75)
                )
    sheet.box(cell, cell, cell * (columns + 1), cell * (rows + 1), line + 2)
    return sheet.gray, truth


def row(count: int, cell: int, seed: int, gap: float = 0.0, line: int = 2) -> tuple[Gray, list[int]]:
    """Return a row of boxes with a label before it, and its digits."""
    width = round(count * cell * (1 + gap)) + 8 * cell
    sheet = Sheet(width, 5 * cell, seed)
    sheet.text(cell // 2, 3 * cell, "Number", cell / 50)
    truth = []
    for index in range(count):
        left = 5 * cell + index * cell * (1 + gap)
        sheet.box(left, 2 * cell, left + cell, 3.2 * cell, line)
        truth.append(sheet.digit(left + cell * sheet.random.uniform(0.42, 0.58), 2.6 * cell, 0.7 * cell))
    return sheet.gray, truth


def envelope(code: str, seed: int, size: int = 40) -> Gray:
    """Return an envelope with printed address lines and a handwritten postal code below."""
    sheet = Sheet(25 * size, 14 * size, seed)
    for index, line in enumerate(("Frau Erika Mustermann", "Heidestrasse", "Wohnung oben")):
        sheet.text(8 * size, (4 + 2 * index) * size, line, size / 32)
    sheet.string(8.5 * size, 11 * size, size, code)
    sheet.text(round((8.5 + 0.85 * len(code) + 0.6) * size), round(11.4 * size), "Koeln", size / 32)
    return sheet.gray


def meter(code: str, seed: int, size: int = 40) -> Gray:
    """Return a meter: light digits in dark windows on a gray face."""
    sheet = Sheet(16 * size, 10 * size, seed)
    face = np.full_like(sheet.gray, 190)
    cv2.circle(face, (8 * size, 5 * size), round(4.8 * size), 225, -1)
    cv2.putText(face, "m3", (11 * size, 8 * size), cv2.FONT_HERSHEY_SIMPLEX, size / 40, 60, 2, cv2.LINE_AA)
    for index, letter in enumerate(code):
        left = round((4 + 1.4 * index) * size)
        sheet.gray[:] = 255
        sheet.digit(left + 0.5 * size, 5 * size, 0.95 * size, int(letter))
        window = slice(round(4.2 * size), round(5.8 * size)), slice(left - size // 8, left + size + size // 8)
        face[window] = np.maximum(30, 255 - sheet.gray[window])
    return face
