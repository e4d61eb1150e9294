"""Read pages: each page on its own in several threads, then the values of all of them together."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from ziffern.analysis.guarantee import Counts
from ziffern.errors import InputError
from ziffern.reading.batch import BatchFolder
from ziffern.reading.draft import Draft
from ziffern.reading.drift import drift
from ziffern.reading.fields import classifier, found_fields, template_fields
from ziffern.reading.layout import Sum
from ziffern.reading.page import Page, PageProblem
from ziffern.reading.result import Limits, PageReading, Reading, Reason
from ziffern.reading.values import Decisions
from ziffern.text.catalog import Message

if TYPE_CHECKING:
    from ziffern.reading.find import Note, What
    from ziffern.reading.layout import Template
    from ziffern.reading.model import ReaderModel

MAX_THREADS = 8
MAX_NAMES = 5  # of fields or pages in a warning


@dataclass
class _PageDraft:
    reading: PageReading
    fields: list[Draft] = field(default_factory=list)
    crops: list[str] = field(default_factory=list)
    sums: tuple[Sum, ...] = ()
    template: "Template | None" = None
    notes: "tuple[Note, ...]" = ()


def read_pages(
    pages: Iterable[Page | PageProblem],
    model: "ReaderModel",
    *,
    template: "Template | None" = None,
    what: "What" = "auto",
    max_error: float = 0.01,
    checked: Mapping[str, Counts] | None = None,
    folder: BatchFolder | None = None,
) -> Reading:
    """Return what is on the pages; a page that cannot be read has a problem instead of fields.

    Args:
        pages: From `ziffern.reading.pages.pages_of`.
        model: Classifies digits.
        template: Where the fields are; None finds them.
        what: What is on a page, without a template.
        max_error: The largest allowed share of wrong values among the accepted ones, in (0, 1).
        checked: Counts of checked fields of earlier batches by field name, from `ziffern.reading.calibrate`.
        folder: Where the pictures of pages and fields are written; None writes none.

    Raises:
        InputError: max_error is out of range, or there are both a template and `what`.
    """
    if not 0 < max_error < 1:
        raise InputError("runs.predict.max_error", value=max_error)
    if template is not None and what != "auto":
        raise InputError("reading.find.template", what=what)

    def read(number: int, page: Page | PageProblem) -> _PageDraft:
        start = PageReading(page.source, page.number)
        if isinstance(page, PageProblem):
            return _PageDraft(replace(start, problem=_reason(page.error)))
        try:
            return _read_page(number, page, start, model, template, what, folder)
        except OSError:  # such as a full disk, on which no other page could be written either
            raise
        except Exception as error:  # a page that nobody expected must not take all others with it
            problem = error if isinstance(error, InputError) else _failed(page, error)
            image = folder.add_page(number, page.gray) if folder else ""
            return _PageDraft(replace(start, image=image, problem=_reason(problem)))

    drafts = list(_in_threads(read, pages))
    decisions = Decisions(model.calibration, max_error, checked)
    values = decisions.fields([draft.fields for draft in drafts], [draft.sums for draft in drafts])
    results = []
    for draft, fields in zip(drafts, values, strict=True):
        named = zip(fields, draft.crops or [""] * len(fields), strict=True)
        whole = [replace(item, crop=crop) for item, crop in named]
        results.append(replace(draft.reading, fields=whole))
    warnings = [*_notes(drafts), *_without_guarantee(decisions.problems)]
    names = {item.name for draft in drafts for item in draft.fields}
    if checked and names and not names & checked.keys():
        warnings.append(Reason("reading.warning.calibration", {"fields": _list(list(checked))}))
    figures = [some for draft in drafts for item in draft.fields for some in item.figures]
    warnings += drift(model, np.concatenate(figures)) if figures else []
    used = {draft.template.version if draft.template else "": draft.template for draft in drafts if draft.reading.kind}
    if template is None and len(used) == 1:
        (template,) = used.values()
    items = [item for kind in (template.pages if template else ()) for item in kind.fields]
    rules = {item.name: item.rules for item in items if item.kind != "crop"}
    return Reading(
        1,
        datetime.now(UTC).isoformat(timespec="seconds"),
        template.name if template else "",
        model.name,
        max_error,
        results,
        decisions.guarantees,
        warnings,
        {name: list(of.values) for name, of in rules.items() if of.values},
        {name: Limits(*(getattr(of, key) for key in Limits.__struct_fields__)) for name, of in rules.items()},
    )


def _read_page(
    number: int,
    page: Page,
    start: PageReading,
    model: "ReaderModel",
    template: "Template | None",
    what: "What",
    folder: BatchFolder | None,
) -> _PageDraft:
    from ziffern.reading.find import Note, find
    from ziffern.reading.registration import PIXELS_PER_MM, register

    notes: tuple[Note, ...] = ()
    if template is None and what == "auto":
        template = _printed_template(page)
    if template is not None:
        registered = register(page, template)
        kind, residual, gray = registered.kind.name, registered.residual, registered.gray
        sums = registered.kind.sums
        fields = template_fields(registered, model, PIXELS_PER_MM)
    else:
        found = find(page.gray, what, classifier(model))
        kind, residual, gray, sums, notes = found.kind, None, found.gray, (), found.notes
        fields, left_out = found_fields(found, model)
        if left_out:
            others = [note for note in notes if note.kind == "boxes"]
            notes = (
                *(note for note in notes if note not in others),
                Note("boxes", sum(note.number for note in others) + left_out),
            )
    image, crops = "", []
    if folder is not None:
        image = folder.add_page(number, gray)
        crops = [
            folder.add_crop(number, place, item.crop) for place, item in enumerate(fields, 1) if item.crop is not None
        ]
    for item in fields:
        item.crop = None
    return _PageDraft(replace(start, kind=kind, image=image, residual=residual), fields, crops, sums, template, notes)


def _printed_template(page: Page) -> "Template | None":
    """Return the template that a form of ours carries in its QR code; None if the page is no form of ours."""
    from ziffern.reading.codes import find_template
    from ziffern.reading.landmarks import MIN_MARKERS, find_markers

    found = len(find_markers(page.gray))
    if found < MIN_MARKERS:
        if found == MIN_MARKERS - 1:  # one alone may be chance
            raise InputError("reading.registration.markers", path=page.source, page=page.number, count=found)
        return None
    if template := find_template(page.gray):
        return template
    raise InputError("reading.find.needs_template", path=page.source, page=page.number)


def _in_threads(
    read: Callable[[int, Page | PageProblem], _PageDraft], pages: Iterable[Page | PageProblem]
) -> Iterator[_PageDraft]:
    """Yield one result per page, in order; pages are decoded in this thread, few ahead of those that are read."""
    threads = min(MAX_THREADS, len(os.sched_getaffinity(0)))
    waiting: deque[Future[_PageDraft]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for number, page in enumerate(pages, 1):
                waiting.append(pool.submit(read, number, page))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _failed(page: Page, error: Exception) -> InputError:
    return InputError("reading.pages.failed", path=page.source, page=page.number, reason=repr(error)[:200])


def _notes(drafts: Iterable[_PageDraft]) -> list[Reason]:
    """Return one warning for all pages of which the same must be known."""
    groups: dict[tuple[str, int], list[str]] = {}
    for draft in drafts:
        for note in draft.notes:
            groups.setdefault((note.kind, note.number), []).append(f"{draft.reading.source} {draft.reading.number}")
    return [
        Reason(f"reading.warning.{kind}", {"pages": _list(pages), "count": count})
        for (kind, count), pages in groups.items()
    ]


def _list(names: Sequence[str]) -> str:
    more = [f"… {names[-1]}"] if len(names) > MAX_NAMES else []
    return ", ".join([*names[:MAX_NAMES], *more])


def _without_guarantee(problems: Mapping[str, InputError]) -> list[Reason]:
    """Return one warning for all fields that lack the same evidence."""
    groups: dict[tuple[str, object], list[str]] = {}
    for name, error in problems.items():
        groups.setdefault((error.code, error.message.values["total"]), []).append(name)
    warnings = []
    for names in groups.values():
        reason = _reason(max((problems[name] for name in names), key=lambda error: error.message.values["needed"]))  # type: ignore[arg-type,return-value]
        warnings.append(replace(reason, values=reason.values | {"field": _list(names)}))
    return warnings


def _reason(error: InputError) -> Reason:
    """Return an error's code and values, as JSON can hold them."""
    values: dict[str, str | int | float] = {}
    for name, value in error.message.values.items():
        plain = isinstance(value, str | int | float) and not isinstance(value, bool)
        values[name] = value if plain else str(Message("reading.value", value=value))  # type: ignore[assignment]
    return Reason(error.code, values)
