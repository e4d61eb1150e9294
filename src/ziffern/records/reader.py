"""Reading the files of a run folder that somebody else may have written.

Decisions: no link in the folder is followed, no file is read beyond its limit, and each is checked against its
declaration before it is used; an error names the file. Files that no result depends on (environment, overrides) are
ignored if they are damaged.
"""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from ziffern.config.upgrade import with_current_targets
from ziffern.data.spec import MNIST_SHAPE, with_channels
from ziffern.errors import InputError
from ziffern.files.untrusted import open_below, read_all, read_text, reading
from ziffern.records import arrays, schema
from ziffern.records.arrays import Material, Predictions
from ziffern.records.config import MAX_BYTES as MAX_YAML
from ziffern.records.config import parse_config, read_yaml
from ziffern.records.convert import from_json, from_plain
from ziffern.text.printable import printable

MAX_SIZES = {  # bytes
    ".hydra/config.yaml": MAX_YAML,
    ".hydra/overrides.yaml": MAX_YAML,
    "metrics.json": 2**20,
    "environment.json": 2**20,
    "history.csv": 20 * 2**20,
    "progress.jsonl": 64 * 2**20,
    "predictions.npz": arrays.MAX_UNPACKED,
    "data.npz": arrays.MAX_UNPACKED,
    "checkpoints/best.ckpt": 4 * 2**30,
    "checkpoints/last.ckpt": 4 * 2**30,
}
CONFIG = ".hydra/config.yaml"
SWEEPERS = ("StudySweeper", "OptunaQueueSweeper")  # of this version, and of earlier ones
MAX_MULTIRUN = 2**20  # bytes of multirun.yaml in a sweep folder


def is_search(folder: Path) -> bool:
    """Return whether this is the folder of a search for settings, which contains its trials."""
    try:
        text = read_text(folder / "multirun.yaml", MAX_MULTIRUN)
        return any(name in text for name in SWEEPERS)
    except (OSError, InputError):
        return False


def has(folder: Path, name: str) -> bool:
    """Return whether a run folder has an entry of that name, also one that is not a regular file."""
    return os.path.lexists(folder / name)


def open_file(folder: Path, name: str) -> BinaryIO:
    """Open a file of MAX_SIZES in a run folder.

    Raises:
        InputError: It is missing, not a regular file, reached through a link, or too large.
    """
    with reading(folder / name):
        try:
            return open_below(folder, name, MAX_SIZES[name])
        except (FileNotFoundError, NotADirectoryError):
            raise _missing(folder, name) from None


def read_configuration(folder: Path) -> dict[str, Any]:
    """Return the composed configuration as plain containers; resolver calls in it remain text."""
    return dict(with_current_targets(parse_config(_text(folder, CONFIG), folder / CONFIG)))


def read_overrides(folder: Path) -> list[str] | None:
    """Return the overrides as typed; None if they are missing or damaged."""
    try:
        return from_plain(read_yaml(_text(folder, ".hydra/overrides.yaml")), list[str])
    except (OSError, ValueError):
        return None


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return metrics.json."""
    text = _text(folder, "metrics.json")
    with naming(folder / "metrics.json"):
        return dict(from_json(text, schema.models().metrics))


def read_start(folder: Path) -> dict[str, Any]:
    """Return the last event `start` of progress.jsonl; empty if there is none."""
    if not has(folder, "progress.jsonl"):
        return {}
    # The last line may be incomplete; most lines are steps, which need not be parsed.
    lines = [line for line in _text(folder, "progress.jsonl").splitlines() if '"start"' in line]
    with naming(folder / "progress.jsonl"):
        starts = [from_json(line, schema.models().events["start"]) for line in lines if line.endswith("}")]
    return dict(starts[-1]) if starts else {}


def read_last_event(folder: Path) -> str:
    """Return the name of the last event in progress.jsonl; empty if it is missing or damaged."""
    try:
        return from_json(_text(folder, "progress.jsonl").splitlines()[-1], schema.Event)["event"]
    except (OSError, ValueError, LookupError):
        return ""


def read_environment(folder: Path) -> schema.Environment:
    """Return environment.json; empty if it is missing or damaged."""
    try:
        return from_json(_text(folder, "environment.json"), schema.Environment)
    except (OSError, ValueError):
        return {}


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return history.csv, one row per epoch."""
    text = _text(folder, "history.csv")
    rows: list[dict[str, float]] = []
    with naming(folder / "history.csv"):
        try:
            for row in csv.DictReader(text.splitlines()):
                rows.append(from_plain(row, cast(Any, schema.Epoch), from_text=True))
        except (InputError, csv.Error) as error:
            raise InputError("records.history.row", number=len(rows) + 1, problem=error) from error
    return rows


def read_predictions(folder: Path) -> Predictions:
    """Return predictions.npz; in runs of early versions it has no images."""
    path = folder / "predictions.npz"
    with open_file(folder, path.name) as file, naming(path, "records.predictions.unusable"):
        values = arrays.read_arrays(file, path, arrays.PREDICTIONS)
        if not {"mistake", "mistake_image"} & values.keys():
            values |= {"mistake": np.zeros(0, np.int64), "mistake_image": np.zeros((0, *MNIST_SHAPE), np.uint8)}
        values.setdefault("mistake_name", np.full(np.shape(values.get("mistake", ()))[:1], ""))  # of early versions
        if "mistake_image" in values:
            values["mistake_image"] = with_channels(values["mistake_image"])
        arrays.check_arrays(values, arrays.PREDICTIONS)
        if not np.allclose(values["probability"].sum(1), 1, atol=1e-3):
            raise InputError("records.predictions.sum")
    return Predictions(**values)


def read_material(folder: Path) -> Material | None:
    """Return data.npz; None for a run that stopped before it was written."""
    if not has(folder, "data.npz"):
        return None
    path = folder / "data.npz"
    with open_file(folder, path.name) as file, naming(path, "records.data.unusable"):
        values: dict[str, Any] = arrays.read_arrays(file, path, arrays.DATA)
        for name in values.keys() & {"mean", "std"}:  # scalars in version 0.1.0
            values[name] = values[name].reshape(-1)
        if "example_image" in values:
            values["example_image"] = with_channels(values["example_image"])
        arrays.check_arrays(values, arrays.DATA)
        if not values["counts"].any():
            raise InputError("records.data.empty")
    names = tuple(map(printable, values["class_names"].tolist()))
    statistics = {name: values[name].astype(np.float64) for name in ("mean", "std")}
    return Material(**{**values, **statistics, "class_names": names})


def _text(folder: Path, name: str) -> str:
    try:
        return read_all(open_file(folder, name), folder / name, MAX_SIZES[name]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("records.file.not_utf8", path=folder / name) from error


@contextmanager
def naming(path: Path, code: str = "records.file.damaged") -> Iterator[None]:
    """Name the file in any error that parsing its content raises."""
    try:
        yield
    except Exception as error:
        raise InputError(code, path=path, problem=error) from error


def _missing(folder: Path, name: str) -> InputError:
    if not folder.exists():
        return InputError("records.folder.missing", folder=folder)
    if is_search(folder):
        return InputError("records.folder.search", folder=folder)
    if not (folder / CONFIG).is_file():
        return InputError("records.folder.no_run", folder=folder)
    return InputError("records.file.missing", path=folder / name)
