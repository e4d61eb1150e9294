"""The report of a batch of pages: what was read and accepted, the guarantee, and which fields a person must check."""

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ziffern.files.untrusted import open_below
from ziffern.reading.result import ACCEPTED, EMPTY, PICTURE, REVIEW, Guarantee, Reading
from ziffern.report.page import png_uri, write_page
from ziffern.text.language import Language, terminal_language

NAME = "report.html"
MAX_SHOWN = 200  # doubtful fields, and pages with a problem
MAX_NAMES = 4  # of fields with the same guarantee
MAX_CROP = 2**20  # bytes of a picture


def write_report(result: Reading, folder: Path, language: str | None = None) -> Path:
    """Write the report of a batch into its folder, and return its path.

    Args:
        result: The reading.
        folder: Where its pictures are.
        language: en or de; that of the terminal if None.
    """
    t = Language(language or terminal_language.get())
    path = folder / NAME
    write_page(path, "reading.html", t, page_context(result, folder, t))
    return path


def page_context(result: Reading, folder: Path, t: Language) -> dict[str, Any]:
    """Return the context of the reading template."""
    counts, pages = result.counts, [(page, page.problem) for page in result.pages if page.problem]
    by_field: dict[str, Counter[str]] = {}
    for page in result.pages:
        for item in (item for item in page.fields if item.status != PICTURE):
            by_field.setdefault(item.name, Counter())[item.status] += 1
    doubtful = sorted(
        ((page, item) for page in result.pages for item in page.fields if item.status == REVIEW),
        key=lambda pair: pair[1].probability,
    )
    return {
        "title": t("reading.title", template=result.template or t("reading.no_template")),
        "result": result,
        "created": f"{result.created[:16].replace('T', ' ')} UTC",
        "counts": {status: counts[status] for status in (ACCEPTED, REVIEW, EMPTY)},
        "total": counts.total() - counts[PICTURE],
        "warnings": [f"{text[:1].upper()}{text[1:]}" for text in (item.text(t.code) for item in result.warnings)],
        "by_field": by_field if len(result.pages) > 1 else {},
        "guarantees": _grouped(result.guarantees),
        "doubtful": [
            {
                "picture": Markup(_picture(folder, item.crop)),
                "guess": item.guess,
                "name": item.name,
                "page": f"{page.source} · {page.number}",
                "probability": item.probability,
                "reason": item.reason.text(t.code) if item.reason else "",
            }
            for page, item in islice(doubtful, MAX_SHOWN)
        ],
        "more_doubtful": max(0, len(doubtful) - MAX_SHOWN),
        "problems": [(f"{page.source} · {page.number}", why.text(t.code)) for page, why in pages[:MAX_SHOWN]],
        "more_problems": max(0, len(pages) - MAX_SHOWN),
    }


def _grouped(guarantees: Mapping[str, Guarantee]) -> list[tuple[str, Guarantee]]:
    """Return each guarantee once, with the names of its fields; many names are shortened."""
    names: dict[Guarantee, list[str]] = {}
    for name, item in guarantees.items():
        names.setdefault(item, []).append(name)
    return [
        (", ".join(some) if len(some) <= MAX_NAMES else f"{some[0]} … {some[-1]}", item) for item, some in names.items()
    ]


def _picture(folder: Path, name: str) -> str:
    if not name:
        return ""
    with open_below(folder, name, MAX_CROP) as file:
        return png_uri(file.read())
