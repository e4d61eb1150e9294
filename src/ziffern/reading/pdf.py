"""Pages of a PDF, rendered one at a time by PDFium.

Decisions: PDFium is not thread-safe, so a lock surrounds all of it; what was typed into a form is drawn, unless PDFium
was built with JavaScript; links are never followed; the sizes of pages and of the pictures on them are checked before
anything is decoded.
"""

import threading
from typing import Any, BinaryIO

import numpy as np

from ziffern.errors import InputError
from ziffern.reading.page import MAX_PAGES, WORKING_PIXELS, Page, PageProblem, Results, page_of
from ziffern.reading.pictures import check_size
from ziffern.text.printable import reason

DPI, FINE_DPI, SMALL = 200, 300, 300  # the last in points: the shorter side of a small page, A6
POINTS = 72  # per inch
MAX_OBJECTS = 100_000  # on a page
DEPTH = 5  # of objects in objects
LOCK = threading.RLock()


def pdf_pages(file: BinaryIO, source: str) -> Results:
    """Yield the pages of an open PDF, or why one cannot be read.

    Raises:
        InputError: It is encrypted, damaged, or has too many pages.
    """
    import pypdfium2

    with LOCK:
        try:
            document = pypdfium2.PdfDocument(file)
            if "V8" not in pypdfium2.PDFIUM_INFO.flags:
                document.init_forms()  # else the values of fields are not drawn
        except pypdfium2.PdfiumError as error:
            code = "encrypted" if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD else "damaged"
            raise InputError(f"reading.pages.{code}", path=source, reason=reason(error)) from None
    try:
        if not 0 < len(document) <= MAX_PAGES:
            raise InputError("reading.pages.count", path=source, count=len(document), limit=MAX_PAGES)
        for number in range(1, len(document) + 1):
            try:
                page: Page | PageProblem = _rendered(document, source, number)
            except InputError as error:
                page = PageProblem(source, number, error)
            except Exception as error:  # PDFium's, and those of ctypes and memory
                page = PageProblem(
                    source, number, InputError("reading.pages.damaged", path=source, reason=reason(error))
                )
            yield page
    finally:
        with LOCK:
            document.close()


def _rendered(document: Any, source: str, number: int) -> Page:
    import pypdfium2

    with LOCK:
        page = document[number - 1]
        try:
            width, height = page.get_size()
            if not 0 < width * height <= WORKING_PIXELS:
                values = {"width": round(width * 25.4 / POINTS), "height": round(height * 25.4 / POINTS)}
                raise InputError("reading.pages.area", path=source, page=number, **values)
            for count, item in enumerate(page.get_objects(max_depth=DEPTH)):
                if count > MAX_OBJECTS:
                    raise InputError("reading.pages.objects", path=source, page=number, limit=MAX_OBJECTS)
                if item.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE:
                    check_size(item.get_px_size(), source)
            wanted = (FINE_DPI if min(width, height) < SMALL else DPI) / POINTS
            scale = min(wanted, (WORKING_PIXELS / (width * height)) ** 0.5)
            bitmap = page.render(scale, rev_byteorder=True)
            pixels = np.array(bitmap.to_numpy())  # (H, W, 3)
            bitmap.close()
        finally:
            page.close()
    return page_of(pixels, source, number, scale * POINTS)
