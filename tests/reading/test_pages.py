"""Tests of the pages of files: kinds, orientation, limits, and hostile files beside good ones."""

import io
import os
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from ziffern.errors import InputError
from ziffern.reading import page as page_module
from ziffern.reading import pages as pages_module
from ziffern.reading import pdf, pictures
from ziffern.reading.pages import Page, PageProblem, pages_of

TALL = np.full((60, 40), 255, np.uint8)
TALL[:10, :10] = 0  # the top left corner is dark


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def tiff(count: int, **options: Any) -> bytes:
    frames = [Image.fromarray(np.full((20, 10 + n), 50 + n, np.uint8)) for n in range(count)]
    return encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:], **options)


def pdf_of(*sizes: tuple[float, float], **options: Any) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=sizes[0], **options)
    for size in sizes:
        canvas.setPageSize(size)
        canvas.setFillColorRGB(1, 0, 0)
        canvas.rect(0, size[1] / 2, size[0] / 2, size[1] / 2, stroke=0, fill=1)  # the top left quarter
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def only(source: object) -> Page:
    (page,) = pages_of([source])
    assert isinstance(page, Page), page
    return page


def problem(source: object) -> str:
    (page,) = pages_of([source])
    assert isinstance(page, PageProblem)
    assert str(page.error).count("\n") == 0
    return page.error.code


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


SIXTEEN = TALL.astype(np.uint16) * 257
RGBA = np.dstack([np.zeros((60, 40, 3), np.uint8), 255 - TALL])  # transparent black where the page is white
PICTURES = {
    "gray": TALL,
    "one bit": Image.fromarray(TALL).convert("1"),
    "palette": Image.fromarray(TALL).convert("P"),
    "alpha": RGBA,
    "cmyk": Image.fromarray(TALL).convert("CMYK"),
    "sixteen": SIXTEEN,
    "bool": TALL > 0,
    "jpeg": encoded(TALL, "JPEG", quality=95),
    "fax": encoded(Image.fromarray(TALL).convert("1"), "TIFF", compression="group4"),
    "deep": encoded(SIXTEEN),
    "palette with transparency": encoded(Image.fromarray(TALL).convert("P"), transparency=255),
}


@pytest.mark.parametrize("kind", [*PICTURES])
def test_every_mode_is_dark_ink_on_white_paper(kind: str):
    page = only(PICTURES[kind])
    assert page.gray.shape == (60, 40)
    assert page.gray.dtype == np.uint8
    assert page.gray[2:8, 2:8].max() < 12
    assert page.gray[30:, 20:].min() > 243
    assert page.color is None


def test_color_is_kept_where_there_is_some():
    rgb = np.full((20, 30, 3), 255, np.uint8)
    rgb[5:15, 5:15] = (200, 30, 30)
    page = only(rgb)
    assert page.color is not None
    np.testing.assert_array_equal(page.color, rgb)
    assert only(np.full((20, 30, 3), 99, np.uint8)).color is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_the_camera_is_applied(orientation: int):
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # what undoes it, as PIL's transpositions
    undo = {0: 0, 1: 1, 2: 4, 3: 3, 4: 2, 5: 5, 6: 6}
    image = Image.fromarray(TALL)
    if orientation > 1:
        image = image.transpose(Image.Transpose(undo[turns[orientation]]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    page = only(encoded(image, "JPEG", exif=exif, quality=95))
    assert page.gray.shape == (60, 40)
    assert page.gray[:10, :10].mean() < 40


@pytest.mark.parametrize(
    ("kind", "dpi", "expected"),
    [("JPEG", 200, 200), ("PNG", 300, 300), ("TIFF", 600, 600), ("PNG", 30, None), ("TIFF", 1200, None)],
)
def test_a_plausible_resolution_is_known(kind: str, dpi: int, expected: int | None):
    assert only(encoded(TALL, kind, dpi=(dpi, dpi))).dpi == (expected and pytest.approx(expected, rel=0.01))


def test_photos_do_not_claim_to_be_a_meter_high_and_faxes_get_square_pixels():
    assert only(encoded(np.zeros((4000, 3000), np.uint8), "JPEG", dpi=(72, 72))).dpi is None
    page = only(encoded(np.zeros((100, 200), np.uint8), "TIFF", dpi=(200, 100)))
    assert (page.gray.shape, page.dpi) == ((200, 200), pytest.approx(200))


def test_all_pages_of_a_tiff_and_a_pdf(tmp_path: Path):
    (tmp_path / "scan.tif").write_bytes(tiff(4))
    pages = [page for page in pages_of([tmp_path / "scan.tif"]) if isinstance(page, Page)]
    assert [(page.number, page.gray.shape[1], int(page.gray[0, 0])) for page in pages] == [
        (n + 1, 10 + n, 50 + n) for n in range(4)
    ]
    (tmp_path / "scan.pdf").write_bytes(pdf_of((595, 842), (200, 283)))
    large, small = (page for page in pages_of([str(tmp_path / "scan.pdf")]) if isinstance(page, Page))
    assert (large.gray.shape, large.dpi) == ((2339, 1653), pytest.approx(200))
    assert (small.number, small.dpi) == (2, pytest.approx(300))
    assert large.color is not None
    assert large.color[100, 100].tolist() == [255, 0, 0]
    assert large.color[-100, -100].tolist() == [255, 255, 255]


def test_folders_are_read_in_natural_order_and_what_is_left_out_is_counted(tmp_path: Path):
    for name in ("10.png", "2.png", "b/1.jpg", ".hidden.png", "Thumbs.db", "notes.txt", "c.zip"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(TALL))
    zipped(tmp_path / "c.zip", **{"x/1.png": encoded(TALL), "readme.md": b"hello"})
    (tmp_path / "link.png").symlink_to(tmp_path / "2.png")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    pages = pages_of([tmp_path, tmp_path / "2.png", tmp_path / "2.png"])
    results = [(page.source.removeprefix(f"{tmp_path}/"), getattr(page, "error", None)) for page in pages]
    assert [name for name, error in results if not error] == ["2.png", "10.png", "c.zip/x/1.png", "b/1.jpg"] + [
        "2.png"
    ] * 2
    assert {name: error.code for name, error in results if error} == dict.fromkeys(
        ("link.png", "loop"), "reading.pages.link"
    )
    assert [str(note) for note in pages.notes] == [
        "2 hidden files were left out, such as .hidden.png",
        "2 files were left out, because their names are not those of pages, such as notes.txt",
    ]


def huge_png(side: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return encoded(TALL)[:12] + header + struct.pack(">I", zlib.crc32(header)) + encoded(TALL)[33:]


def broken_files() -> dict[str, bytes]:
    half = encoded(np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8), "JPEG")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../up.png", encoded(TALL))
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("inner.zip", file.getvalue())
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.png", bytes(101 * 10**6))
    return {
        "bomb.png": huge_png(9000),
        "larger_bomb.png": huge_png(60000),
        "cut.jpg": half[: len(half) // 2],
        "cut.tif": tiff(1, compression="raw")[:-100],
        "empty.png": b"",
        "text.png": b"no picture",
        "cut.pdf": b"%PDF-1.7\n%%EOF",
        "cut.zip": b"PK\x03\x04",
        "locked.pdf": pdf_of((595, 842), encrypt=StandardEncryption("secret")),
        "wall.pdf": pdf_of((10**6, 10**6)),
        "up.zip": file.getvalue(),
        "nested.zip": nested.getvalue(),
        "zip_bomb.zip": bomb.getvalue(),
    }


def test_broken_and_hostile_files_get_one_line_each_and_the_others_are_read(tmp_path: Path):
    broken = broken_files()
    for name, content in {**broken, "good.png": encoded(TALL)}.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.png")
    results = list(pages_of([tmp_path]))
    assert [Path(page.source).name for page in results if isinstance(page, Page)] == ["good.png"]
    problems = {Path(page.source).name: page.error for page in results if isinstance(page, PageProblem)}
    codes = {name: error.code.rsplit(".", 1)[1] for name, error in problems.items()}
    assert codes == {
        **{"bomb.png": "pixels", "larger_bomb.png": "damaged", "cut.jpg": "damaged", "cut.tif": "damaged"},
        **{"empty.png": "unknown", "text.png": "unknown", "cut.pdf": "damaged", "cut.zip": "damaged"},
        **{"locked.pdf": "encrypted", "wall.pdf": "area", "up.zip": "climbs", "inner.zip": "nested"},
        **{"zip_bomb.zip": "bomb", "pipe.png": "not_regular"},
    }
    assert all("\n" not in str(error) and len(str(error)) < 400 for error in problems.values())
    assert len(results) == len(broken) + 2


def test_the_other_pages_of_a_damaged_tiff_are_read():
    raw = tiff(3)
    broken = raw.replace(bytes([51]) * (11 * 20), b"", 1)  # the data of the second page
    assert [isinstance(page, Page) for page in pages_of([raw])] == [True] * 3
    results = list(pages_of([broken]))
    assert isinstance(results[0], Page)
    assert sum(isinstance(page, PageProblem) for page in results) == 1


def test_files_of_too_many_pages_are_limited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "MAX_PAGES", 2)
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    first, second, third = pages_of([tiff(9)])
    assert isinstance(first, Page) and isinstance(second, Page) and isinstance(third, PageProblem)  # noqa: PT018
    assert (third.number, third.error.code) == (3, "reading.pages.too_many")
    assert problem(pdf_of(*[(200, 200)] * 3)) == "reading.pages.count"


def test_a_pdf_with_a_picture_that_is_a_bomb(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 2000)
    file = io.BytesIO()
    Image.fromarray(TALL).save(file, "PDF")
    assert problem(file.getvalue()) == "reading.pages.pixels"


def test_very_large_pages_are_scaled_down(monkeypatch: pytest.MonkeyPatch):
    for module in (page_module, pictures, pdf):
        monkeypatch.setattr(module, "WORKING_PIXELS", 2400)
    page = only(encoded(np.zeros((120, 80), np.uint8), "JPEG", dpi=(600, 600)))
    assert (page.gray.shape, page.dpi) == ((60, 40), pytest.approx(300))


@pytest.mark.parametrize("shape", [(3,), (2, 10, 10), (0, 5), (5, 5, 5, 5)])
def test_arrays_that_are_no_pages(shape: tuple[int, ...]):
    assert problem(np.zeros(shape, np.uint8)).startswith("reading.pages")


def test_missing_and_empty_sources(tmp_path: Path):
    for sources, code in (
        ([], "reading.pages.none"),
        ([tmp_path / "no.png"], "data.inputs.missing"),
        (["a\0b"], "data.inputs.missing"),
        ([tmp_path], "reading.pages.empty"),
    ):
        with pytest.raises(InputError) as error:
            pages_of(sources)
        assert error.value.code == code
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"1 file was left out.*notes\.txt"):
        pages_of([tmp_path])


def test_heic_where_it_is_installed_and_where_not(monkeypatch: pytest.MonkeyPatch):
    head = b"\0\0\0\x18ftypheic" + bytes(100)
    pytest.importorskip("pi_heif")
    assert problem(head) == "reading.pages.damaged"
    heif = ModuleType("pi_heif")
    heif.open_heif = lambda _: heif  # type: ignore[attr-defined]
    heif.size, heif.to_pillow = (40, 60), lambda: Image.fromarray(TALL)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pi_heif", heif)
    assert only(head).gray.shape == (60, 40)
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    assert problem(head) == "reading.pages.no_heic"


def test_pages_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    decoded = []
    monkeypatch.setattr(pages_module, "picture_pages", lambda _, source: iter(decoded.append(source) or [source]))
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(encoded(TALL))
    next(pages_of([tmp_path]))
    assert len(decoded) == 1


def test_what_was_typed_into_a_pdf_form_is_drawn(tmp_path: Path) -> None:
    pages = []
    for value in ("", "48213"):
        canvas = Canvas(str(tmp_path / f"form{value}.pdf"))
        canvas.drawString(100, 750, "Number")  # else reportlab writes no fonts
        canvas.acroForm.textfield(name="n", x=100, y=650, width=200, height=40, value=value, fontSize=24)
        canvas.save()
        (page,) = pages_of([tmp_path / f"form{value}.pdf"])
        assert isinstance(page, Page)
        pages.append(page.gray.astype(int))
    assert (pages[0] - pages[1] > 100).sum() > 500  # the ink of five digits of 24 points at 200 dpi
