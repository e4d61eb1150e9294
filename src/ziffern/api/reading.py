"""Read pages from Python."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ziffern.reading.result import Reading

if TYPE_CHECKING:
    from ziffern.reading.find import What
    from ziffern.runs.run import Run
    from ziffern.text.catalog import Message


def read(
    paths: Any,
    *,
    template: str | PathLike[str] | None = None,
    what: "What" = "auto",
    max_error: float = 0.01,
    model: str | PathLike[str] | None = None,
    calibration: str | PathLike[str] | None = None,
    folder: str | PathLike[str] | None = None,
) -> Reading:
    """Read numbers from pages.

    Args:
        paths: A file (PDF, PNG, JPEG, TIFF, HEIC), a folder or a ZIP; an array (H, W) or (H, W, 3), uint8; a PIL image;
            or a list of these.
        template: The YAML file that says where the fields are; without it they are found.
        what: What is on a page without a template: auto, digit, row, grid or string.
        max_error: The largest allowed share of wrong values among the accepted ones, in (0, 1).
        model: A run folder; the reader's own model if None.
        calibration: A file from `ziffern read calibrate`, on which the guarantee rests.
        folder: A new folder for pictures and report, which `ziffern verify` opens.

    Raises:
        InputError: A path does not exist, the template has mistakes, there are both a template and `what`, or max_error
            is out of range. A page that cannot be read is no error: it has a `problem`. Nor is a max_error that cannot
            be guaranteed: `warnings` say so.
    """
    return read_with_notes(
        paths,
        template=template,
        what=what,
        max_error=max_error,
        model=model,
        calibration=calibration,
        folder=folder,
    )[0]


def read_with_notes(
    paths: Any,
    *,
    template: str | PathLike[str] | None,
    what: "What",
    max_error: float,
    model: str | PathLike[str] | None,
    calibration: str | PathLike[str] | None,
    folder: str | PathLike[str] | None,
) -> "tuple[Reading, list[Message]]":
    """Return a reading as `read` does, and what was assumed or left out."""
    from ziffern.data.progress import watched
    from ziffern.reading.batch import BatchFolder
    from ziffern.reading.calibrate import read_calibration
    from ziffern.reading.model import ReaderModel
    from ziffern.reading.pages import pages_of
    from ziffern.reading.read import read_pages
    from ziffern.reading.template import load_template
    from ziffern.report.reading_page import write_report

    form = None if template is None else load_template(Path(template))
    reader = ReaderModel.builtin() if model is None else ReaderModel.of_run(_run(model))
    checked = None if calibration is None else read_calibration(Path(calibration), reader.name)
    pages = pages_of(list(paths) if isinstance(paths, list | tuple) else [paths])
    batch = None if folder is None else BatchFolder(Path(folder).expanduser())
    files, size = (pages.files, pages.begun) if pages.files > 1 else (None, _one)  # the pages of a file are unknown
    shown = watched(pages, files, size, "data.progress.reading")
    try:
        result = read_pages(shown, reader, template=form, what=what, max_error=max_error, checked=checked, folder=batch)
        if batch is not None:
            write_report(result, batch.partial)
            batch.finish(result)
    finally:
        if batch is not None:
            batch.discard()
    return result, pages.notes


def _one(_page: object) -> int:
    return 1


def _run(model: str | PathLike[str]) -> "Run":
    from ziffern.api.functions import load

    return load(model)
