"""Measure the reader: degraded pages with known values, speed and memory, and other programs on the same cells.

    python scripts/benchmark_pages.py --mnist FOLDER [--nsysu FOLDER] [--markus PYTHON]

writes docs/benchmark_reader.md and docs/results/reader.json. 1,000 pages take about 20 minutes on two cores. Intervals
are exact binomial ones at 95 % (Clopper and Pearson), those of other programs Wilson's.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from page_truth import KINDS, PHOTOS, Batch, BatchResult, FieldResult, read_batch, write_form, write_scans
from reader_page import reader_page
from ziffern.files.atomic import write_json

LEVELS = (0.01, 0.02)
REPETITIONS = 100
START = "import os, sys; from ziffern.cli.main import main; main()"


def share(count: int, total: int) -> dict[str, Any]:
    """Return a share with its exact interval."""
    low, high = binomtest(count, total).proportion_ci(method="exact") if total else (0.0, 1.0)
    return {"count": count, "total": total, "interval": [float(low), float(high)]}


def in_processes(work: Callable[[Batch], Any], batches: Sequence[Batch], workers: int) -> Iterable[Any]:
    """Yield the result of each batch, in order."""
    with ProcessPoolExecutor(workers) as pool:
        for number, result in enumerate(pool.map(work, batches), 1):
            print(f"\r{work.__name__}: {number} of {len(batches)}", end="", file=sys.stderr)
            yield result
    print(file=sys.stderr)


def summary(fields: Sequence[FieldResult]) -> dict[str, Any]:
    """Return how many fields are right, accepted, and wrong among the accepted ones."""
    accepted = [[item for item in fields if item.accepted[place] is not None] for place in range(len(LEVELS))]
    wrong = [sum(item.accepted[place] != item.truth for item in some) for place, some in enumerate(accepted)]
    return {
        "right": share(sum(item.guess == item.truth for item in fields), len(fields)),
        "accepted": [share(len(some), len(fields)) for some in accepted],
        "wrong": [share(count, len(some)) for count, some in zip(wrong, accepted, strict=True)],
    }


def repetitions(fields: Sequence[FieldResult], pages: int, place: int, names: Sequence[str]) -> int:
    """Return in how many of REPETITIONS samples of the pages, drawn with replacement, a level is kept."""
    accepted, wrong = np.zeros(pages), np.zeros(pages)
    for item in fields:
        if item.name in names and item.accepted[place] is not None:
            accepted[item.page] += 1
            wrong[item.page] += item.accepted[place] != item.truth
    drawn = np.random.default_rng(0).integers(0, pages, (REPETITIONS, pages))
    return int((wrong[drawn].sum(1) <= LEVELS[place] * accepted[drawn].sum(1)).sum())


def measure_pages(folder: Path, pages: int, mnist: Path | None, workers: int) -> dict[str, Any]:
    """Return the figures of degraded pages."""
    size = max(1, pages // REPETITIONS)
    batches = [Batch(folder, range(at, min(at + size, pages)), LEVELS, mnist) for at in range(0, pages, size)]
    start = time.perf_counter()
    results: list[BatchResult] = list(in_processes(read_batch, batches, workers))
    fields = [item for result in results for item in result.fields]
    problems = [problem for result in results for problem in result.problems]
    photos = len(range(0, pages, PHOTOS))
    lost = sum(is_photo for _, is_photo, _ in problems)
    kept = []
    for place, level in enumerate(LEVELS):
        one = [summary(result.fields)["wrong"][place] for result in results]
        kept.append(
            {
                "level": level,
                "batches_kept": sum(item["count"] <= level * item["total"] for item in one),
                "samples_kept": repetitions(fields, pages, place, list(KINDS)),
                "samples_kept_by_field": {name: repetitions(fields, pages, place, [name]) for name in KINDS},
            }
        )
    return {
        "registered": {
            "scans": share(pages - photos - len(problems) + lost, pages - photos),
            "photos": share(photos - lost, photos),
        },
        "problems": [list(problem) for problem in problems],
        "fields": {name: summary([item for item in fields if item.name == name]) for name in KINDS},
        "scans": summary([item for item in fields if not item.is_photo]),
        "photos": summary([item for item in fields if item.is_photo]),
        "all": summary(fields),
        "batches": len(batches),
        "guarantee": kept,
        "warnings": sorted(set().union(*(result.warnings for result in results))),
        "wrong_accepted": [list(item) for item in fields if item.accepted[-1] not in (None, item.truth)],
        "reading_seconds": sum(result.seconds for result in results),
        "seconds": time.perf_counter() - start,
    }


def command(folder: Path, source: str, output: str) -> dict[str, float]:
    """Return seconds, CPU seconds and peak memory in MB of one `ziffern read` on at most two cores."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    given = ["read", str(folder / source), "--template", str(folder / "form.yaml"), "--max-error", str(LEVELS[-1])]
    start = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {cores}); {START}", *given, "-o", output],
        dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):  # 1: some page could not be registered
        raise RuntimeError(f"ziffern read ended with status {os.waitstatus_to_exitcode(status)}")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024}


def measure_speed(folder: Path, scans: int, mnist: Path | None, workers: int) -> dict[str, Any]:
    """Return the figures of one command that reads many scans, and of one that reads a single scan."""
    size = -(-scans // (4 * workers))
    batches = [Batch(folder, range(at, min(at + size, scans)), (), mnist) for at in range(0, scans, size)]
    list(in_processes(write_scans, batches, workers))
    one = command(folder, "scans/0000.png", str(folder / "one.csv"))
    many = command(folder, "scans", str(folder / "many.csv"))
    size_of = np.mean([path.stat().st_size for path in (folder / "scans").iterdir()])
    return {"pages": scans, "file_kilobytes": float(size_of) / 1000, "one": one, "many": many}


def main() -> None:
    """Measure the chosen parts, and write the page and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=1000, help="degraded pages; 0 for none")
    parser.add_argument("--scans", type=int, default=200, help="files whose reading is timed; 0 for none")
    parser.add_argument("--mnist", type=Path, help="the unpacked MNIST; without it, embedded digits, which are known")
    parser.add_argument("--nsysu", type=Path, help="the folder of digits.csv and group.csv, for other programs")
    parser.add_argument("--markus", metavar="PYTHON", help="an interpreter that has markus-exam-matcher")
    parser.add_argument("--workers", type=int, default=2, help="processes that make and read pages")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmark_reader.md"))
    parser.add_argument("--figures", type=Path, default=Path("docs/results/reader.json"))
    options = parser.parse_args()
    packages = {name: version(name) for name in ("opencv-python-headless", "numpy")}
    figures: dict[str, Any] = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0], **packages},
        "date": str(date.today()),
        "unseen": options.mnist is not None,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_form(folder)
        if options.scans:
            figures["speed"] = measure_speed(folder, options.scans, options.mnist, options.workers)
        if options.pages:
            figures["pages"] = measure_pages(folder, options.pages, options.mnist, options.workers)
    if options.nsysu:
        from other_readers import compare

        figures["others"] = compare(options.nsysu, options.markus)
    from ziffern.training.recorder import processor_name  # which imports torch

    figures["machine"]["processor"] = processor_name()
    write_json(options.figures, figures)
    text = reader_page(figures)
    print(text)
    options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
