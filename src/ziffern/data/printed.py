"""Digits rendered from fonts, because forms and puzzles mix printed and handwritten digits.

Decisions: the fonts are those that matplotlib and reportlab ship, and those of the machine; those without digits, or
with other signs in their place, are left out; forms that people write, but that are neither in fonts nor common in
MNIST, are drawn; each digit is cut out as one on paper is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ziffern.data.content import Part
from ziffern.data.conversion import WHITE
from ziffern.data.ground import SIZE

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

CANVAS, HEIGHT = 64, 40  # pixels, and of the font
NO_DIGITS = ("sym", "ding", "icon", "emoji", "cmsy", "cmex", "cmmi", "stixnon", "stixsiz", "lastresort", "barcode")
DRAWN = 0.5  # of the digits that have such forms are drawn as one of FORMS
Stroke = tuple[tuple[int, int], ...]  # corners x, y on the canvas
FORMS: dict[int, tuple[tuple[Stroke, ...], ...]] = {  # of digits, of one or two strokes
    1: ((((18, 30), (38, 10), (34, 56)),),),  # with a long upstroke
    4: ((((38, 8), (16, 38), (50, 37)), ((38, 8), (36, 56))),),  # closed
    7: (
        (((14, 13), (48, 11), (28, 56)), ((24, 34), (48, 32))),  # with a bar
        (((18, 28), (23, 14), (34, 9), (43, 15), (40, 32), (31, 56)),),  # with a hook
    ),
    8: (
        (((44, 12), (35, 8), (28, 16), (32, 28), (42, 42), (37, 55), (28, 50), (31, 38), (40, 26), (44, 12)),),
    ),  # slim
    9: ((((42, 14), (36, 9), (30, 14), (30, 21), (36, 25), (42, 20), (43, 13), (42, 36), (36, 56)),),),  # a small loop
}
MAX_LEAN = 0.12  # shear and rotation, as on a page that is not straight


def with_printed(part: Part, count: int) -> Part:
    """Return a part of images (N, 28, 28), followed by `count` printed digits, drawn with a fixed seed."""
    from PIL import Image, ImageDraw, ImageFont

    from ziffern.data.cutout import digit_image

    rng, fonts = np.random.default_rng(0), font_files()
    more = np.zeros((count, SIZE, SIZE), np.uint8)
    digits = np.arange(count) % 10
    for place, digit in enumerate(digits):
        font = ImageFont.truetype(fonts[int(rng.integers(len(fonts)))], HEIGHT)
        canvas = Image.new("L", (CANVAS, CANVAS))
        draw = ImageDraw.Draw(canvas)
        if digit in FORMS and rng.random() < DRAWN:
            _draw(draw, FORMS[int(digit)], rng)
        else:
            draw.text((CANVAS // 2, CANVAS // 2), str(digit), WHITE, font, "mm")
        lean, size = rng.uniform(-MAX_LEAN, MAX_LEAN, 2), rng.uniform(0.8, 1.2)
        middle = CANVAS / 2
        matrix = (size, lean[0], middle * (1 - size - lean[0]), lean[1], 1, -middle * lean[1])
        leaning = canvas.transform(canvas.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        more[place] = digit_image(np.asarray(leaning, np.float32) / np.float32(WHITE))
    return Part(np.concatenate([np.asarray(part.images), more]), np.concatenate([part.labels, digits]))


def _draw(draw: "ImageDraw", forms: Sequence[Sequence[Stroke]], rng: np.random.Generator) -> None:
    """Draw one of several forms of a digit, with a pen of any width, its corners moved and its width changed."""
    pen, wide = int(rng.integers(2, 8)), rng.uniform(0.6, 1.1)
    for stroke in forms[int(rng.integers(len(forms)))]:
        moved = rng.uniform(-2, 2, (len(stroke), 2)) + stroke
        moved[-1] += rng.uniform(-3, 3, 2)
        moved[:, 0] = CANVAS / 2 + wide * (moved[:, 0] - CANVAS / 2)
        draw.line([(x, y) for x, y in moved.tolist()], WHITE, pen, "curve")


def font_files() -> Sequence[str]:
    """Return the files of fonts with digits, sorted: those of matplotlib, reportlab and the machine."""
    import reportlab
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    found = {
        *font_manager.findSystemFonts(),
        *map(str, Path(font_manager.__file__).parent.glob("mpl-data/fonts/ttf/*.ttf")),
    }
    found |= set(map(str, Path(reportlab.__file__).parent.glob("fonts/*.ttf")))
    usable = []
    for file in sorted(found, key=lambda path: Path(path).name):
        if not any(word in Path(file).name.lower() for word in NO_DIGITS):
            try:
                font = FT2Font(file)
            except RuntimeError:
                continue
            if all(font.get_char_index(ord(digit)) for digit in "0123456789"):
                usable.append(file)
    return usable
