"""A printable PDF of a template: markers, QR codes, separate boxes, labels, and how to write the digits.

Decisions: everything is drawn as vectors at the template's millimeters; boxes have a light color that a scanner can
drop, or thin gray lines; the first QR code names template and page, and the second one has the template itself, if it
fits in; all pages carry it, since one legible code is enough for a batch.
"""

import io
import re
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from ziffern.errors import InputError
from ziffern.files.atomic import write_atomically
from ziffern.reading.codes import encode
from ziffern.reading.layout import Box, Field, Markers, PageType, Template
from ziffern.reading.markers import DICTIONARY, IDS, SIDE, code_text, marker_corners
from ziffern.reading.template import CODE_LEFT, reserved
from ziffern.text.language import Language

Color = tuple[float, float, float]
MM = 72 / 25.4  # points
INK, SOFT, GRAY, ORANGE = (0.1, 0.1, 0.12), (0.42, 0.42, 0.45), (0.62, 0.62, 0.62), (1.0, 0.72, 0.42)
FONT, BOLD = "Vera", "VeraBd"
STROKE, FINE = 0.35, 0.2  # mm: of colored and of gray lines
LEGEND, LEGEND_STEP = (5.2, 7.2), 6.7  # mm: a box of the writing hint; from one to the next
DIGITS = (  # how to write them: M move, L line, C curve, in hundredths of a box from its top left corner
    "M 52 10 C 10 10 14 90 50 90 C 88 90 88 10 52 10",
    "M 30 30 L 56 10 L 56 90",
    "M 20 30 C 22 2 78 4 74 34 C 70 54 34 70 20 90 L 80 90",
    "M 22 18 C 40 2 76 8 72 30 C 70 46 54 47 44 47 C 60 47 80 52 78 70 C 76 94 36 96 20 80",
    "M 40 10 L 18 62 L 82 62 M 64 40 L 64 92",
    "M 76 10 L 32 10 L 28 46 C 44 36 78 40 78 66 C 78 92 40 96 22 82",
    "M 66 8 C 40 22 22 46 22 66 C 22 98 78 98 78 66 C 78 40 32 42 24 64",
    "M 20 12 L 80 12 L 42 90",
    "M 50 48 C 8 34 22 8 50 8 C 80 8 90 34 50 48 C 10 60 10 92 50 92 C 90 92 90 60 50 48",
    "M 76 34 C 72 62 24 60 24 34 C 24 2 76 2 76 34 C 76 62 70 80 62 92",
    "M 20 12 L 80 12 L 42 90 M 38 50 L 72 50",
)


def make_form(template: Template, path: Path, language: str = "en") -> bool:
    """Write the printable PDF of a template; return whether its QR codes are enough to read it anywhere.

    Raises:
        InputError: A page is registered by something else than markers, or a text has characters without a glyph.
        OutputError: The file cannot be written.
    """
    for page in template.pages:
        if not isinstance(page.register, Markers):
            raise InputError("reading.form.no_markers", page=page.name)
    content = make_pdf(template, language)
    write_atomically(path, lambda file: file.write(content))
    return bool(encode(template))


def make_pdf(template: Template, language: str) -> bytes:
    """Return a PDF of a template's pages as for forms of ours; raises InputError as `make_form`."""
    from reportlab.pdfbase import pdfmetrics, ttfonts
    from reportlab.pdfgen.canvas import Canvas

    for font in (FONT, BOLD):
        pdfmetrics.registerFont(ttfonts.TTFont(font, f"{font}.ttf"))  # of reportlab
    file, code, words = io.BytesIO(), encode(template), Language(language)
    canvas = Canvas(file, invariant=True)
    canvas.setTitle(template.pages[0].title or template.name)
    for number, page in enumerate(template.pages, 1):
        canvas.setPageSize((page.width * MM, page.height * MM))
        _Drawing(canvas, template, page, words).page(number, code)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


class _Drawing:
    """Draws a page in millimeters from its top left corner."""

    def __init__(self, canvas: Any, template: Template, page: PageType, words: Language) -> None:
        self.canvas, self.template, self.kind, self.words = canvas, template, page, words

    def page(self, number: int, code: str) -> None:
        """Draw the whole page."""
        *_, name_place, code_place = reserved(self.kind)
        width, count = name_place.left - CODE_LEFT - 4, len(self.template.pages)
        self.canvas.scale(MM, MM)
        self.markers()
        self.code(code_text(self.template.name, number, self.template.version), name_place)
        self.text(CODE_LEFT, 12, self.kind.title or self.template.name, 15, INK, BOLD, width)
        if count > 1:
            self.text(CODE_LEFT, 18, self.words("form.page", number=number, count=count), 8, SOFT)
        if code:
            self.code(code, code_place)
        self.hint(code_place.right + 6 if code else CODE_LEFT, code_place.top + 9)
        for field in self.kind.fields:
            self.field(field)
        for text in self.kind.texts:
            self.text(text.left, text.bottom, text.text, text.size, INK)

    def markers(self) -> None:
        import cv2

        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY))
        for identity, corners in zip(IDS, marker_corners(self.kind.width, self.kind.height), strict=True):
            left, top = map(float, corners[0])
            bits = cv2.aruco.generateImageMarker(dictionary, identity, dictionary.markerSize + 2) == 0
            self.modules(bits.tolist(), Box.of(left, top, SIDE, SIDE))

    def code(self, text: str, box: Box) -> None:
        import segno

        # The lowest level of correction, which segno raises where it costs nothing: larger modules are worth more.
        self.modules([list(map(bool, row)) for row in segno.make(text, micro=False, error="l").matrix], box)

    def modules(self, rows: list[list[bool]], box: Box) -> None:
        """Fill the black modules as one path of rows, so that hardly any hairlines are seen between them."""
        side, path = (box.right - box.left) / len(rows), self.canvas.beginPath()
        for place, row in enumerate(rows, 1):
            for is_black, run in groupby(enumerate(row), lambda item: item[1]):
                (start, _), *more = run
                if is_black:
                    path.rect(box.left + start * side, self.up(box.top + place * side), (len(more) + 1) * side, side)
        self.canvas.setFillColorRGB(0, 0, 0)
        self.canvas.drawPath(path, stroke=0, fill=1)

    def field(self, field: Field) -> None:
        """Draw the label and the boxes of a field."""
        outer = field.box
        self.text(outer.left, outer.top - 1.6, field.label, 8.5, SOFT)
        for box in field.boxes if field.kind != "crop" else ():
            self.box(box)
        for box, label in zip(field.boxes, field.labels, strict=False):
            self.text(box.right + 1.6, (box.top + box.bottom) / 2 + 1.2, label, 9.5, INK)
        if field.kind == "crop":
            self.pen(SOFT, FINE, (0.4, 0.8))
            self.canvas.line(outer.left, self.up(outer.bottom), outer.right, self.up(outer.bottom))

    def hint(self, left: float, top: float) -> None:
        """Draw sample digits between the second QR code and the last marker, if they fit in there."""
        width = self.kind.width - CODE_LEFT - left
        if width < len(DIGITS) * LEGEND_STEP:
            return
        self.text(left, top - 2.2, self.words("form.write"), 8.5, SOFT, FONT, width)
        for count, strokes in enumerate(DIGITS):
            box = Box.of(left + count * LEGEND_STEP, top, *LEGEND)
            self.box(box)
            self.strokes(strokes, Box(box.left + 1, box.top + 1, box.right - 1, box.bottom - 1))
        self.text(left, top + LEGEND[1] + 4, self.words("form.pen"), 7.5, SOFT, FONT, width)

    def strokes(self, strokes: str, box: Box) -> None:
        path, size = self.canvas.beginPath(), (box.right - box.left, box.bottom - box.top)
        for command, text in re.findall(r"([MLC])([ \d]+)", strokes):
            shares = [int(number) / 100 for number in text.split()]
            places = zip(shares[::2], shares[1::2], strict=True)
            points = [(box.left + right * size[0], self.up(box.top + down * size[1])) for right, down in places]
            {"M": path.moveTo, "L": path.lineTo, "C": path.curveTo}[command](*chain(*points))
        self.pen(INK, 0.45)
        self.canvas.drawPath(path)

    def box(self, box: Box) -> None:
        self.pen(*((ORANGE, STROKE) if self.template.drop_out else (GRAY, FINE)))
        self.canvas.roundRect(box.left, self.up(box.bottom), box.right - box.left, box.bottom - box.top, 0.5)

    def pen(self, color: Color, width: float, dash: tuple[float, ...] = ()) -> None:
        self.canvas.setStrokeColorRGB(*color)
        self.canvas.setLineWidth(width)
        self.canvas.setDash(*dash)
        self.canvas.setLineCap(1)

    def text(
        self, left: float, bottom: float, text: str, size: float, color: Color, font: str = FONT, width: float = 1e4
    ) -> None:
        """Draw text of a size in points, smaller where it is wider than `width`."""
        from reportlab.pdfbase import pdfmetrics

        known = pdfmetrics.getFont(font).face.charToGlyph
        if missing := [character for character in text if ord(character) not in known]:
            raise InputError("reading.form.character", text=text, character=missing[0])
        size *= min(1, width / max(pdfmetrics.stringWidth(text, font, size / MM), 1)) / MM
        self.canvas.setFillColorRGB(*color)
        self.canvas.setFont(font, size)
        self.canvas.drawString(left, self.up(bottom), text)

    def up(self, top: float) -> float:
        """Return millimeters from the bottom, as PDF counts."""
        return self.kind.height - top
