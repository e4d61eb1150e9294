"""Writing the files of a run folder, each completely or not at all.

Decisions: only declared fields can be written; metrics.json is written last and marks the run as complete; readers
alone check ranges, so that no run is lost because of a single value.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.outcome import Outcome
from ziffern.data.classes import MAX_NAME
from ziffern.files.atomic import write_atomically, write_json, write_text, writing
from ziffern.records import schema
from ziffern.records.arrays import DATA, PREDICTIONS, Array, Material

MAX_MISTAKES = 1000  # misclassified images kept, the most confident first: an untrained model has thousands


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics.json."""
    write_json(folder / "metrics.json", _declared(metrics, schema.models().metrics))


def write_environment(folder: Path, environment: Mapping[str, Any]) -> None:
    """Write environment.json."""
    write_json(folder / "environment.json", _declared(environment, schema.Environment))


def write_history(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write history.csv, one row per epoch."""
    text = io.StringIO()
    table = csv.DictWriter(text, schema.EPOCH, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(folder / "history.csv", text.getvalue())


def append_event(folder: Path, event: str, **values: Any) -> None:
    """Append an event declared in `schema.models().events` to progress.jsonl, with its time."""
    line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}
    text = json.dumps(_declared(line, schema.models().events[event]), ensure_ascii=False)
    path = folder / "progress.jsonl"
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def write_material(folder: Path, material: Material) -> None:
    """Write data.npz."""
    _write_arrays(folder / "data.npz", vars(material), DATA)


def write_predictions(
    folder: Path, index: NDArray[np.int64], outcome: Outcome, images: NDArray[np.uint8], names: Sequence[str] = ()
) -> None:
    """Write predictions.npz, including misclassified images, so that a report does not need the data set.

    Args:
        folder: The run folder.
        index: (N,) original index.
        outcome: Target (N,) and probability (N, C).
        images: (N, C, H, W) uint8.
        names: N names of their files; empty if they are not in files of their own.
    """
    mistake = outcome.mistakes[:MAX_MISTAKES]
    mistake_name = np.array([names[place][:MAX_NAME] if names else "" for place in mistake.tolist()], np.str_)
    values = {"index": index, "target": outcome.target, "probability": outcome.probability}
    values |= {"mistake": mistake, "mistake_image": images[mistake], "mistake_name": mistake_name}
    _write_arrays(folder / "predictions.npz", values, PREDICTIONS)


def _write_arrays(path: Path, values: Mapping[str, Any], table: Mapping[str, Array]) -> None:
    arrays: dict[str, Any] = {name: np.asarray(values[name]) for name in table}
    write_atomically(path, lambda file: np.savez_compressed(file, **arrays))


def _declared(values: Mapping[str, Any], model: Any) -> Mapping[str, Any]:
    """Return the values after checking that a model of the schema declares every key."""
    if undeclared := values.keys() - model.__annotations__.keys():
        raise ValueError(f"not declared in ziffern.records.schema: {', '.join(sorted(undeclared))}")
    return values
