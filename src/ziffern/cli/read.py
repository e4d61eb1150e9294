"""`ziffern read`: numbers from scanned or photographed pages, to standard output or a table and a folder beside it.

Decisions: without `-o` nothing is written; with it, the folder of the same name has the pictures, the report, and what
`ziffern verify` needs; a page that cannot be read keeps its row, and the exit status is 1.
"""

import argparse
import csv
import io
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ziffern.cli.predict import share
from ziffern.config.command import program, shell_words
from ziffern.errors import InputError
from ziffern.files.atomic import refuse_existing, write_atomically
from ziffern.files.rows import SUFFIXES, row_writer
from ziffern.text.language import terminal_words
from ziffern.text.printable import printable

if TYPE_CHECKING:
    from ziffern.reading.result import PageReading, Reading

CALIBRATE = "calibrate"
UNUSED_BY_CALIBRATE = {  # options without effect on `calibrate`, and their attributes
    "--template": "template",
    "--max-error": "max_error",
    "--what": "what",
    "--run": "model",
    "--calibration": "calibration",
}
FORMATS = SUFFIXES | {".json": "json"}
MAX_LINES = 5  # on pages that cannot be read


def add_parser(commands: Any) -> None:
    """Add `ziffern read` to the commands."""
    parser = commands.add_parser(
        "read",
        help="read numbers from forms, envelopes, grids and other pages: scans, photos, PDF, folders, ZIPs",
        epilog="`ziffern read calibrate BATCH ... -o FILE` collects checked fields for --calibration. Exit status 1: "
        "some pages could not be read, which their rows show.",
    )
    parser.add_argument("path", metavar="PATH", nargs="+", help="PDF, PNG, JPEG, TIFF or HEIC, folders or ZIPs of them")
    parser.add_argument("--template", metavar="FILE", type=Path, help="where the fields are (see ziffern form)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="the table: .csv, .json, .jsonl or .parquet (default: print)"
    )
    parser.add_argument(
        "--max-error",
        metavar="SHARE",
        type=share,
        default=0.01,
        help="the largest allowed share of wrong values among the accepted ones (default: 1%%)",
    )
    parser.add_argument(
        "--what",
        choices=("auto", "digit", "row", "grid", "string"),
        default="auto",
        help="what is on a page, without a template (default: auto)",
    )
    parser.add_argument("--run", metavar="RUN", dest="model", help="a model of yours (default: the reader's own)")
    parser.add_argument("--calibration", metavar="FILE", type=Path, help="checked fields from `ziffern read calibrate`")
    parser.add_argument("--language", metavar="CODE", help="en or de (default: the terminal's)")
    defaults = {option: parser.get_default(name) for option, name in UNUSED_BY_CALIBRATE.items()}
    parser.set_defaults(run=_read, defaults=defaults)


def _read(arguments: argparse.Namespace) -> None:
    if arguments.path[0] == CALIBRATE and not Path(CALIBRATE).exists():
        _calibrate(arguments)
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each page has a thread of its own; read by numpy's import
    import cv2

    from ziffern.api.reading import read_with_notes

    cv2.setNumThreads(1)
    output = arguments.output
    form = FORMATS.get(output.suffix.lower()) if output else None
    if output and form is None:
        raise InputError("cli.read.suffix", path=output, known=list(FORMATS))
    if output and output.is_dir():
        raise InputError("cli.output.folder", path=output)
    if output and output.exists():
        raise InputError("reading.batch.exists", path=output)
    folder = output.with_suffix("") if output else None
    result, notes = read_with_notes(
        [Path(path).expanduser() for path in arguments.path],
        template=arguments.template,
        what=arguments.what,
        max_error=arguments.max_error,
        model=arguments.model,
        calibration=arguments.calibration,
        folder=folder,
    )
    if output and form:
        write_atomically(output, lambda file: _write(result, form, file))
    else:
        for page in result.pages:
            _print_page(page, alone=len(result.pages) == 1)
    _print_notes(result, notes, output, folder)
    if any(page.problem for page in result.pages):
        sys.exit(1)


def _write(result: "Reading", form: str, file: IO[bytes]) -> None:
    if form == "json":
        import msgspec

        file.write(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
        return
    if form == "csv":  # without pandas, which takes half a second and 50 MB
        text = io.TextIOWrapper(file, "utf-8", newline="")
        table = csv.DictWriter(text, result.columns, lineterminator="\n")
        table.writeheader()
        table.writerows(page.row() for page in result.pages)
        text.flush()
        text.detach()
        return
    with row_writer(form, file) as write_rows:
        frame = result.to_frame()
        kinds = {"page": "int64", "to_check": "int64"}
        write_rows(frame.astype(kinds | dict.fromkeys(frame.filter(regex="_probability$"), "float64")))


def _print_page(page: "PageReading", alone: bool) -> None:
    """Print the fields of a page, one per line; a question mark follows a guess that a person must check."""
    words, where = terminal_words(), "" if alone else printable(f"{page.source} {page.number}: ")
    if page.kind == "grid" and page.residual is None:
        rows: dict[str, str] = defaultdict(str)
        for item in page.fields:
            rows[item.name.partition("c")[0]] += f"{item.guess or '.'}{'?' if item.value is None else ' '} "
        print("\n".join(f"{where}{row.rstrip()}" for row in rows.values()))
        return
    shown = [item for item in page.fields if item.status != "picture"]
    for item in shown:
        guess = item.guess or words("read.nothing")
        name = "" if len(page.fields) == 1 else f"{printable(item.name)}: "
        doubt = f"?  {printable(item.why)}" if item.value is None else ""
        print(f"{where}{name}{printable(guess)}{doubt}")


def _print_notes(result: "Reading", notes: list[Any], output: Path | None, folder: Path | None) -> None:

    words, counts = terminal_words(), result.counts
    lines = [words("start.about_data", text=printable(note)) for note in notes]
    problems = [page for page in result.pages if page.problem]
    for page in problems[:MAX_LINES]:
        where = "" if page.source in page.why else f"{page.source} {page.number}: "
        lines.append(words("read.problem", text=printable(f"{where}{page.why}")))
    if len(problems) > MAX_LINES:
        lines.append(words("read.more_problems", count=len(problems) - MAX_LINES))
    lines += [words("read.warning", text=printable(warning.text())) for warning in result.warnings]
    if not output and len(result.pages) == 1 and result.pages[0].kind and result.pages[0].residual is None:
        lines.append(words("read.found", what=words(f"read.kind.{result.pages[0].kind}")))
    if counts:
        values = {status: words.number(counts[status]) for status in ("accepted", "review", "empty")}
        lines.append(words("read.counts", count=len(result.pages), **values))
    if counts["accepted"]:
        lines.append(words("read.promise", max_error=words.share(result.max_error)))
    if output and folder:
        lines.append(words("read.written", path=printable(output), report=printable(folder / "report.html")))
        if counts["review"]:
            lines.append(words("read.verify", command=shell_words([program("ziffern"), "verify", str(folder)])))
    for line in filter(None, lines):
        print(line, file=sys.stderr)


def _calibrate(arguments: argparse.Namespace) -> None:
    from ziffern.reading.calibrate import calibrate, write_calibration

    folders = [Path(path) for path in arguments.path[1:]]
    if not folders or arguments.output is None:
        raise InputError("cli.read.calibrate")
    for option, name in UNUSED_BY_CALIBRATE.items():
        if getattr(arguments, name) != arguments.defaults[option]:
            raise InputError("cli.read.no_effect", option=option)
    refuse_existing(arguments.output)
    calibration, unchecked = calibrate(folders)
    write_calibration(calibration, arguments.output)
    words = terminal_words()
    for name, items in calibration.fields.items():
        wrong = sum(not hit for _, hit in items)
        print(words("read.calibrated", name=printable(name), count=words.number(len(items)), wrong=words.number(wrong)))
    for name, count in unchecked.items():
        if name not in calibration.fields:
            print(words("read.unchecked", name=printable(name), count=words.number(count)), file=sys.stderr)
