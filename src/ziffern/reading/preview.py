"""A picture of a template's pages with its boxes drawn over them, to check the measurements.

Decision: a preview is made again and again while a template is written, so it replaces an earlier one, recognized by a
text in the PNG, and no other file: the picture of the blank page may have the same name.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw
from PIL.PngImagePlugin import PngInfo

from ziffern.files.atomic import refuse_existing, write_atomically
from ziffern.reading.form import make_pdf
from ziffern.reading.layout import Blank, Frame, Markers, PageType, Template

SCALE = 120 / 25.4  # pixels per mm
MARK = ("Software", "ziffern form check")
BOX, FRAME, GRID, STEP = (36, 92, 222), (200, 30, 90), (190, 200, 215), 10  # colors; mm


def write_previews(template: Template, path: Path, language: str) -> list[Path]:
    """Write a PNG per page type with a grid of 10 mm, over its form, its blank page or empty paper; return their paths.

    Raises:
        InputError: The blank page cannot be read, the form cannot be drawn, or there is a file that is no preview.
        OutputError: A file cannot be written.
    """
    mark = PngInfo()
    mark.add_text(*MARK)
    paths = [path, *(path.with_stem(f"{path.stem}_{number}") for number in range(2, len(template.pages) + 1))]
    for target in paths:
        if not _is_preview(target):
            refuse_existing(target)
    for number, (page, target) in enumerate(zip(template.pages, paths, strict=True), 1):
        preview = _preview(template, page, number, language)
        write_atomically(target, partial(preview.save, format="PNG", pnginfo=mark))
    return paths


def _is_preview(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            return picture.info.get(MARK[0]) == MARK[1]
    except (OSError, ValueError, Image.DecompressionBombError):  # no file, no picture, or one that is too large
        return False


def _preview(template: Template, page: PageType, number: int, language: str) -> Image.Image:
    picture = _picture(template, page, number, language).resize((round(page.width * SCALE), round(page.height * SCALE)))
    grid = Image.new("RGB", picture.size, "white")
    draw = ImageDraw.Draw(grid)
    for place in range(STEP, int(max(page.width, page.height)), STEP):
        draw.line(_pixels((place, 0, place, page.height)), GRID)
        draw.line(_pixels((0, place, page.width, place)), GRID)
        draw.text((place * SCALE, SCALE), str(place), BOX, anchor="ma", font_size=11)
        draw.text((SCALE, place * SCALE), str(place), BOX, anchor="lm", font_size=11)
    picture = ImageChops.multiply(picture.convert("RGB"), grid)
    draw = ImageDraw.Draw(picture)
    for field in page.fields:
        for box in field.boxes:
            draw.rectangle(_pixels(box), outline=BOX, width=2)
        draw.text((field.box.left * SCALE, field.box.bottom * SCALE + 3), field.name, BOX, font_size=14)
    if isinstance(page.register, Frame):
        draw.rectangle(_pixels(page.register.box), outline=FRAME, width=3)
    return picture


def _picture(template: Template, page: PageType, number: int, language: str) -> Image.Image:
    if isinstance(page.register, Blank):
        return Image.fromarray(np.asarray(page.register.gray))
    if isinstance(page.register, Markers):
        import pypdfium2

        document = pypdfium2.PdfDocument(make_pdf(template, language))
        form: Image.Image = document[number - 1].render(scale=SCALE * 25.4 / 72).to_pil()
        return form
    return Image.new("RGB", (1, 1), "white")


def _pixels(place: Sequence[float]) -> list[float]:
    return [side * SCALE for side in place]
