"""`ziffern predict`: one row per image, to standard output or a file.

Decisions: only rows go to standard output, and everything else to standard error; a file appears only once it is
complete, and replaces an older one, as pages do; a picture that cannot be read keeps its row, and the exit status is 1.
"""

import argparse
import os
import signal
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
    from ziffern.data.inputs import Batch, ImageStream
    from ziffern.runs.predictor import Answers, Predictor

UNREADABLE = "unreadable"
MAX_LINES = 5  # on images that cannot be read
DIGITS = 6  # decimals of a probability
STATUSES = ("accepted", "review", "not a digit", UNREADABLE)


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
        type=_share,
        help="accept only answers of which at most this share is wrong, such as 0.001 or 0.1%%; others get the status "
        "review",
    )
    parser.add_argument("--submission", action="store_true", help="write the two columns of a Kaggle submission")
    parser.add_argument("--header", metavar="ID,LABEL", help="their names (default: ImageId,Label)")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="(default: best)")
    parser.add_argument("--language", metavar="CODE", help="en or de (default: the terminal's)")
    parser.set_defaults(run=_predict)


def _share(text: str) -> float:
    share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 < share < 1:
        raise ValueError
    return share


_share.__name__ = "share"  # in argparse's message


def _predict(arguments: argparse.Namespace) -> None:
    from ziffern.data.inputs import images_of

    output = arguments.output
    _check_output(output, arguments.path)
    form, header = _format(arguments), _header(arguments)
    predictor = _predictor(arguments)
    sources = [sys.stdin.buffer if path == "-" else Path(path).expanduser() for path in arguments.path]
    inference, counts = predictor.inference, Counter[str]()
    images = images_of(sources, predictor.shape, inference.prepare, inference.dark_ground)

    def write(file: IO[bytes]) -> None:
        counts.update(_write(file, form, header, images, predictor, output is not None))

    if output is None:
        _to_standard_output(write)
    elif output.exists() and not output.is_file():  # a device or pipe, which must not be replaced
        with writing(output), output.open("wb") as file:
            write(file)
    else:
        write_atomically(output, write)
    _print_notes(arguments, images, counts)
    if counts[UNREADABLE]:
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
    names: list[str] = (arguments.header or "ImageId,Label").split(",")
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
    from ziffern.runs.predictor import Predictor, TorchClassifier

    run = load(arguments.model)
    inference, model = run.load_inference(arguments.checkpoint), run.load_model(arguments.checkpoint)
    classifier = TorchClassifier(model, inference.temperature)
    return Predictor(classifier, inference, run.class_names, model.normalize.image, arguments.max_error)


def _write(
    file: IO[bytes], form: str, header: list[str] | None, images: "ImageStream", predictor: "Predictor", to_file: bool
) -> Counter[str]:
    """Write a row for each image, and return how many have each status."""
    from ziffern.data.progress import watched

    counts = Counter[str]()
    shows_rows = not to_file and sys.stdout.isatty()
    batches = (
        images
        if shows_rows
        else watched(images, images.count, lambda batch: len(batch.names), "data.progress.predicting")
    )
    types = {
        name: "double" if "prob" in name or name == "is_digit" else "string" for name in (header or _columns(predictor))
    }
    with row_writer(form, file, types) as write:
        for batch in batches:
            for problem in batch.problems:
                if problem is not None and counts["lines"] < MAX_LINES:
                    counts["lines"] += 1
                    print(terminal_words()("predict.unreadable", text=printable(problem)), file=sys.stderr)
            names = [name.encode("utf-8", "backslashreplace").decode() for name in batch.names]  # may be any bytes
            names = list(map(printable, names)) if shows_rows else names
            start = sum(counts[status] for status in STATUSES)
            block = _block(batch._replace(names=names), predictor.predict(batch.images), predictor.class_names)
            counts.update(block["status"])
            if header:
                numbers = list(map(str, range(start + 1, start + 1 + len(names))))
                block = {header[0]: names if images.has_ids else numbers, header[1]: block["label"]}
            write(block)
    return counts


def _columns(predictor: "Predictor") -> list[str]:
    columns = ["name", "label", "probability", "second", "second_probability", "status"]
    return columns + (["is_digit"] if predictor.inference.negatives is not None else [])


def _block(batch: "Batch", answers: "Answers", class_names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Return the columns of a batch; those of an image that cannot be read are empty."""
    import numpy as np

    rows, table = np.arange(len(batch.names)), np.array(class_names, object)
    share = answers.probability.astype(np.float64).round(DIGITS)
    block: dict[str, list[Any]] = {
        "name": batch.names,
        "label": table[answers.label].tolist(),
        "probability": share[rows, answers.label].tolist(),
        "second": table[answers.second].tolist(),
        "second_probability": share[rows, answers.second].tolist(),
        "status": answers.status.tolist(),
    }
    if answers.is_digit is not None:
        block["is_digit"] = answers.is_digit.astype(np.float64).round(DIGITS).tolist()
    for place in (place for place, problem in enumerate(batch.problems) if problem is not None):
        for name in block.keys() - {"name"}:
            block[name][place] = UNREADABLE if name == "status" else None
    return block


def _to_standard_output(write: Any) -> None:
    sys.stdout.flush()
    try:
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # the reader, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None


def _print_notes(arguments: argparse.Namespace, images: "ImageStream", counts: Counter[str]) -> None:
    words = terminal_words()
    lines = []
    if counts[UNREADABLE] > MAX_LINES:
        lines.append(words("predict.more_unreadable", count=counts[UNREADABLE] - MAX_LINES))
    lines += [words("start.about_data", text=printable(note)) for note in images.notes]
    total = sum(counts[status] for status in STATUSES)
    if arguments.output:
        lines.append(words("predict.written", count=total, path=printable(arguments.output)))
    if images.has_labels and len(arguments.path) == 1 and Path(arguments.path[0]).exists():
        command = shell_words([program("ziffern"), "evaluate", arguments.model, "--data", arguments.path[0]])
        lines += [words("predict.evaluate", command=command)] if Path(arguments.model).exists() else []
    for line in lines:
        print(line, file=sys.stderr)
