"""The page docs/benchmark_reader.md from the figures of `benchmark_pages.py`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from page_truth import KINDS
from results_page import table

GOAL_SPEED, GOAL_MEMORY, GOAL_KEPT = 8, 300, 95  # pages per second, MB, repetitions of 100


def shown(share: Mapping[str, Any], digits: int = 1) -> str:
    """Return a share with its interval."""
    if not share["total"]:
        return "none"
    low, high = (f"{100 * side:.{digits}f}" for side in share["interval"])
    value = f"{100 * share['count'] / share['total']:.{digits}f}"
    return f"{value} % ({low} to {high})"


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return table(header, rows).strip()


def _row(name: str, part: Mapping[str, Any]) -> list[str]:
    cells = [name, f"{part['right']['total']:,}", shown(part["right"])]
    for accepted, wrong in zip(part["accepted"], part["wrong"], strict=True):
        cells += [shown(accepted), f"{wrong['count']}: {shown(wrong, 2)}" if wrong["total"] else "–"]
    return cells


def pages_part(pages: Mapping[str, Any], unseen: bool) -> Iterable[str]:
    """Yield the paragraphs on degraded pages."""
    registered = pages["registered"]
    total = sum(part["total"] for part in registered.values())
    levels = [f"{kept['level']:.0%}".replace("%", " %") for kept in pages["guarantee"]]
    digits = (
        "MNIST's 10,000 test digits, which the packaged model has never seen"
        if unseen
        else "the 5,000 embedded digits, most of which the packaged model was trained on, so the figures are too good"
    )
    found = (f"{part['count']:,} of {part['total']:,} {name}, {shown(part)}" for name, part in registered.items())
    yield f"""## Degraded pages

{total:,} pages of a form with ten fields, filled in with {digits}. A third are photos in any direction, with
perspective, curl and shadow; the others are scans, slightly turned, with a fold. All have blur, noise and JPEG
artifacts. Their true values are known.

Registered: {"; ".join(found)}."""
    header = ["field", "n", "right"]
    for level in levels:
        header += [f"accepted at {level}", f"wrong among these, at {level}"]
    rows = [_row(f"{name}: {text}", pages["fields"][name]) for name, text in KINDS.items()]
    rows += [_row(f"all {name}", pages[name]) for name in ("scans", "photos")] + [_row("all", pages["all"])]
    yield _table(header, rows)
    yield (
        "Exact binomial intervals at 95 %. A field of which nothing is accepted has no proven threshold at this level: "
        "the labeled digits in the package are too few or too hard for it."
    )
    yield f"""### Was the guarantee kept?

In how many of 100 repetitions at most the allowed share of all accepted values was wrong (aim: at least {GOAL_KEPT}).
A repetition is a sample of as many pages, drawn with replacement; beside it, the {pages["batches"]} disjoint batches,
which are small, so that one error is often too many."""
    rows = [
        [
            level,
            kept["samples_kept"],
            f"{kept['batches_kept']} of {pages['batches']}",
            f"{min(kept['samples_kept_by_field'].values())} "
            f"({min(kept['samples_kept_by_field'], key=kept['samples_kept_by_field'].__getitem__)})",
        ]
        for level, kept in zip(levels, pages["guarantee"], strict=True)
    ]
    yield _table(["allowed", "of 100 samples", "disjoint batches", "of 100 samples, worst field"], rows)
    yield f"Making and reading the pages, each read once per level: {pages['seconds']:,.0f} seconds."


def speed_part(speed: Mapping[str, Any]) -> Iterable[str]:
    """Yield the paragraphs on speed."""
    one, many, count = speed["one"], speed["many"], speed["pages"]
    rows = [
        ["pages per second, with the start", f"{count / many['seconds']:.1f}", f"at least {GOAL_SPEED}"],
        ["CPU seconds per page", f"{(many['cpu_seconds'] - one['cpu_seconds']) / max(1, count - 1):.3f}", ""],
        ["peak memory, MB", f"{many['megabytes']:.0f}", f"below {GOAL_MEMORY}"],
        ["one page, seconds", f"{one['seconds']:.1f}", ""],
    ]
    yield (
        f"## Speed\n\nOne `ziffern read` of {count:,} scans at 200 dpi (PNG, {speed['file_kilobytes']:,.0f} kB on "
        "average) with ten fields each, in a fresh process on two cores, with table, pictures and report."
    )
    yield _table(["", "measured", "aim"], rows)


def others_part(others: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Yield the paragraphs on other programs."""
    count, total = others[0]["others"]["digits"], others[0]["all"]["digits"]
    yield f"""## Beside other programs

The cells of NSYSU-digits (Hong, Lin and Pan), cut from students' exams. On the {total - count} cells of 2019, the
cut-out and the training of ziffern were chosen; on the {count} of other years, nothing was. Share answered: the largest
share of the most certain answers of which at most 1 % are wrong. A cell without an answer is wrong."""

    def cell(part: Mapping[str, Any], key: str) -> str:
        low, high = part[f"{key}_interval"]
        return f"{100 * part[key]:.1f} % ({100 * low:.1f} to {100 * high:.1f})"

    rows = [
        [
            item["name"],
            cell(item["others"], "accuracy"),
            cell(item["others"], "answered_at_0.01"),
            cell(item["all"], "accuracy"),
            cell(item["all"], "answered_at_0.01"),
            f"{item['unanswered'] / total:.1%}".replace("%", " %"),
            f"{item['seconds_per_1000']:.1f}",
        ]
        for item in others
    ]
    sizes = (f"n = {count}", f"n = {total:,}")
    header = ["program", *(f"{what}, {size}" for size in sizes for what in ("right", "answered at 1 % error"))]
    yield _table([*header, "without an answer", "seconds per 1,000"], rows)
    yield """Tesseract: `--psm 10`, digits only, all cells of a call in one TIFF, with a white border, one thread; with
enlarged cells it was worse. markus-exam-matcher looks for boxes, which these pictures lack: its thresholding, its
`process_num` and its network got the whole cell, enlarged three times; its confidence is the network's largest
probability, which the program itself does not use. Intervals: Wilson's, and 1,000 bootstrap samples."""


def reader_page(figures: Mapping[str, Any]) -> str:
    """Return the page in Markdown."""
    parts = ["# The reader\n\n`ziffern read` with the packaged model."]
    if "pages" in figures:
        parts += pages_part(figures["pages"], figures["unseen"])
    if "speed" in figures:
        parts += speed_part(figures["speed"])
    if "others" in figures:
        parts += others_part(figures["others"])
    machine = figures["machine"]
    parts += [
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f} at the start, opencv "
        f"{machine['opencv-python-headless']}, numpy {machine['numpy']}, {figures['date']}.",
        "Command: `python scripts/benchmark_pages.py --mnist FOLDER --nsysu FOLDER --markus PYTHON`",
    ]
    return "\n\n".join(parts) + "\n"
