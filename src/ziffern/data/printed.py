"""Digits rendered from fonts, because forms and puzzles mix printed and handwritten digits.

Decisions: the fonts are those that matplotlib and reportlab ship, and those of the machine; those without digits, or
with other signs in their place, are left out; ones and sevens as in Europe, which are neither in fonts nor in MNIST,
are drawn; each digit is cut out as one on paper is.
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
EUROPEAN = 0.6  # of the ones and sevens are drawn as in Europe instead
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
        if digit in (1, 7) and rng.random() < EUROPEAN:
            _draw_european(draw, int(digit), rng)
        else:
            draw.text((CANVAS // 2, CANVAS // 2), str(digit), WHITE, font, "mm")
        lean, size = rng.uniform(-MAX_LEAN, MAX_LEAN, 2), rng.uniform(0.8, 1.2)
        middle = CANVAS / 2
        matrix = (size, lean[0], middle * (1 - size - lean[0]), lean[1], 1, -middle * lean[1])
        leaning = canvas.transform(canvas.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        more[place] = digit_image(np.asarray(leaning, np.float32) / np.float32(WHITE))
    return Part(np.concatenate([np.asarray(part.images), more]), np.concatenate([part.labels, digits]))


def _draw_european(draw: "ImageDraw", digit: int, rng: np.random.Generator) -> None:
    """Draw a 1 with a long upstroke, or a 7 with a bar, which MNIST hardly has."""
    pen = int(rng.integers(2, 8))

    def near(x: float, y: float, spread: float = 3) -> tuple[float, float]:
        return x + rng.uniform(-spread, spread), y + rng.uniform(-spread, spread)

    if digit == 1:
        draw.line([near(18, 30, 7), near(38, 10), near(34, 56, 4)], WHITE, pen, "curve")
    else:
        draw.line([near(14, 13), near(48, 11), near(28, 56, 5)], WHITE, pen, "curve")
        draw.line([near(24, 34), near(48, 32)], WHITE, pen)


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
