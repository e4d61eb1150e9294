"""Guarantees that rest on checked fields of one's own forms, instead of the labeled digits of the package.

Decision: only pages count on which a person has checked every field of a name, accepted ones included, since the
doubtful ones alone say nothing about the others.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from ziffern.analysis.guarantee import Counts, count
from ziffern.errors import InputError
from ziffern.files.atomic import write_text
from ziffern.files.untrusted import read_text, reading
from ziffern.reading.folder import load_reading
from ziffern.reading.result import ACCEPTED, Name, Share
from ziffern.reading.verified import verified_fields

MAX_BYTES, MAX_FIELDS = 10**8, 10**6
DOUBTS = {f"reading.reason.{code}" for code in ("unsure", "unsure_digit", "no_guarantee")}  # of probabilities alone


class Calibration(msgspec.Struct, frozen=True):
    """Checked fields by name: the probability of each guess, and whether it was right."""

    version: Literal[1]
    model: str
    fields: dict[Name, Annotated[list[tuple[Share, bool]], msgspec.Meta(max_length=MAX_FIELDS)]]


def calibrate(folders: Sequence[Path]) -> tuple[Calibration, dict[str, int]]:
    """Return the checked fields of batches, and the number of accepted fields of each name that were not checked.

    Raises:
        InputError: A folder is no batch, or they were read by different models, or nothing was checked.
    """
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    unchecked: dict[str, int] = defaultdict(int)
    models = {}
    for folder in folders:
        batch = load_reading(folder)
        models[batch.model] = folder
        values = {(page, name): value for page, name, value, _ in verified_fields(folder)}
        for number, page in enumerate(batch.pages):
            for item in page.fields:
                if (number, item.name) in values and item.cells:
                    is_clear = item.reason is None or item.reason.code in DOUBTS
                    share = item.probability if is_clear else 0.0
                    found[item.name].append((share, item.guess == values[number, item.name]))
                elif item.status == ACCEPTED and item.cells:
                    unchecked[item.name] += 1
    if len(models) > 1:
        raise InputError("reading.calibrate.models", folders=list(models.values()))
    complete = {name: items for name, items in found.items() if not unchecked[name]}
    if not complete:
        name, missing = max(unchecked.items(), key=lambda item: item[1], default=("", 0))
        code = "unchecked" if missing else "nothing"
        raise InputError(f"reading.calibrate.{code}", folder=folders[0], name=name, count=missing)
    return Calibration(1, next(iter(models)), complete), {
        name: missing for name, missing in unchecked.items() if missing
    }


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write the file for `--calibration`."""
    write_text(path, json.dumps(msgspec.to_builtins(calibration)) + "\n")


def read_calibration(path: Path, model: str) -> Mapping[str, Counts]:
    """Return counts of checked fields by name.

    Raises:
        InputError: The file is unreadable or damaged, or another model read the fields.
    """
    with reading(path):
        text = read_text(path, MAX_BYTES)
    try:
        content = msgspec.json.decode(text, type=Calibration)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError("reading.calibrate.damaged", path=path, reason=str(error)) from error
    if content.model != model:
        raise InputError("reading.calibrate.other_model", path=path, model=content.model, used=model)
    columns = {name: list(zip(*items, strict=True)) for name, items in content.fields.items() if items}
    return {
        name: count(np.array(shares, np.float32), np.array(hits, np.bool_), with_first_errors=True)
        for name, (shares, hits) in columns.items()
    }
