"""A picture that shows a data set as a model sees it: for each class a row of images.

Decisions: the images are spread evenly over all images of their class, of all parts, so that an error in one part is
seen; they are enlarged by a whole factor without smoothing, since every pixel matters; the sheet has a fixed width, and
at most 100 classes.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ziffern.data.dataset import LabeledImages
from ziffern.data.spec import displayed, in_words
from ziffern.files.atomic import write_atomically
from ziffern.text.language import Language

PER_CLASS = 12
MAX_CLASSES = 100
TILE, GAP, MARGIN, LABELS = 84, 8, 32, 190  # pixels; LABELS is the width of the class names
TITLE = 84  # height of the head
PAGE, INK, FAINT, FRAME = "#ffffff", "#1a1c1f", "#6b7280", "#d5d9df"


def write_contact_sheet(path: Path, data: LabeledImages, language: str) -> None:
    """Write the contact sheet of a data set as PNG.

    Raises:
        OutputError: It cannot be written.
    """
    sheet = contact_sheet(data, Language(language))
    write_atomically(path, lambda file: sheet.save(file, "PNG"))


def contact_sheet(data: LabeledImages, words: Language) -> Image.Image:
    """Return a row of up to 12 images for each class, with its name and size."""
    shown = range(min(len(data.class_names), MAX_CLASSES))
    hidden = len(data.class_names) - len(shown)
    width = 2 * MARGIN + LABELS + PER_CLASS * (TILE + GAP) - GAP
    height = MARGIN + TITLE + len(shown) * (TILE + GAP) + MARGIN + (MARGIN if hidden else 0)
    sheet = Image.new("RGB", (width, height), PAGE)
    draw = ImageDraw.Draw(sheet)
    large, normal, small = (_font(size) for size in (26, 19, 15))
    draw.text((MARGIN, MARGIN), _shortened(data.name, large, width - 2 * MARGIN), INK, large)
    about = words(
        "contact_sheet.about", count=len(data), shape=in_words(data.spec.shape), classes=len(data.class_names)
    )
    draw.text((MARGIN, MARGIN + 38), about, FAINT, small)
    for row in shown:
        top = MARGIN + TITLE + row * (TILE + GAP)
        members = np.flatnonzero(data.labels == row)
        draw.text((MARGIN, top + 18), _shortened(data.class_names[row], normal, LABELS - 12), INK, normal)
        draw.text((MARGIN, top + 44), words("contact_sheet.images", count=len(members)), FAINT, small)
        places = np.unique(np.linspace(0, max(0, len(members) - 1), PER_CLASS).round().astype(int))[: len(members)]
        for column, place in enumerate(places):
            left = MARGIN + LABELS + column * (TILE + GAP)
            draw.rectangle((left - 1, top - 1, left + TILE, top + TILE), outline=FRAME)
            tile = _tile(data.images[members[place]])
            sheet.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
    if hidden:
        draw.text((MARGIN, height - 2 * MARGIN), words("contact_sheet.hidden", count=hidden), FAINT, small)
    return sheet


def _tile(image: NDArray[np.uint8]) -> Image.Image:
    """Return an image (C, H, W) that fits into a tile, enlarged by a whole factor or reduced."""
    tile = Image.fromarray(np.ascontiguousarray(displayed(image[:3] if len(image) == 4 else image)))  # noqa: PLR2004
    longest = max(tile.size)
    if longest > TILE:
        tile.thumbnail((TILE, TILE))
        return tile
    factor = TILE // longest
    return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.NEAREST)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return matplotlib's sans serif font, which has the letters of most languages."""
    from matplotlib import get_data_path

    import ziffern.machine.plotting  # noqa: F401  # before matplotlib

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return a text that is at most `width` pixels wide."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
