"""`ziffern predict`: one row per image, to standard output or a file.

Decisions: only rows go to standard output, and everything else to standard error; a file appears only once it is
complete, and replaces an older one, as pages do; a picture that cannot be read keeps its row, and the exit status is 1.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ziffern.config.command import program, shell_words
from ziffern.errors import InputError
from ziffern.files.atomic import write_atomically, writing
from ziffern.files.rows import FORMATS, SUFFIXES, row_writer
from ziffern.text.language import terminal_words
from ziffern.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from ziffern.data.inputs import ImageStream
    from ziffern.runs.predictor import Predictor

MAX_LINES = 5  # on images that cannot be read
DIGITS = 6  # decimals of a probability
NAMES = "ImageId,Label"  # columns of a submission


def add_parser(commands: Any) -> None:
    """Add `ziffern predict` to the commands."""
    parser = commands.add_parser(
        "predict",
        help="predict on new images: pictures, folders, ZIPs, tables of pixels, arrays",
        epilog="Exit status 1: some images could not be read, which their rows show.",
    )
    parser.add_argument("model", metavar="RUN", help="a run folder, or builtin, the model in the package")
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="+",
        help="pictures, a folder or ZIP of them, CSV, npz, npy or IDX; FILE:NAME for one of its arrays or files; - for "
        "standard input",
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to a file instead of standard output")
    parser.add_argument("--format", choices=FORMATS, help="(default: that of the file's suffix, or csv)")
    parser.add_argument(
        "--max-error",
        metavar="SHARE",
        type=share,
        help="accept only answers of which at most this share is wrong, such as 0.001 or 0.1%%; others get the status "
        "review",
    )
    parser.add_argument(
        "--labeled", metavar="PATH", help="labeled images that --max-error rests on (default: the validation images)"
    )
    parser.add_argument("--submission", action="store_true", help="write the two columns of a Kaggle submission")
    parser.add_argument("--header", metavar="ID,LABEL", help=f"their names (default: {NAMES})")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="(default: best)")
    parser.add_argument("--language", metavar="CODE", help="en or de (default: the terminal's)")
    parser.set_defaults(run=_predict)


def share(text: str) -> float:
    """Return a share written as 0.01 or 1%."""
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


share.__name__ = "share"  # in argparse's message


def _predict(arguments: argparse.Namespace) -> None:
    output = arguments.output
    if arguments.labeled and arguments.max_error is None:
        raise InputError("cli.predict.labeled")
    if arguments.submission and arguments.max_error is not None:
        raise InputError("cli.predict.submission_review")
    _check_output(output, arguments.path)
    form, header = _format(arguments), _header(arguments)
    predictor = _predictor(arguments)
    sources = [sys.stdin.buffer if path == "-" else Path(path).expanduser() for path in arguments.path]
    images = predictor.images(sources)
    if not images.count:
        raise InputError("cli.predict.no_images", paths=arguments.path)
    counts = Counter[str]()

    def write(file: IO[bytes]) -> None:
        with row_writer(form, file) as write_rows:
            for block in _blocks(images, predictor, counts, output is None and sys.stdout.isatty()):
                write_rows(_submission(block, images, header, counts.total() - len(block)) if header else block)

    if output is None:
        _to_standard_output(write)
    elif output.exists() and not output.is_file():  # a device or pipe, which must not be replaced
        with writing(output), output.open("wb") as file:
            write(file)
    else:
        write_atomically(output, write)
    _print_notes(arguments, images, predictor, counts)
    if counts["unreadable"]:
        sys.exit(1)


def _format(arguments: argparse.Namespace) -> str:
    suffix = arguments.output.suffix.lower() if arguments.output else ".csv"
    form: str | None = arguments.format or SUFFIXES.get(suffix)
    if form is None:
        raise InputError("cli.predict.suffix", path=arguments.output, known=list(SUFFIXES))
    if form == "parquet" and arguments.output is None:
        raise InputError("cli.predict.binary")
    if arguments.submission and form != "csv":
        raise InputError("cli.predict.submission", form=form)
    return form


def _header(arguments: argparse.Namespace) -> list[str] | None:
    """Return the names of the two columns of a submission; None for the usual columns."""
    if not arguments.submission and arguments.header is None:
        return None
    names: list[str] = (arguments.header or NAMES).split(",")
    if len(set(names)) != 2 or not all(names) or not arguments.submission:  # noqa: PLR2004
        raise InputError("cli.predict.header", value=arguments.header)
    return names


def _check_output(output: Path | None, paths: list[str]) -> None:
    if paths.count("-") > 1:
        raise InputError("cli.predict.stdin")
    if output is not None and output.is_dir():
        raise InputError("cli.output.folder", path=output)
    if output is not None and output.exists() and any(Path(path).exists() and output.samefile(path) for path in paths):
        raise InputError("cli.predict.same", path=output)


def _predictor(arguments: argparse.Namespace) -> "Predictor":
    from ziffern.api import load

    return load(arguments.model).predictor(arguments.max_error, arguments.labeled, arguments.checkpoint)


def _blocks(
    images: "ImageStream", predictor: "Predictor", counts: Counter[str], is_terminal: bool
) -> "Iterator[pd.DataFrame]":
    """Yield a row for each image, and count them; without a progress bar if rows are shown on a terminal."""
    from ziffern.api import Predictions
    from ziffern.runs.predictor import UNREADABLE

    shown = 0
    for batch, answers in predictor.stream(images, shows_progress=not is_terminal):
        for problem in filter(None, batch.problems):
            shown += 1
            if shown <= MAX_LINES:
                print(terminal_words()("predict.unreadable", text=printable(problem)), file=sys.stderr)
        names = [name.encode("utf-8", "backslashreplace").decode() for name in batch.names]  # may be any bytes
        names = list(map(printable, names)) if is_terminal else names
        block = Predictions(tuple(names), predictor.class_names, answers).to_frame()
        shares = [str(name) for name, kind in block.dtypes.items() if kind.kind == "f"]
        block[shares] = block[shares].astype(float).round(DIGITS)
        block.loc[block["status"] == UNREADABLE, block.columns.difference(["name", "status"])] = None
        counts.update(block["status"])
        yield block


def _submission(block: "pd.DataFrame", images: "ImageStream", header: list[str], start: int) -> "pd.DataFrame":
    """Return the two columns of a submission; `start` rows precede the block."""
    numbered = block if images.has_ids else block.assign(name=range(start + 1, start + 1 + len(block)))
    return numbered[["name", "label"]].set_axis(header, axis=1)


def _to_standard_output(write: "Callable[[IO[bytes]], None]") -> None:
    sys.stdout.flush()
    write(sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _print_notes(
    arguments: argparse.Namespace, images: "ImageStream", predictor: "Predictor", counts: Counter[str]
) -> None:
    words, lines = terminal_words(), []
    if (more := counts["unreadable"] - MAX_LINES) > 0:
        lines.append(words("predict.more_unreadable", count=more))
    lines += [words("start.about_data", text=printable(note)) for note in images.notes]
    statuses = ", ".join(f"{words.number(count)} {status}" for status, count in counts.most_common())
    if arguments.output:
        lines.append(words("predict.written", count=counts.total(), path=printable(arguments.output), of=statuses))
    if chosen := predictor.threshold:
        values = {name: words.number(vars(chosen)[name]) for name in ("tested", "accepted", "errors")}
        values |= {"confidence": words.percent(chosen.confidence, 2), "max_error": words.percent(chosen.max_error, 2)}
        lines.append(words("predict.promise" if chosen.confidence else "predict.promise_of_all", **values))
    if images.has_labels and len(arguments.path) == 1 and Path(arguments.path[0]).exists():
        command = shell_words([program("ziffern"), "evaluate", arguments.model, "--data", *arguments.path])
        lines.append(words("predict.evaluate", command=command))
    for line in lines:
        print(line, file=sys.stderr)
