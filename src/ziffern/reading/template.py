"""Templates of forms, from YAML.

Decisions: every mistake is reported, not only the first; files that a template names lie in its own folder, and are
opened without following links; the version depends only on places, so new titles and rules leave printed forms
valid.
"""

import contextlib
import hashlib
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from ziffern.config import suggestion
from ziffern.errors import InputError
from ziffern.files.untrusted import read_text, reading
from ziffern.reading.layout import Blank, Box, Field, Frame, Markers, PageType, Sum, Template, Text
from ziffern.reading.markers import INSET, SIDE, code_box
from ziffern.reading.result import DETAILS
from ziffern.reading.result import PAGE as PAGE_COLUMNS
from ziffern.reading.template_field import read_field
from ziffern.reading.template_keys import (
    Mm,
    PageKeys,
    PageSide,
    Problems,
    Side,
    TooManyProblemsError,
    convert,
    parse_yaml,
)

__all__ = ["Blank", "Box", "Field", "Frame", "Markers", "PageType", "Sum", "Template", "Text"]
__all__ += ["check_template", "load_template", "parse_template", "reserved"]
SIZES = {"a3": (297, 420), "a4": (210, 297), "a5": (148, 210), "a6": (105, 148), "letter": (215.9, 279.4)}
MAX_BYTES, MAX_BLANK = 100_000, 64 * 10**6  # of a template, and of the file of a blank page
MAX_BOXES = 2000  # of a page
CODE_SIZE = 25.0  # mm: the second QR code of a printed form, which has the template itself
CODE_LEFT = INSET + SIDE / 2 + 5
PRINTED = ("title", "texts", "label", "drop_out")  # keys that only a printed form shows
TOP = ("name", "drop_out", "pages")
PAGE = ("page", "register", "fields", "sums", "title", "texts")


def load_template(path: str | Path) -> Template:
    """Return the template in a YAML file.

    Raises:
        InputError: The file is unreadable or has mistakes; the message is the first one.
    """
    template, problems = check_template(path)
    if template is None:
        raise InputError("reading.template.first", path=path, problem=problems[0], count=len(problems))
    return template


def check_template(path: str | Path) -> tuple[Template | None, list[InputError]]:
    """Return the template in a YAML file and no mistakes, or None and all of its mistakes.

    Raises:
        InputError: The file is unreadable.
    """
    with reading(path):
        return parse_template(read_text(Path(path), MAX_BYTES), Path(path).parent)


def parse_template(text: str, folder: Path | None) -> tuple[Template | None, list[InputError]]:
    """Return the template in a text as `check_template`; it may name files below `folder`, and none if that is None."""
    try:
        content = parse_yaml(text)
    except InputError as error:
        return None, [error]
    problems = Problems(folder)
    with contextlib.suppress(TooManyProblemsError):
        template = _template(content, problems)
    return (None, problems) if problems else (template, [])


def reserved(page: PageType) -> tuple[Box, ...]:
    """Return the places of the markers and QR codes of a form of ours, the template's code last."""
    near, far = INSET - SIDE / 2, INSET + SIDE / 2
    corners = [(left, top) for left in (near, page.width - far) for top in (near, page.height - far)]
    footer = Box(CODE_LEFT, page.height - near - CODE_SIZE, CODE_LEFT + CODE_SIZE, page.height - near)
    return (*(Box(left, top, left + SIDE, top + SIDE) for left, top in corners), Box(*code_box(page.width)), footer)


def _template(content: Any, problems: Problems) -> Template:
    has_pages = isinstance(content, dict) and "pages" in content
    keys = problems.keys(PageKeys, content, "", TOP if has_pages else (*TOP, *PAGE))
    if not keys.name and isinstance(content, dict) and "name" not in content:
        problems.add("name", "missing")
    parts = {keys.name: ("", keys)}
    if has_pages:
        places = {name: f"pages.{name}" for name in keys.pages}
        parts = {
            name: (place, problems.keys(PageKeys, keys.pages[name], place, PAGE)) for name, place in places.items()
        }
    pages, names = [], {name for _, part in parts.values() for name in part.fields}
    taken = {*PAGE_COLUMNS, *(f"{name}_{detail}" for name in names for detail in DETAILS)}
    for name, (place, part) in parts.items():
        for field in sorted(taken & part.fields.keys()):
            problems.add(f"{place}.fields.{field}", "column_name", name=field)
        page = _page(name, place, part, problems)
        pages.append(replace(page, sums=_sums(place, part, page, problems)))
    source = json.dumps(_without_printed(content), separators=(",", ":"), ensure_ascii=False)
    corners = [
        (page.width, page.height, [(field.name, field.kind, field.boxes) for field in page.fields]) for page in pages
    ]
    version, is_drop_out = hashlib.sha256(repr(corners).encode()).hexdigest()[:8], keys.drop_out in ("yes", "true")
    return Template(keys.name, version, tuple(pages), is_drop_out, "" if problems.has_files else source)


def _page(name: str, place: str, keys: PageKeys, problems: Problems) -> PageType:
    if not keys.fields:
        problems.add(f"{place}.fields", "missing")
    fields = [read_field(each, f"{place}.fields.{each}", part, problems) for each, part in keys.fields.items()]
    size = _size(keys.page)
    if size is None:
        problems.wrong(f"{place}.page", keys.page)
    register = _register(f"{place}.register", keys.register, problems)
    texts = tuple(Text(*text.at, text.text, text.size) for text in keys.texts)
    page = PageType(name, *(size or SIZES["a4"]), register, tuple(fields), keys.title, texts)
    _check_places(page, place, problems)
    return page


def _size(value: Any) -> tuple[float, float] | None:
    if isinstance(value, list):
        return convert(value, tuple[PageSide, PageSide])
    name, _, direction = str(value).lower().partition(" ")
    if name not in SIZES or direction not in ("", "portrait", "landscape"):
        return None
    width, height = SIZES[name]
    return (height, width) if direction == "landscape" else (width, height)


def _register(place: str, value: Any, problems: Problems) -> Markers | Blank | Frame:
    key, own = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else ("", value)
    box = convert(own, tuple[Mm, Mm, Side, Side]) if key == "frame" else None
    if box:
        return Frame(Box.of(*box))
    if key == "blank" and isinstance(own, str):
        name, _, number = own.partition(":")
        page = convert(number or "1", int)
        if page is not None and page > 0:
            return Blank(name, problems.read(name, MAX_BLANK, place), page)
    if value != "markers":
        problems.wrong(place, value)
    return Markers()


def _check_places(page: PageType, place: str, problems: Problems) -> None:
    """Add the boxes that are outside the page, over each other, or over the marks of a form of ours."""
    frames = {"register": page.register.box} if isinstance(page.register, Frame) else {}
    fields = [field for field in page.fields if not problems.are_at(f"{place}.fields.{field.name}")]
    for key, box in (frames | {f"fields.{field.name}": field.box for field in fields}).items():
        if not Box(0, 0, page.width, page.height).contains(box):
            values = {"right": box.right, "bottom": box.bottom, "width": page.width, "height": page.height}
            problems.add(f"{place}.{key}", "outside", **{name: f"{value:g}" for name, value in values.items()})
    is_own = isinstance(page.register, Markers)  # on other forms, a picture may be kept of an area with fields
    placed = [("", box) for box in reserved(page)] if is_own else []
    placed += [(field.name, box) for field in fields if is_own or field.kind != "crop" for box in field.boxes]
    if len(placed) > MAX_BOXES:
        problems.add(f"{place}.fields", "too_many", count=len(placed), limit=MAX_BOXES)
        return
    overlaps: dict[tuple[str, str], tuple[Box, Box]] = {}
    for (first, other), (second, box) in combinations(placed, 2):
        if second and box.overlaps(other):
            overlaps.setdefault((first, second), (box, other))
    for (first, second), boxes in overlaps.items():
        shown, at = (f"[{', '.join(f'{side:g}' for side in sides)}]" for sides in boxes)
        problems.add(f"{place}.fields.{second}", "overlap" if first else "reserved", other=first, box=shown, at=at)


def _sums(place: str, keys: PageKeys, page: PageType, problems: Problems) -> tuple[Sum, ...]:
    numbers = [field.name for field in page.fields if field.kind in ("cells", "string") and not field.rules.date]
    for total, parts in () if problems.are_at(f"{place}.fields") else keys.sums.items():
        for name in (name for name in (total, *parts) if name not in numbers):
            problems.add(f"{place}.sums.{total}", "no_number", name=name, near=suggestion(name, numbers))
        if len({total, *parts}) <= max(1, len(parts)):
            problems.add(f"{place}.sums.{total}", "sum_twice", total=total)
    return tuple(Sum(total, tuple(parts)) for total, parts in keys.sums.items())


def _without_printed(content: Any) -> Any:
    """Return the content of a template without what only a printed form shows."""
    if not isinstance(content, dict):
        return content
    return {key: _without_printed(value) for key, value in content.items() if key not in PRINTED}
