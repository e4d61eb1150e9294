"""Guarantees that rest on checked fields of one's own forms, instead of the labeled digits of the package.

Decisions: a name counts only if a person has checked all its fields, accepted ones included, since those that somebody
chose say nothing about the others; a field that no threshold would accept, such as one with a letter, is left out, and
one that nobody can read was read wrong.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from ziffern.analysis.guarantee import TENTH, Counts, count
from ziffern.errors import InputError
from ziffern.files.atomic import write_text
from ziffern.files.untrusted import read_text, reading
from ziffern.reading.decisions import decided
from ziffern.reading.folder import load_reading
from ziffern.reading.result import Name, Share

MAX_BYTES, MAX_FIELDS = 10**8, 10**6
UNSURE = [f"reading.reason.{name}" for name in ("unsure", "unsure_digit", "no_guarantee")]  # another threshold accepts


class Calibration(msgspec.Struct, frozen=True):
    """Checked fields by name: the probability of each guess, and whether it was right."""

    version: Literal[1]
    model: str
    fields: dict[Name, Annotated[list[tuple[Share, bool]], msgspec.Meta(max_length=MAX_FIELDS)]]


def calibrate(folders: Sequence[Path]) -> tuple[Calibration, dict[str, int]]:
    """Return the checked fields of batches, and how many of each name were not checked.

    Raises:
        InputError: A folder is no batch, or they were read by different models, or nothing was checked.
    """
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    unchecked: dict[str, int] = defaultdict(int)
    models = {}
    for folder in {folder.resolve(): folder for folder in folders}.values():
        batch = load_reading(folder)
        models[batch.model] = folder
        standing = decided(folder, batch)
        for number, page in enumerate(batch.pages):
            for item in page.fields:
                is_acceptable = item.reason is None or item.reason.code in UNSURE
                if not (item.cells and item.guess and is_acceptable):
                    continue
                if answer := standing.final((number, item.name)):
                    found[item.name].append((item.probability, item.guess == answer.value))
                else:
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
        name: count(np.array(shares, np.float32), np.array(hits, np.bool_), parts=TENTH)
        for name, (shares, hits) in columns.items()
    }
